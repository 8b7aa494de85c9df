package alert

import "testing"

func TestLabels_ReadInTheOrderOfTheirNames(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		labels Labels
		want   string
	}{
		{nil, ""},
		{Labels{"slot": "archive"}, "slot=archive"},
		{Labels{"table": "public.orders", "database": "shop"}, "database=shop, table=public.orders"},
	} {
		if got := c.labels.String(); got != c.want {
			t.Errorf("%v reads %q, want %q", map[string]string(c.labels), got, c.want)
		}
	}
}

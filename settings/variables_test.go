package settings_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"onevault/settings"
)

func TestParseCIDRs(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][]string{
		"":                            nil,
		" , ":                         nil,
		"10.20.0.0/16":                {"10.20.0.0/16"},
		"10.20.3.4/16, 127.0.0.1,::1": {"10.20.0.0/16", "127.0.0.1/32", "::1/128"},
		"fd00::/8 192.168.1.0/24":     {"fd00::/8", "192.168.1.0/24"},
	} {
		got, err := settings.ParseCIDRs(text)
		if err != nil {
			t.Errorf("%q: %v", text, err)
		}
		var prefixes []netip.Prefix
		for _, w := range want {
			prefixes = append(prefixes, netip.MustParsePrefix(w))
		}
		if !slices.Equal(got, prefixes) {
			t.Errorf("%q: %v, want %v", text, got, prefixes)
		}
	}
}

func TestParseCIDRs_NamesWhatIsWrong(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"10.0.0.0/33", "localhost", "10.0.0/8", "1.2.3.4/16/2"} {
		if _, err := settings.ParseCIDRs("127.0.0.1, " + text); err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("%q: error = %v", text, err)
		}
	}
}

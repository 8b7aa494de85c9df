package collect

import (
	"strings"
	"testing"
)

func TestSupported_RefusesServersWhoseStatisticsHaveOtherShapes(t *testing.T) {
	t.Parallel()
	for version, c := range map[string]struct {
		number int
		fine   bool
	}{
		"9.6.24":                       {90624, false},
		"13.14 (Debian 13.14-1.pgdg1)": {130014, false},
		"14.0":                         {140000, true},
		"15.18 (Debian 15.18-0+deb12)": {150018, true},
		"18beta1":                      {180000, true},
	} {
		if got := versionNumber(version); got != c.number {
			t.Errorf("%q is %d, want %d", version, got, c.number)
		}
		err := supported(version)
		if (err == nil) != c.fine || err != nil && !strings.Contains(err.Error(), "too old to be watched: OneVault knows 14 and newer") {
			t.Errorf("%q: %v", version, err)
		}
	}
	for _, version := range []string{"", "EDB 15"} {
		if err := supported(version); err == nil || !strings.Contains(err.Error(), "none of PostgreSQL") {
			t.Errorf("%q: %v", version, err)
		}
	}
}

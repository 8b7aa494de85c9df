package settings_test

import (
	"net/netip"
	"strings"
	"testing"

	"onevault/settings"
)

func TestParsePublicURL(t *testing.T) {
	t.Parallel()
	allowed := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	for text, want := range map[string]string{
		"https://onevault.example.com/": "https://onevault.example.com",
		"https://example.com/onevault/": "https://example.com/onevault",
		"http://127.0.0.1:9187":         "http://127.0.0.1:9187",
		"http://localhost:9187":         "http://localhost:9187",
		"http://[::1]:9187":             "http://[::1]:9187",
		"http://10.1.2.3":               "http://10.1.2.3",
	} {
		got, err := settings.ParsePublicURL(text, allowed)
		if err != nil || got.String() != want {
			t.Errorf("%s: %v, %v; want %s", text, got, err, want)
		}
	}
	if got, err := settings.ParsePublicURL("", nil); got != nil || err != nil {
		t.Errorf("empty: %v, %v", got, err)
	}
}

func TestParsePublicURL_SaysWhatToCorrect(t *testing.T) {
	t.Parallel()
	for text, says := range map[string]string{
		"onevault.example.com":        "like https://onevault.example.com",
		"ftp://example.com":           "like https://onevault.example.com",
		"https://u:s3cret@host/":      "path alone",
		"https://host/?token=s3cret":  "path alone",
		"http://onevault.example.com": "use https",
		"http://10.1.2.3":             "ONEVAULT_ALLOWED_CIDRS",
	} {
		_, err := settings.ParsePublicURL(text, nil)
		if err == nil || !strings.Contains(err.Error(), says) || !strings.Contains(err.Error(), settings.PublicURL) || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: %v, want %q in it", text, err, says)
		}
	}
}

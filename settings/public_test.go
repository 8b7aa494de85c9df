package settings_test

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"onevault/settings"
)

func TestParsePublicURL_IsHTTPSExceptNearby(t *testing.T) {
	t.Parallel()
	allowed := []netip.Prefix{netip.MustParsePrefix("10.20.0.0/16")}
	for text, want := range map[string]string{
		"https://onevault.example.com":            "https://onevault.example.com",
		"https://ops.example.com:8443/onevault//": "https://ops.example.com:8443/onevault",
		"http://localhost:9320":                   "http://localhost:9320",
		"http://127.0.0.1:9320/":                  "http://127.0.0.1:9320",
		"http://[::1]:9320":                       "http://[::1]:9320",
		"http://10.20.1.2":                        "http://10.20.1.2",
	} {
		if u, err := settings.ParsePublicURL(text, allowed); err != nil || u.String() != want {
			t.Errorf("%s: %v %v", text, u, err)
		}
	}
	for text, want := range map[string]string{
		"http://onevault.example.com":    "use https",
		"http://10.21.1.2":               "use https",
		"http://localhost.example.com":   "use https",
		"onevault.example.com":           "no web address",
		"ftp://onevault.example.com":     "no web address",
		"https://":                       "no web address",
		"https://dana:hunter2@a.example": "has a user",
		"https://a.example/?x=1":         "a query",
	} {
		if _, err := settings.ParsePublicURL(text, allowed); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", text, err)
		}
	}
	if u, err := settings.ParsePublicURL("", nil); u != nil || err != nil {
		t.Errorf("none: %v %v", u, err)
	}
}

func TestReadLinkKeys_ReadsAFileThatIsItsOwnersAlone(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "link.key")
	if err := os.WriteFile(path, []byte("some-key\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if text, err := settings.ReadLinkKeys("", path); err != nil || text != "some-key\n" {
		t.Errorf("%q %v", text, err)
	}
	if text, err := settings.ReadLinkKeys("of-the-variable", ""); err != nil || text != "of-the-variable" {
		t.Errorf("%q %v", text, err)
	}
	if _, err := settings.ReadLinkKeys("a", path); err == nil || !strings.Contains(err.Error(), "both set") {
		t.Errorf("both: %v", err)
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := settings.ReadLinkKeys("", path); err == nil || !strings.Contains(err.Error(), "0644") || strings.Contains(err.Error(), "some-key") {
		t.Errorf("readable by everybody: %v", err)
	}
}

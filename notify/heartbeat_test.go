package notify

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
)

func TestHeartbeat_TellsTheWatcherAndSaysWhatThatProved(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		status int
		header string
		class  Class
		words  string
	}{
		"taken":     {http.StatusOK, "", Accepted, ""},
		"gone":      {http.StatusNotFound, "", Misconfigured, "nothing is listening"},
		"failing":   {http.StatusBadGateway, "", Transient, "HTTP 502"},
		"elsewhere": {http.StatusFound, "http://127.0.0.1:1/", Misconfigured, "redirects are not followed"},
	} {
		var asked atomic.Int32
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			asked.Add(1)
			if r.Method != http.MethodGet {
				t.Errorf("%s: %s", name, r.Method)
			}
			w.Header().Set("Location", c.header)
			w.WriteHeader(c.status)
			fmt.Fprint(w, r.URL.Path) // which holds the secret
		}))
		t.Cleanup(server.Close)
		h, err := OpenHeartbeat(server.URL+"/ping/"+tokenInPath, testOptions(nil))
		if err != nil {
			t.Fatal(err)
		}
		got := h.Beat(t.Context())
		if got.Class != c.class || !strings.Contains(got.Reason, c.words) || asked.Load() != 1 {
			t.Errorf("%s: %+v after %d requests, want %s %q", name, got, asked.Load(), c.class, c.words)
		}
		if text := fmt.Sprintf("%v %+v %#v %+v", h, h, h, got); strings.Contains(text, tokenInPath) {
			t.Errorf("%s: the address is shown: %s", name, text)
		}
	}
}

func TestHeartbeat_AnAddressThatCannotWorkIsRefusedWithoutRepeatingIt(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"ftp://watcher.example.com/s3cr3t", "watcher/s3cr3t", "https://169.254.169.254/s3cr3t", "http://10.0.0.1/s3cr3t", "https://%zz/s3cr3t"} {
		_, err := OpenHeartbeat(address, Options{})
		if err == nil || !strings.Contains(err.Error(), "ONEVAULT_HEARTBEAT_URL: ") || strings.Contains(err.Error(), "s3cr3t") {
			t.Errorf("%s: %v", address, err)
		}
	}
	if _, err := OpenHeartbeat("http://10.0.0.1/x", Options{Allow: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}); err != nil {
		t.Errorf("an allowed network: %v", err)
	}
}

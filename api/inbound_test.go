package api_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"onevault/api"
	"onevault/pgserver/pgtest"
	"onevault/vault"
)

func base64Of(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

func mustURL(t *testing.T, text string) *url.URL {
	t.Helper()
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// gate is an Inbound without anything that would outlive the test.
func gate(t *testing.T, change func(*api.InboundConfig)) *api.Inbound {
	t.Helper()
	store, err := vault.Open(t.Context(), pgtest.DB(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.Close)
	config := api.InboundConfig{Vault: store, Registry: api.NewRegistry(), Log: slog.New(slog.NewTextHandler(t.Output(), nil))}
	if change != nil {
		change(&config)
	}
	return api.NewInbound(config)
}

func TestClient_TrustsOnlyTheProxiesThatItWasToldOf(t *testing.T) {
	t.Parallel()
	in := gate(t, func(c *api.InboundConfig) { c.TrustedProxies = prefixes("10.0.0.0/8", "fd00::/8") })
	for _, c := range []struct{ remote, forwarded, want string }{
		{"203.0.113.5:1000", "", "203.0.113.5"},
		{"203.0.113.5:1000", "198.51.100.1", "203.0.113.5"}, // no proxy of ours: it may say what it likes
		{"10.0.0.1:1000", "198.51.100.1", "198.51.100.1"},
		{"10.0.0.1:1000", "1.2.3.4, 198.51.100.1, 10.0.0.2", "198.51.100.1"}, // what stands before the first stranger was said by him
		{"10.0.0.1:1000", "198.51.100.1, nonsense", "10.0.0.1"},
		{"10.0.0.1:1000", "", "10.0.0.1"},
		{"[::ffff:10.0.0.1]:1000", "2001:db8::1", "2001:db8::1"},
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.RemoteAddr = c.remote
		if c.forwarded != "" {
			r.Header.Set("X-Forwarded-For", c.forwarded)
		}
		if got := in.Client(r).String(); got != c.want {
			t.Errorf("%s, forwarded for %q: %s, want %s", c.remote, c.forwarded, got, c.want)
		}
	}
}

// requestFrom makes one request without a network, as an address.
func requestFrom(in *api.Inbound, address string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, "/nothing", nil)
	r.RemoteAddr = address
	w := httptest.NewRecorder()
	in.ServeHTTP(w, r)
	return w
}

func TestInbound_OneSenderThatSendsTooMuchStopsNobodyElse(t *testing.T) {
	t.Parallel()
	in := gate(t, nil)
	limited := 0
	for range 1000 {
		if w := requestFrom(in, "198.51.100.7:1"); w.Code == http.StatusTooManyRequests {
			limited++
			if w.Header().Get("Retry-After") == "" {
				t.Fatal("it does not say when to come again")
			}
		}
	}
	if limited < 500 {
		t.Errorf("of 1000 requests %d were too many", limited)
	}
	if w := requestFrom(in, "198.51.100.8:1"); w.Code != http.StatusNotFound {
		t.Errorf("another sender: %d", w.Code)
	}
}

func TestInbound_ALineHasManyAddressesOfIPv6AndOneLimit(t *testing.T) {
	t.Parallel()
	in := gate(t, nil)
	limited := 0
	for i := range 250 {
		if w := requestFrom(in, fmt.Sprintf("[2001:db8::%x]:1", i+1)); w.Code == http.StatusTooManyRequests {
			limited++
		}
	}
	if limited == 0 {
		t.Error("each of its addresses has a limit of its own")
	}
}

func TestInbound_AllSendersTogetherHaveALimit(t *testing.T) {
	t.Parallel()
	in := gate(t, nil)
	limited := 0
	for i := range 2000 {
		if w := requestFrom(in, fmt.Sprintf("10.1.%d.%d:1", i/250, i%250)); w.Code == http.StatusTooManyRequests {
			limited++
		}
	}
	if limited < 500 {
		t.Errorf("of 2000 senders %d were too many", limited)
	}
}

func TestInbound_LargeBodiesAreRefused(t *testing.T) {
	t.Parallel()
	w := sourcesWorld(t)
	got := w.alertmanager(strings.Repeat("x", 4<<20+1), bearer)
	got.says(t, http.StatusRequestEntityTooLarge, "more than 4194304 bytes")
}

func TestInbound_HasAnAddressOfItsOwnWhereHealthIsNotShown(t *testing.T) {
	t.Parallel()
	in := gate(t, nil)
	server, err := api.New(api.Config{Addr: "127.0.0.1:0", InboundAddr: "127.0.0.1:0", Inbound: in, Log: slog.New(slog.NewTextHandler(t.Output(), nil))})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(ctx) }()
	if status, _ := answer(t, http.MethodGet, "http://"+server.InboundAddr()+"/metrics"); status != http.StatusNotFound {
		t.Errorf("metrics at the address for strangers: %d", status)
	}
	if status, _ := answer(t, http.MethodGet, "http://"+server.Addr()+"/metrics"); status != http.StatusOK {
		t.Errorf("metrics: %d", status)
	}
	if status, _ := answer(t, http.MethodPost, "http://"+server.Addr()+"/sources/webhook/x"); status != http.StatusNotFound {
		t.Errorf("sources at the address for health: %d", status)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestOnce_AnswersTheSameAgainAndForgetsWhatFailed(t *testing.T) {
	t.Parallel()
	in := gate(t, nil)
	runs := 0
	d := api.Delivery{Provider: "slack", ID: "1", Sender: "slack:U123 (verified)"}
	work := func(context.Context) (api.Outcome, error) {
		runs++
		if runs == 1 {
			return api.Outcome{}, errors.New("nobody answers")
		}
		return api.Outcome{Status: http.StatusAccepted, Body: map[string]int{"run": runs}}, nil
	}
	if _, first, err := in.Once(t.Context(), d, work); err == nil || !first {
		t.Errorf("what fails: %v %v", first, err)
	}
	if out, first, err := in.Once(t.Context(), d, work); err != nil || !first || out.Status != http.StatusAccepted {
		t.Errorf("tried again: %+v %v %v", out, first, err)
	}
	out, first, err := in.Once(t.Context(), d, work)
	if err != nil || first || out.Status != http.StatusAccepted || runs != 2 {
		t.Errorf("replayed: %+v %v %v after %d runs", out, first, err, runs)
	}
	d.Digest[0] = 1
	if _, _, err := in.Once(t.Context(), d, work); !errors.Is(err, api.ErrDifferent) || runs != 2 {
		t.Errorf("another content: %v", err)
	}
}

func TestOnce_IsCarriedOutThoughItsSenderHangsUp(t *testing.T) {
	t.Parallel()
	in := gate(t, nil)
	ctx, hangUp := context.WithCancel(t.Context())
	_, _, err := in.Once(ctx, api.Delivery{Provider: "slack", ID: "1"}, func(ctx context.Context) (api.Outcome, error) {
		hangUp()
		return api.Outcome{Status: http.StatusOK, Body: "done"}, ctx.Err()
	})
	if err != nil {
		t.Fatal(err)
	}
	if out, first, err := in.Once(t.Context(), api.Delivery{Provider: "slack", ID: "1"}, nil); err != nil || first || out.Status != http.StatusOK {
		t.Errorf("its answer was not kept: %+v %v %v", out, first, err)
	}
}

func TestRefuse_SaysNoMoreThanAStrangerMayKnow(t *testing.T) {
	t.Parallel()
	in := gate(t, nil)
	w := httptest.NewRecorder()
	in.Refuse(w, httptest.NewRequest(http.MethodPost, "/", nil), api.Refusal{
		Provider: "slack", Reason: api.ReasonSignature, Status: http.StatusUnauthorized, Say: "the sender is not proved", Detail: "signed with the secret of last year",
	})
	body, err := io.ReadAll(w.Result().Body)
	if err != nil || string(body) != "{\"error\":\"the sender is not proved\"}\n" || w.Code != http.StatusUnauthorized {
		t.Errorf("%d %s %v", w.Code, body, err)
	}
}

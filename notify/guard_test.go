package notify

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"testing"
	"time"
)

func TestAddressGuard_RefusesWhatIsNotPublic(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1", "0.0.0.0", "::", "10.1.2.3", "172.16.0.1", "192.168.1.1",
		"::ffff:10.0.0.1", "169.254.169.254", "fe80::1", "fe80::1%eth0", "fd00:ec2::254", "100.100.100.200", "168.63.129.16",
		"192.0.0.192", "198.18.0.1", "203.0.113.7", "224.0.0.1", "255.255.255.255", "ff02::1", "240.0.0.1",
		"64:ff9b::7f00:1", "64:ff9b:1::1", "2002:7f00:1::", "2001::1", "::7f00:1", "fec0::1",
	} {
		if err := (addressGuard{}).check(netip.MustParseAddr(text)); !errors.Is(err, errBlocked) {
			t.Errorf("%s: err = %v, want it blocked", text, err)
		}
	}
	for _, text := range []string{"1.1.1.1", "8.8.8.8", "2606:4700:4700::1111", "::ffff:8.8.8.8", "172.32.0.1", "100.128.0.1"} {
		if err := (addressGuard{}).check(netip.MustParseAddr(text)); err != nil {
			t.Errorf("%s: err = %v, want it allowed", text, err)
		}
	}
}

func TestAddressGuard_AllowListOpensItsNetworksOnly(t *testing.T) {
	t.Parallel()
	g := addressGuard{allow: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16")}}
	if err := g.check(netip.MustParseAddr("::ffff:10.1.2.3")); err != nil {
		t.Errorf("an allow-listed address is refused: %v", err)
	}
	if err := g.check(netip.MustParseAddr("10.2.0.1")); !errors.Is(err, errBlocked) {
		t.Errorf("err = %v, want a neighbour of the allow-list blocked", err)
	}
}

func TestAddressGuard_ClearTextStaysInTheAllowList(t *testing.T) {
	t.Parallel()
	g := addressGuard{allow: loopback, clearText: true}
	if err := g.check(netip.MustParseAddr("127.0.0.1")); err != nil {
		t.Errorf("an allow-listed address is refused: %v", err)
	}
	if err := g.check(netip.MustParseAddr("8.8.8.8")); !errors.Is(err, errBlocked) {
		t.Errorf("err = %v, want clear text to a public address blocked", err)
	}
}

func TestHTTPClient_CapsTheAnswer(t *testing.T) {
	t.Parallel()
	fake := newFakeHTTP(t, false, hugeBody)
	resp, err := newHTTPClient(addressGuard{allow: loopback}, nil).Get(fake.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	n, err := io.Copy(io.Discard, resp.Body)
	if !errors.Is(err, errHugeReply) || n != maxAnswer {
		t.Errorf("read %d bytes, err %v; want %d and the cap's error", n, err, maxAnswer)
	}
}

// Not parallel with others of its kind: it sets the process's environment.
func TestHTTPClient_IgnoresProxiesOfTheEnvironment(t *testing.T) {
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:1")
	t.Setenv("HTTPS_PROXY", "http://127.0.0.1:1")
	transport := newHTTPClient(addressGuard{}, nil).Transport.(*observer).next.(*http.Transport)
	if transport.Proxy != nil {
		t.Error("the transport has a proxy function, want none")
	}
}

func TestParseRetryAfter(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 3, 0, 0, 0, time.UTC)
	for value, want := range map[string]time.Duration{
		"": 0, "7": 7 * time.Second, "0": 0, "-5": 0, "soon": 0, "1.5": 0,
		"99999999999": maxRetryAfter, "9223372036854775807": maxRetryAfter, "99999999999999999999": 0,
		now.Add(30 * time.Second).Format(http.TimeFormat): 30 * time.Second,
		now.Add(-time.Hour).Format(http.TimeFormat):       0,
		now.AddDate(1, 0, 0).Format(http.TimeFormat):      maxRetryAfter,
	} {
		if got := parseRetryAfter(value, now); got != want {
			t.Errorf("parseRetryAfter(%q) = %v, want %v", value, got, want)
		}
	}
}

func TestNetworkReason_DropsTheURLThatErrorsQuote(t *testing.T) {
	t.Parallel()
	err := &url.Error{Op: "Post", URL: "https://example.com/" + tokenInPath, Err: errors.New("connection reset by peer")}
	if got := networkReason(fmt.Errorf("post: %w", err)); got != "connection reset by peer" {
		t.Errorf("networkReason = %q, want the cause alone", got)
	}
}

package link_test

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"onevault/link"
)

const (
	oldKey = "b2xkLWtleS1vZi10aGUtdGVzdHMtMDEyMzQ1Njc4OQ=="
	newKey = "bmV3LWtleS1vZi10aGUtdGVzdHMtMDEyMzQ1Njc4OQ=="
)

var (
	now    = time.Date(2026, 5, 4, 3, 12, 0, 0, time.UTC)
	claims = link.Claims{
		Verb: "acknowledge", Alerts: [][sha256.Size]byte{sha256.Sum256([]byte("one")), sha256.Sum256([]byte("two"))},
		Recipient: "dana@example.com", Message: "ALERT||X/FIRED", Expires: now.Add(time.Hour),
	}
)

func keys(t *testing.T, text string) link.Keys {
	t.Helper()
	k, err := link.ParseKeys(text)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func sign(t *testing.T, k link.Keys, c link.Claims) string {
	t.Helper()
	token, err := k.Sign(c)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func TestVerify_ReturnsWhatWasSigned(t *testing.T) {
	t.Parallel()
	k := keys(t, newKey)
	token := sign(t, k, claims)
	got, err := k.Verify(token, now)
	if err != nil {
		t.Fatal(err)
	}
	if got.Verb != claims.Verb || got.Recipient != claims.Recipient || !got.Expires.Equal(claims.Expires) || len(got.Alerts) != 2 || got.Alerts[1] != claims.Alerts[1] {
		t.Errorf("got %+v", got)
	}
	if token != sign(t, k, claims) {
		t.Error("a retried message has another link")
	}
	again := claims
	again.Message = "ALERT||X/ESCALATED:1"
	if token == sign(t, k, again) {
		t.Error("another message has the same link")
	}
}

func TestVerify_AcceptsTheOldKeyAndSignsWithTheNew(t *testing.T) {
	t.Parallel()
	token := sign(t, keys(t, oldKey), claims)
	both := keys(t, "# since May\n"+newKey+"\n\n"+oldKey+"\n")
	if _, err := both.Verify(token, now); err != nil {
		t.Errorf("of the old key: %v", err)
	}
	if _, err := keys(t, newKey).Verify(token, now); !errors.Is(err, link.ErrForged) {
		t.Errorf("after the old key is gone: %v", err)
	}
	if sign(t, both, claims) != sign(t, keys(t, newKey), claims) {
		t.Error("it does not sign with the first key")
	}
}

func TestVerify_ExpiresAndStillSaysWhatItWas(t *testing.T) {
	t.Parallel()
	k := keys(t, newKey)
	got, err := k.Verify(sign(t, k, claims), claims.Expires)
	if !errors.Is(err, link.ErrExpired) || got.Recipient != claims.Recipient {
		t.Errorf("%+v %v", got, err)
	}
}

func TestVerify_EveryChangedCharacterIsForged(t *testing.T) {
	t.Parallel()
	k := keys(t, newKey)
	token := sign(t, k, claims)
	for i := range token {
		changed := "A"
		if token[i] == 'A' {
			changed = "B"
		}
		if _, err := k.Verify(token[:i]+changed+token[i+1:], now); !errors.Is(err, link.ErrForged) {
			t.Fatalf("character %d: %v", i, err)
		}
	}
	for _, other := range []string{"", ".", "..", token[:len(token)-1], token + "A", token + ".A", strings.Repeat("A", 9000), token[9:], "12345678." + token[9:]} {
		if _, err := k.Verify(other, now); !errors.Is(err, link.ErrForged) {
			t.Errorf("%.40q: %v", other, err)
		}
	}
}

func TestSign_RefusesALinkThatNothingBinds(t *testing.T) {
	t.Parallel()
	k := keys(t, newKey)
	for name, change := range map[string]func(*link.Claims){
		"verb": func(c *link.Claims) { c.Verb = "" }, "recipient": func(c *link.Claims) { c.Recipient = "" },
		"message": func(c *link.Claims) { c.Message = "" }, "end": func(c *link.Claims) { c.Expires = time.Time{} },
		"alerts": func(c *link.Claims) { c.Alerts = nil }, "few alerts": func(c *link.Claims) { c.Alerts = make([][sha256.Size]byte, 21) },
	} {
		c := claims
		change(&c)
		if _, err := k.Sign(c); err == nil {
			t.Errorf("without %s it was signed", name)
		}
	}
	if _, err := (link.Keys{}).Sign(claims); err == nil {
		t.Error("signed without a key")
	}
}

func TestParseKeys_RefusesWeakKeysAndRepeatsNone(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "# nothing\n", "hunter2secret", newKey + "\nhunter2secret", "hunter2secret with spaces in the middle of it"} {
		if _, err := link.ParseKeys(text); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: %v", text, err)
		}
	}
	for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
		if printed := fmt.Sprintf(format, keys(t, newKey)); strings.Contains(printed, newKey) || strings.Contains(printed, "98") {
			t.Errorf("%s prints %s", format, printed)
		}
	}
}

package vault_test

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"onevault/alert"
	"onevault/vault"
)

func TestKeysOfGoAndSQLAreEqual(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.:-"
	word := func() string {
		b := make([]byte, 1+rand.IntN(40))
		for i := range b {
			b[i] = letters[rand.IntN(len(letters))]
		}
		return string(b)
	}
	for range 300 {
		target, definition := word(), word()
		at := time.UnixMicro(rand.Int64N(4e15)).UTC()
		if rand.IntN(10) == 0 {
			at = at.Truncate(time.Second)
		}
		type keys struct{ Key, ShortID string }
		got := value[keys](f, `
			SELECT (k.bk, monitoring.alert_short_id(util.hash_binary(k.bk)))
			  FROM (SELECT util.bk('ALERT', $1, $2, 'SYSTEM', to_char($3::timestamptz AT TIME ZONE 'UTC', 'YYYYMMDD"T"HH24MISSUS')) AS bk) AS k`,
			target, definition, at)
		key := alert.Key(target, definition, at)
		if want := (keys{key, alert.ShortID(key)}); got != want {
			t.Fatalf("%q, %q, %s: SQL %v, Go %v", target, definition, at, got, want)
		}
	}
}

// code8 is the whole short code of an alert, eight characters without A-.
func (f *fixture) code8(key string) string {
	f.Helper()
	return value[string](f, `SELECT monitoring.short_code(util.hash_binary($1))`, key)
}

// openKeys writes open alerts of a definition with given keys.
func (f *fixture) openKeys(definition string, keys ...string) {
	f.Helper()
	f.define(definition, nil)
	for _, key := range keys {
		f.record(vault.Change{AlertKey: key, DefinitionKey: definition, Target: "local", Change: "OPEN", At: yesterday(), Via: "worker"})
	}
}

// candidates yields alert keys without end.
func candidates(yield func(string) bool) {
	for i := 0; yield(fmt.Sprintf("ALERT||LOCAL||FOUND||SYSTEM||%d", i)); i++ {
	}
}

func TestFindAlert_TakesEveryFormOfAnID(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	var key string
	for key = range candidates { // one whose id holds what people confuse
		if id := alert.ShortID(key)[2:]; strings.Contains(id, "0") && strings.Contains(id, "1") {
			break
		}
	}
	f.openKeys("FOUND", key)
	short, long := alert.ShortID(key), f.code8(key)
	if !strings.HasPrefix("A-"+long, short) || len(long) != 8 {
		t.Fatalf("short %s, long %s", short, long)
	}
	sum := sha256.Sum256([]byte(key))
	digits := hex.EncodeToString(sum[:])
	confused := func(one string) string { return "A-" + strings.NewReplacer("0", "O", "1", one).Replace(short[2:]) }
	for _, id := range []string{
		short, short[2:], strings.ToLower(short), " " + short + " ", "A-" + long, long[:6], strings.ToLower(long),
		confused("I"), confused("L"), strings.ToLower(confused("l")), digits, `\x` + digits, strings.ToUpper(digits), key,
	} {
		a, err := f.store.FindAlert(t.Context(), id)
		if err != nil || a.Key != key {
			t.Errorf("%q: %q, %v", id, a.Key, err)
		}
	}
	for _, id := range []string{"", "A-", "A-7F", "A-UUUU", "nonsense", strings.Repeat("0", 64), "A-" + long + "0", "%", "A-____"} {
		if a, err := f.store.FindAlert(t.Context(), id); !errors.Is(err, vault.ErrNotFound) {
			t.Errorf("%q: %q, %v; want not found", id, a.Key, err)
		}
	}
}

func TestFindAlert_PrefersTheActiveOfSeveral(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	seen := map[string]string{}
	var first, second string
	for key := range candidates {
		id := alert.ShortID(key)
		if first = seen[id]; first != "" {
			second = key
			break
		}
		seen[id] = key
	}
	f.openKeys("FOUND", first, second)
	id := alert.ShortID(first)

	_, err := f.store.FindAlert(t.Context(), id)
	if !errors.Is(err, vault.ErrAmbiguous) || !strings.Contains(err.Error(), "A-"+f.code8(first)) || !strings.Contains(err.Error(), "A-"+f.code8(second)) {
		t.Errorf("two active: %v", err)
	}
	if a, err := f.store.FindAlert(t.Context(), f.code8(first)); err != nil || a.Key != first {
		t.Errorf("by more of the id: %q, %v", a.Key, err)
	}
	f.mustCommand("resolve_alert", first, "dana", true)
	if a, err := f.store.FindAlert(t.Context(), id); err != nil || a.Key != second {
		t.Errorf("one active: %q, %v", a.Key, err)
	}
	f.mustCommand("resolve_alert", second, "dana", true)
	if _, err := f.store.FindAlert(t.Context(), id); !errors.Is(err, vault.ErrAmbiguous) {
		t.Errorf("none active: %v", err)
	}
}

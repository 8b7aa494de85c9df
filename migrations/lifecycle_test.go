package migrations_test

import (
	"encoding/json"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"onevault/pgserver/pgtest"
)

var statuses = []string{"OPEN", "ACKNOWLEDGED", "ESCALATED", "RESOLVED", "SUPPRESSED"}

// legal is the whole table of changes; what is not in it is refused.
var legal = map[string]string{
	"SUPPRESSED":   "OPEN RESOLVED",
	"OPEN":         "ACKNOWLEDGED ESCALATED RESOLVED",
	"ESCALATED":    "ACKNOWLEDGED ESCALATED RESOLVED",
	"ACKNOWLEDGED": "OPEN RESOLVED",
	"RESOLVED":     "",
}

func TestTransitions_OnlyTheLegalOnesHappen(t *testing.T) {
	t.Parallel()
	db := pgtest.Pool(t)
	at := time.Date(2026, 5, 4, 4, 0, 0, 0, time.UTC)
	for _, from := range statuses {
		for _, to := range statuses {
			want := strings.Contains(" "+legal[from]+" ", " "+to+" ")
			if got := value[bool](t, db, "SELECT monitoring.alert_transition_allowed($1, $2)", from, to); got != want {
				t.Errorf("%s to %s is allowed: %v, want %v", from, to, got, want)
			}
			key := alertIn(t, db, from+"_"+to, from)
			versions := value[int](t, db, "SELECT count(*) FROM monitoring.alert_instance_s WHERE alert_instance_hk = util.hash_binary($1)", key)
			changed := value[bool](t, db, "SELECT changed FROM monitoring.change_alert_state(util.hash_binary($1), $2, $3, 'dana', 'test', 'done', 2)", key, to, at)
			if changed != want {
				t.Errorf("%s to %s happened: %v, want %v", from, to, changed, want)
			}
			status, more := from, 0
			if want {
				status, more = to, 1
			}
			if got := statusOf(t, db, key); got != status {
				t.Errorf("%s to %s ended as %s", from, to, got)
			}
			if got := value[int](t, db, "SELECT count(*) FROM monitoring.alert_instance_s WHERE alert_instance_hk = util.hash_binary($1)", key); got != versions+more {
				t.Errorf("%s to %s made %d versions, want %d", from, to, got-versions, more)
			}
		}
	}
	for _, other := range []string{"", "CLOSED", "open"} {
		if value[bool](t, db, "SELECT monitoring.alert_transition_allowed('OPEN', $1)", other) {
			t.Errorf("OPEN may become %q", other)
		}
	}
}

func TestEscalation_OnlyRisesItsLevel(t *testing.T) {
	t.Parallel()
	db := pgtest.Pool(t)
	key := alertIn(t, db, "D", "ESCALATED") // level 1
	for _, c := range []struct {
		level   any
		changed bool
	}{{1, false}, {0, false}, {nil, false}, {2, true}, {2, false}, {4, true}, {3, false}} {
		changed := value[bool](t, db, "SELECT changed FROM monitoring.change_alert_state(util.hash_binary($1), 'ESCALATED', now(), NULL, 'workflow', NULL, $2)", key, c.level)
		if changed != c.changed {
			t.Errorf("to level %v: %v, want %v", c.level, changed, c.changed)
		}
	}
	if level := value[int](t, db, "SELECT escalation_level FROM monitoring.active_alerts_dashboard"); level != 4 {
		t.Errorf("level %d", level)
	}
}

func TestSendAlertNotifications_AsksForWhoHears(t *testing.T) {
	t.Parallel()
	db := pgtest.Pool(t)
	key := alertIn(t, db, "D", "OPEN")
	ask := func() int {
		return value[int](t, db, "SELECT monitoring.send_alert_notifications(util.hash_binary($1))", key)
	}
	if n := ask(); n != 0 || outboxOf(t, db) != "" {
		t.Errorf("%d channels without any", n)
	}
	putChannel(t, db, "A", nil)
	putChannel(t, db, "B", columns{"severity_filter": []string{"LOW"}})
	if n := ask(); n != 1 || outboxOf(t, db) != "NOTIFY" {
		t.Errorf("%d channels, the outbox holds %s", n, outboxOf(t, db))
	}
	exec(t, db, "SELECT monitoring.resolve_alert(util.hash_binary($1), 'dana')", key)
	if n := ask(); n != 0 || outboxOf(t, db) != "NOTIFY RESOLVED" {
		t.Errorf("%d channels for an alert that is over; the outbox holds %s", n, outboxOf(t, db))
	}
}

// change is one entry of what a workflow records.
type change = map[string]any

func recordChanges(t *testing.T, db database, changes ...change) {
	t.Helper()
	text, err := json.Marshal(changes)
	if err != nil {
		t.Fatal(err)
	}
	exec(t, db, "SELECT monitoring.record_alert_changes($1::text::jsonb)", string(text))
}

func TestRecordChanges_CountsMessagesWhoseDeliveriesEndedOutOfOrder(t *testing.T) {
	t.Parallel()
	db := pgtest.Pool(t)
	key := alertIn(t, db, "D", "OPEN")
	notified := func(at string, n int) change {
		return change{"alert_key": key, "change": "NOTIFIED", "at": at, "count": n}
	}
	early, late := notified("2026-05-04T03:12:00Z", 1), notified("2026-05-04T03:27:00Z", 2)
	for range 2 {
		recordChanges(t, db, late, early) // the first message needed more attempts than the second
	}
	if n := value[int](t, db, "SELECT notification_count FROM monitoring.alert_instance_s WHERE load_end_date IS NULL"); n != 3 {
		t.Errorf("%d messages, want 3", n)
	}
}

func TestRecordChanges_RefusesACountWithoutItsMoment(t *testing.T) {
	t.Parallel()
	db := pgtest.Pool(t)
	key := alertIn(t, db, "D", "OPEN")
	for _, lacking := range []string{`{"count": 1}`, `{"at": "2026-05-04T03:12:00Z"}`} {
		refused(t, db, "22004", []string{"lacks its at or its count", "when the messages were sent"},
			"SELECT monitoring.record_alert_changes(jsonb_build_array($2::text::jsonb || jsonb_build_object('alert_key', $1::text, 'change', 'NOTIFIED')))", key, lacking)
	}
}

func TestCommand_NamesTheRemedyWhenNoAlertIsMeant(t *testing.T) {
	t.Parallel()
	db := listen(t, pgtest.DB(t))
	for _, function := range []string{"acknowledge_alert", "resolve_alert"} {
		// A key of any length, also of one that no hash has.
		for _, key := range []string{`\x`, `\x00`, `\x` + strings.Repeat("0", 64)} {
			refused(t, db, "P0002", []string{"no alert with hash key " + key[2:], "active_alerts_dashboard"}, "SELECT monitoring."+function+"($1::text::bytea, 'dana')", key)
		}
	}
	suppressed := alertIn(t, db, "S", "SUPPRESSED")
	db.heard()
	if value[bool](t, db, "SELECT monitoring.acknowledge_alert(util.hash_binary($1), 'dana')", suppressed) ||
		!strings.Contains(db.heard(), "is SUPPRESSED and cannot become ACKNOWLEDGED") {
		t.Error("a suppressed alert, of which nobody was told, was acknowledged")
	}
}

func TestBusinessKey_PartsCannotRunIntoEachOther(t *testing.T) {
	t.Parallel()
	db := pgtest.Pool(t)
	for parts, want := range map[string]string{
		"{a,b}": "A||B", "{\" a \",B}": "A||B", "{NULL,b}": "^^||B", "{\"\",b}": "^^||B", "{\"  \",b}": "^^||B", "{a|b,c}": `A\|B||C`,
		`{"a\\",b}`: `A\\||B`, "{^^,b}": `\^\^||B`, "{E\u0301}": "\u00c9", "{stra\u00dfe}": "STRA\u00dfE",
	} {
		if got := value[string](t, db, "SELECT util.bk(VARIADIC $1::text::text[])", parts); got != want {
			t.Errorf("%s gave %q, want %q", parts, got, want)
		}
	}
	// Different parts give different keys.
	random := rand.New(rand.NewPCG(7, 7))
	seen := map[string]string{}
	alphabet := []rune(`ab|\^ `)
	word := func() string {
		var w []rune
		for range random.IntN(4) {
			w = append(w, alphabet[random.IntN(len(alphabet))])
		}
		return string(w)
	}
	var a, b []string
	for range 2000 {
		a, b = append(a, word()), append(b, word())
	}
	keys := values[string](t, db, "SELECT util.bk(x, y) FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS u (x, y, o) ORDER BY o", a, b)
	for i, key := range keys {
		parts := strings.ToUpper(strings.Trim(a[i], " ") + "\x00" + strings.Trim(b[i], " "))
		if earlier, known := seen[key]; known && earlier != parts {
			t.Fatalf("%q and %q share the key %q", earlier, parts, key)
		}
		seen[key] = parts
	}
}

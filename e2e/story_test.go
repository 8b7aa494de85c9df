package e2e_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"onevault/alert"
	"onevault/inbox"
	"onevault/workflows"
)

// patience is how long a story waits for what takes a collection, an evaluation and a workflow; ten
// times what it takes on an idle machine.
const patience = 90 * time.Second

// story is one definition with channels and receivers of its own, so that stories run side by side.
type story struct {
	t     *testing.T
	w     *world
	key   string // of the definition; also the category that its channels filter by
	inbox *inbox.Server
}

// rule is what a story's definition says; the rest is the same in all.
type rule struct {
	escalateAfter int      // minutes; 0: never
	suppression   int      // minutes
	channels      []string // keys; nil: those of the story
}

// tell begins a story: receivers of its own, and one channel of each type that delivers to them.
func tell(t *testing.T, w *world, key string) *story {
	t.Helper()
	return tellIn(t, w, key, startInbox(t))
}

// tellIn is tell with an inbox of the story's own.
func tellIn(t *testing.T, w *world, key string, receivers *inbox.Server) *story {
	t.Helper()
	// A story may be told again in the same world.
	s := &story{t: t, w: w, key: key + "_" + rand.Text()[:4], inbox: receivers}
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(s.timeline())
		}
	})
	s.channel("EMAIL", "EMAIL", emailTo(t, s.inbox), 3, 1)
	s.channel("SLACK", "SLACK", map[string]any{"webhook_url": s.inbox.HTTPURL() + "/slack/services/T0/B0/" + slackToken}, 3, 1)
	s.channel("WEBHOOK", "WEBHOOK", webhookTo(s.inbox), 3, 1)
	return s
}

func startInbox(t *testing.T) *inbox.Server {
	t.Helper()
	return startInboxOf(t, 5000)
}

// startInboxOf starts one that keeps so many messages.
func startInboxOf(t *testing.T, keep int) *inbox.Server {
	t.Helper()
	server, err := inbox.Start(context.Background(), inbox.Config{WebhookSecret: webhookSecret, Keep: keep, Log: discard})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Errorf("close the inbox: %v", err)
		}
	})
	return server
}

func emailTo(t *testing.T, server *inbox.Server) map[string]any {
	t.Helper()
	host, portText, err := net.SplitHostPort(server.SMTPAddr())
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(portText)
	if err != nil {
		t.Fatal(err)
	}
	return map[string]any{
		"smtp_server": host, "smtp_port": port, "tls": "none",
		"from_address": "OneVault <onevault@example.com>", "to_addresses": []string{"oncall@example.com"},
	}
}

func webhookTo(server *inbox.Server) map[string]any {
	return map[string]any{"url": server.HTTPURL() + "/webhook/e2e", "secret_env": webhookSecretVariable}
}

// channelKey is the key of one of the story's channels.
func (s *story) channelKey(name string) string { return s.key + "_" + name }

// channel puts a channel that hears only this story's definition.
func (s *story) channel(name, kind string, configuration map[string]any, retries, delaySeconds int) {
	s.t.Helper()
	text, err := json.Marshal(configuration)
	if err != nil {
		s.t.Fatal(err)
	}
	err = pgx.BeginFunc(s.t.Context(), s.w.db, func(tx pgx.Tx) error {
		if _, err := tx.Exec(s.t.Context(), `
			INSERT INTO monitoring.notification_config_h (notification_config_hk, notification_config_bk)
			VALUES (util.hash_binary($1), $1)`, s.channelKey(name)); err != nil {
			return err
		}
		_, err := tx.Exec(s.t.Context(), `
			INSERT INTO monitoring.notification_config_s (
			    notification_config_hk, hash_diff, channel_name, channel_type, configuration, category_filter, retry_attempts, retry_delay_seconds)
			VALUES (util.hash_binary($1), '\x', $1, $2, $3, ARRAY[$4], $5, $6)`,
			s.channelKey(name), kind, string(text), s.key, retries, delaySeconds)
		return err
	})
	if err != nil {
		s.t.Fatalf("put channel %s: %v", s.channelKey(name), err)
	}
}

// What the metric of a definition says, so that its condition is true or false. An open alert ends under the
// version of the definition that it began with, so it is the measurement that changes, as it is in life.
const (
	holds  = 1
	clears = 0
)

// define puts a version of the story's definition, and what its metric says.
func (s *story) define(r rule, level int) { s.t.Helper(); s.defineAs(r, level, s.key) }

// defineAs puts a version of each of some definitions that the story's channels hear, and measures the metric
// of each on every target that answers, in one transaction: the next evaluation sees all of it or nothing.
func (s *story) defineAs(r rule, level int, keys ...string) {
	s.t.Helper()
	if r.channels == nil {
		r.channels = []string{s.channelKey("EMAIL"), s.channelKey("SLACK"), s.channelKey("WEBHOOK")}
	}
	err := pgx.BeginFunc(s.t.Context(), s.w.db, func(tx pgx.Tx) error {
		for _, key := range keys {
			if _, err := tx.Exec(s.t.Context(), `
				INSERT INTO monitoring.alert_definition_h (alert_definition_hk, alert_definition_bk)
				VALUES (util.hash_binary($1), $1) ON CONFLICT DO NOTHING`, key); err != nil {
				return err
			}
			if _, err := tx.Exec(s.t.Context(), sqlMetric, levelOf(key)); err != nil {
				return err
			}
			if _, err := tx.Exec(s.t.Context(), sqlMeasure, levelOf(key), level); err != nil {
				return err
			}
			if _, err := tx.Exec(s.t.Context(), sqlDefine, key, s.key, levelOf(key), r.escalateAfter > 0, max(r.escalateAfter, 1),
				r.suppression, r.channels); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		s.t.Fatalf("put definitions %v: %v", keys, err)
	}
}

// levelOf is the metric of a definition.
func levelOf(key string) string { return strings.ToLower(key) + "_level" }

const sqlMetric = `
INSERT INTO monitoring.condition_identifier (metric_source, identifier, description)
VALUES ('system_health', $1, 'Level of a story') ON CONFLICT DO NOTHING`

const sqlMeasure = `
SELECT count(r.*)
  FROM (SELECT 'local' AS target_name UNION ALL SELECT c.target_name FROM monitoring.target_current c WHERE c.target_state = 'ENABLED') AS t,
       LATERAL monitoring.record_health_samples(t.target_name, NULL, clock_timestamp(), 5, jsonb_build_array(jsonb_build_object(
           'name', $1::text, 'category', 'PERFORMANCE', 'low_is_bad', false, 'source', 'story', 'value', $2::integer))) AS r
 WHERE monitoring.unreachable_since(t.target_name, clock_timestamp()) IS NULL`

const sqlDefine = `
INSERT INTO monitoring.alert_definition_s (
    alert_definition_hk, hash_diff, alert_name, alert_category, alert_severity, metric_source, condition_logic,
    threshold_value, threshold_operator, evaluation_frequency_minutes, auto_resolve, escalation_enabled,
    escalation_delay_minutes, suppression_window_minutes, notification_channels, lookback_minutes, runbook_url)
VALUES (util.hash_binary($1), '\x', 'Story ' || $1, $2, 'HIGH', 'system_health', $3 || ' >= threshold_value',
    1, '>=', 1, true, $4, $5, $6, $7, 60, '` + runbooks + `' || $1)`

// runbooks is where what to do about a story's alert is written.
const runbooks = "https://runbooks.example.com/"

// version is one row of an alert's state.
type version struct {
	Key, ID, Status       string
	Level                 int
	Actor, Via, Source    string
	ChangedAt, RecordedAt time.Time
	HashKey               []byte
	Notified              int
}

func (v version) String() string {
	return fmt.Sprintf("%s  %s %-12s level %d by %q via %s, %d notified, changed %s", stamp(v.RecordedAt), v.ID, v.Status, v.Level,
		v.Actor, v.Via, v.Notified, stamp(v.ChangedAt))
}

const sqlVersions = `
SELECT h.alert_instance_bk, monitoring.alert_short_id(h.alert_instance_hk), s.alert_status, s.escalation_level,
       coalesce(CASE s.alert_status WHEN 'RESOLVED' THEN s.resolved_by WHEN 'ACKNOWLEDGED' THEN s.acknowledged_by END, ''),
       coalesce(s.changed_via, ''), s.record_source, coalesce(s.changed_at, s.load_date), s.load_date, h.alert_instance_hk, s.notification_count
  FROM monitoring.alert_instance_h h
  JOIN monitoring.alert_instance_s s USING (alert_instance_hk)
 WHERE h.alert_definition_hk = util.hash_binary($1)
 ORDER BY h.load_date, h.alert_instance_bk, s.load_date`

// versions are all rows of the alerts of a definition, alert by alert, in the order of their recording.
func (w *world) versions(ctx context.Context, definition string) ([]version, error) {
	rows, err := w.db.Query(ctx, sqlVersions, definition)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (v version, err error) {
		err = row.Scan(&v.Key, &v.ID, &v.Status, &v.Level, &v.Actor, &v.Via, &v.Source, &v.ChangedAt, &v.RecordedAt, &v.HashKey, &v.Notified)
		return v, err
	})
}

// states are the statuses of an alert without repetition: a row that only counts messages is left out.
func states(versions []version, key string) []string {
	var list []string
	for _, v := range versions {
		if v.Key == key && v.Source != "NOTIFICATION_MANAGER" {
			list = append(list, v.Status)
		}
	}
	return list
}

// keysOf are the alerts among versions, in the order of their opening.
func keysOf(versions []version) []string {
	var keys []string
	for _, v := range versions {
		if !slices.Contains(keys, v.Key) {
			keys = append(keys, v.Key)
		}
	}
	return keys
}

// entry is one row of the ledger.
type entry struct {
	Alert, Event, Channel, Recipient, Status string
	Attempt                                  int
	Class, Reason, Proof, DeliveryKey        string
	Duplicate, Current                       bool
	RecordedAt                               time.Time
}

func (e entry) String() string {
	mark := ""
	if e.Duplicate {
		mark = " POSSIBLE DUPLICATE"
	}
	return fmt.Sprintf("%s  %-12s %s to %s: %s%s attempt %d %s %s%s", stamp(e.RecordedAt), e.Event, e.Channel, e.Recipient, e.Status, mark,
		e.Attempt, e.Class, e.Proof, e.Reason)
}

const sqlLedger = `
SELECT a.alert_instance_bk, coalesce(l.event, ''), c.notification_config_bk, coalesce(l.recipient_address, ''), l.delivery_status, l.retry_count,
       coalesce(l.outcome_class, ''), coalesce(l.failure_reason, ''), coalesce(l.delivery_proof, ''), coalesce(l.delivery_key, ''),
       l.possible_duplicate, l.load_end_date IS NULL, l.load_date
  FROM monitoring.alert_instance_h a
  JOIN monitoring.notification_log_h h USING (alert_instance_hk)
  JOIN monitoring.notification_config_h c USING (notification_config_hk)
  JOIN monitoring.notification_log_s l USING (notification_log_hk)
 WHERE a.alert_definition_hk = util.hash_binary($1)
 ORDER BY l.load_date`

// ledger is every version of every notification of a definition's alerts, in the order of recording.
func (w *world) ledger(ctx context.Context, definition string) ([]entry, error) {
	rows, err := w.db.Query(ctx, sqlLedger, definition)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (e entry, err error) {
		err = row.Scan(&e.Alert, &e.Event, &e.Channel, &e.Recipient, &e.Status, &e.Attempt, &e.Class, &e.Reason, &e.Proof, &e.DeliveryKey,
			&e.Duplicate, &e.Current, &e.RecordedAt)
		return e, err
	})
}

// current leaves what stands now.
func current(entries []entry) []entry {
	return slices.DeleteFunc(slices.Clone(entries), func(e entry) bool { return !e.Current })
}

// awaitState waits until the newest alert of the story's definition has a status, and returns its row.
func (s *story) awaitState(status string) version {
	s.t.Helper()
	return s.w.awaitState(s.t, s.key, status)
}

func (w *world) awaitState(t *testing.T, definition, status string) (found version) {
	t.Helper()
	eventually(t, patience, definition+" is "+status+" in the vault", func(ctx context.Context) (bool, any, error) {
		versions, err := w.versions(ctx, definition)
		if err != nil || len(versions) == 0 {
			return false, nil, err
		}
		found = versions[len(versions)-1]
		return found.Status == status, versions, nil
	})
	return found
}

// arrived reports whether the provider took the message and nothing says that it was lost since: of a telephone it is
// SENT until a receipt comes.
func (e entry) arrived() bool { return e.Status == "DELIVERED" || e.Status == "SENT" }

// awaitTold waits until the ledger says of so many recipients that they were told of an event.
func (s *story) awaitTold(event string, recipients int) {
	s.t.Helper()
	s.w.awaitTold(s.t, s.key, event, recipients)
}

func (w *world) awaitTold(t *testing.T, definition, event string, recipients int) {
	t.Helper()
	eventually(t, patience, fmt.Sprintf("%d recipients of %s were told of %s", recipients, definition, event), func(ctx context.Context) (bool, any, error) {
		entries, err := w.ledger(ctx, definition)
		told := 0
		for _, e := range current(entries) {
			if e.Event == event && e.arrived() {
				told++
			}
		}
		return told == recipients, entries, err
	})
}

// status asks the running workflow of a definition.
func (w *world) status(ctx context.Context, definition string) (alert.GroupStatus, error) {
	var status alert.GroupStatus
	value, err := w.temporal.QueryWorkflow(ctx, workflows.AlertWorkflowID("local", definition, ""), "", alert.QueryStatus)
	if err != nil {
		return status, err
	}
	return status, value.Get(&status)
}

// received lists the events that a channel of the story's inbox was told of an alert, in order.
func (s *story) received(channel, id string) []string {
	var events []string
	for _, m := range s.inbox.Messages() {
		if m.Channel == channel && strings.Contains(m.Subject+m.Text+m.Raw, id) {
			events = append(events, eventOf(m))
		}
	}
	return events
}

// escalated is how a message says that nobody has answered.
var escalated = regexp.MustCompile(`(?i)escalation level (\d+)`)

// eventOf tells what a message is about: from a webhook's id, and otherwise from its words, as its reader
// would.
func eventOf(m inbox.Message) string {
	if _, event, ok := strings.Cut(m.Key, "/"); ok && m.Channel == inbox.Webhook {
		return event
	}
	if m.Severity == "RESOLVED" {
		return "RESOLVED"
	}
	if level := escalated.FindStringSubmatch(m.Subject + m.Text + m.Raw); level != nil {
		return "ESCALATED:" + level[1]
	}
	return "FIRED"
}

// timeline is all that can be seen of the story: for the reader of a failure.
func (s *story) timeline() string {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	var b strings.Builder
	fmt.Fprintf(&b, "timeline of %s\n", s.key)
	versions, err1 := s.w.versions(ctx, s.key)
	entries, err2 := s.w.ledger(ctx, s.key)
	if err := errors.Join(err1, err2); err != nil {
		fmt.Fprintf(&b, "  the vault does not tell: %v\n", err)
	}
	for _, v := range versions {
		fmt.Fprintln(&b, "  state  ", v)
	}
	for _, e := range entries {
		fmt.Fprintln(&b, "  ledger ", e)
	}
	for _, m := range s.inbox.Attempts() {
		fmt.Fprintf(&b, "  inbox   %s  %s copy %d refused %v fault %q %s (key %s)\n", stamp(m.ReceivedAt), m.Channel, m.Copy, m.Refused, m.Fault, m.Subject, m.Key)
	}
	if status, err := s.w.status(ctx, s.key); err == nil {
		fmt.Fprintf(&b, "  workflow %+v\n", status)
	} else {
		fmt.Fprintf(&b, "  workflow: %v\n", err)
	}
	fmt.Fprintf(&b, "log of %s:\n%s", s.w.dev.name, s.w.dev.out.tail())
	return b.String()
}

func stamp(t time.Time) string { return t.UTC().Format("15:04:05.000") }

// names reports whether a message names a definition by its name, and no longer one.
func names(m inbox.Message, definition string) bool {
	return strings.Contains(m.Subject, "Story "+definition+" ")
}

// hasKey reports whether a webhook's id is about an alert of the definition.
func hasKey(m inbox.Message, definition string) bool {
	return strings.Contains(m.Key, "||"+definition+"||")
}

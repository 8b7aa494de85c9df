package migrations_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"onevault/pgserver/pgtest"
)

// ledger is a vault with one alert and channels that told of it.
type ledger struct {
	t  *testing.T
	db *pgxpool.Pool
}

func newLedger(t *testing.T) ledger {
	t.Helper()
	l := ledger{t, pgtest.Pool(t)}
	exec(t, l.db, `
		INSERT INTO monitoring.notification_config_h (notification_config_hk, notification_config_bk)
		SELECT util.hash_binary(k), k FROM unnest(ARRAY['MAIL', 'TEXT']) AS k`)
	exec(t, l.db, `SELECT monitoring.open_alert(k, util.hash_binary('SYSTEM_HIGH_CONNECTION_COUNT'), NULL, 'local', 'OPEN', now(), 90, NULL, 'HIGH', NULL, 'test')
		FROM unnest(ARRAY['ALERT||ONE', 'ALERT||TWO']) AS k`)
	return l
}

// tell writes one version of a notification by MAIL, with what the test sets otherwise.
func (l ledger) tell(set string) {
	l.t.Helper()
	exec(l.t, l.db, `SELECT monitoring.record_notification(jsonb '{"alert_key": "ALERT||ONE", "channel_key": "MAIL", "channel_type": "EMAIL",
		"recipient": "oncall@example.com", "event": "FIRED", "delivery_key": "key-1", "attempt": 0, "at": "2026-05-04T03:12:00Z", "status": "PENDING"}' || $1::jsonb)`, set)
}

const accepted = `{"status": "DELIVERED", "class": "ACCEPTED", "proof": "SMTP 250", "external_id": "abc@example.com"}`

// receipt records one and returns its effects.
func (l ledger) receipt(provider, reference, status string, minute int, details string) string {
	l.t.Helper()
	at := time.Date(2026, 5, 4, 3, minute, 0, 0, time.UTC)
	return strings.Join(values[string](l.t, l.db, `SELECT effect FROM monitoring.record_receipt($1, $2, $3, $4, $5::jsonb)`, provider, reference, status, at, details), " ")
}

// stands is how the notification of an alert stands.
func (l ledger) stands(alert string) string {
	l.t.Helper()
	return value[string](l.t, l.db, `
		SELECT concat_ws(' ', certainty, delivery_status, outcome_class, receipt_status)
		  FROM monitoring.notification_delivery WHERE alert_instance_bk = 'ALERT||' || $1`, alert)
}

func (l ledger) want(what, got, want string) {
	l.t.Helper()
	if got != want {
		l.t.Errorf("%s: %q, want %q", what, got, want)
	}
}

func TestReceipts_ConfirmAndBounceWhatWasAccepted(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	l.tell(`{}`)
	l.tell(accepted)
	l.want("accepted", l.stands("ONE"), "ACCEPTED DELIVERED ACCEPTED")
	l.want("receipt", l.receipt("EMAIL", "abc@example.com", "DELAYED", 13, `{}`), "RECORDED")
	l.want("delayed", l.stands("ONE"), "ACCEPTED DELIVERED ACCEPTED DELAYED")
	l.want("receipt", l.receipt("EMAIL", "abc", "DELIVERED", 14, `{}`), "RECORDED") // the sign of an envelope sender
	l.want("confirmed", l.stands("ONE"), "CONFIRMED DELIVERED ACCEPTED DELIVERED")
	l.want("receipt", l.receipt("EMAIL", "abc", "BOUNCED", 15, `{"reason": "550 no such user"}`), "RECORDED")
	l.want("bounced", l.stands("ONE"), "FAILED BOUNCED ACCEPTED BOUNCED")
	l.want("reason", value[string](t, l.db, `SELECT failure_reason FROM monitoring.notification_delivery`), "550 no such user")
	l.want("versions", fmt.Sprint(value[int](t, l.db, `SELECT count(*) FROM monitoring.notification_log_s`)), "5")
	l.want("who recorded it", value[string](t, l.db, `SELECT receipt_details ->> 'recorded_by' FROM monitoring.notification_log_s WHERE load_end_date IS NULL`),
		value[string](t, l.db, `SELECT session_user::text`))
}

func TestReceipts_LateOnesAndRepetitionsUndoNothing(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	l.tell(accepted)
	l.want("end", l.receipt("EMAIL", "abc", "DELIVERED", 14, `{}`), "RECORDED")
	stands := l.stands("ONE")
	for _, r := range []struct {
		status string
		minute int
		want   string
	}{
		{"DELIVERED", 14, "KNOWN"}, {"DELIVERED", 20, "KNOWN"}, // the same callback, again with another time
		{"SENT", 13, "LATE"}, {"SENT", 13, "KNOWN"}, {"DELAYED", 30, "LATE"}, // nothing is on its way that has arrived
		{"BOUNCED", 13, "LATE"}, // what ended it later counts
	} {
		l.want(r.status, l.receipt("EMAIL", "abc", r.status, r.minute, `{}`), r.want)
		l.want("after "+r.status, l.stands("ONE"), stands)
	}
	l.want("current versions", fmt.Sprint(value[int](t, l.db, `SELECT count(*) FROM monitoring.notification_log_s WHERE load_end_date IS NULL`)), "1")
	l.want("late ones kept", fmt.Sprint(value[int](t, l.db, `SELECT count(*) FROM monitoring.notification_log_s WHERE load_end_date = load_date`)), "3")
}

func TestReceipts_ResolveALostAnswerSoThatNothingIsSentAgain(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	text := `{"channel_key": "TEXT", "channel_type": "SMS", "recipient": "+491701"}`
	merge := func(set string) string {
		return value[string](t, l.db, `SELECT ($1::jsonb || $2::jsonb)::text`, text, set)
	}
	l.tell(merge(`{}`))
	l.tell(merge(`{"class": "UNCERTAIN", "reason": "no answer"}`))
	l.want("uncertain", l.stands("ONE"), "UNCERTAIN PENDING UNCERTAIN")
	l.want("receipt", l.receipt("TWILIO", "key-1", "SENT", 13, `{"recipient": "+491701", "channel": "TEXT"}`), "RECORDED")
	l.want("found", l.stands("ONE"), "ACCEPTED SENT ACCEPTED SENT")
	begun := value[string](t, l.db, `SELECT monitoring.begin_notifications(jsonb_build_array($1::jsonb))`,
		merge(`{"alert_key": "ALERT||ONE", "event": "FIRED", "delivery_key": "key-1", "attempt": 1, "at": "2026-05-04T03:14:00Z"}`))
	l.want("the attempt after it", begun, "DELIVERED")
}

func TestReceipts_ThatComeFirstAreNotUndoneByTheOutcome(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	l.tell(`{}`)
	l.want("receipt", l.receipt("EMAIL", "key-1", "DELIVERED", 13, `{}`), "RECORDED")
	l.tell(`{"class": "UNCERTAIN", "reason": "no answer"}`)
	l.want("an outcome that knew less", l.stands("ONE"), "CONFIRMED DELIVERED ACCEPTED DELIVERED")
	l.tell(accepted)
	l.tell(accepted)
	l.want("an outcome that agrees", l.stands("ONE"), "CONFIRMED DELIVERED ACCEPTED DELIVERED")
	l.want("the provider's id", value[string](t, l.db, `SELECT external_message_id FROM monitoring.notification_delivery`), "abc@example.com")
}

func TestReceipts_WaitForTheNotificationThatTheyAreAbout(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	l.want("receipt", l.receipt("EMAIL", "abc", "BOUNCED", 13, `{"reason": "550"}`), "WAITING")
	l.want("the same again", l.receipt("EMAIL", "abc", "BOUNCED", 13, `{"reason": "550"}`), "WAITING")
	l.want("waiting", fmt.Sprint(value[int](t, l.db, `SELECT count(*) FROM monitoring.receipt_waiting`)), "1")
	l.tell(accepted)
	second := value[string](t, l.db, `SELECT ($1::jsonb || '{"alert_key": "ALERT||TWO"}')::text`, accepted)
	l.tell(second) // one message told of both
	for _, alert := range []string{"ONE", "TWO"} {
		l.want(alert, l.stands(alert), "FAILED BOUNCED ACCEPTED BOUNCED")
	}
	exec(t, l.db, `SELECT monitoring.record_receipt('EMAIL', 'abc', 'DELIVERED', '2026-05-04T03:20:00Z')`)
	for _, alert := range []string{"ONE", "TWO"} {
		l.want(alert, l.stands(alert), "CONFIRMED DELIVERED ACCEPTED DELIVERED")
	}
}

func TestReceipts_OfAnEarlierAttemptHoldForALaterOneOnlyIfItArrived(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	l.tell(`{"class": "UNCERTAIN"}`)
	l.want("receipt", l.receipt("EMAIL", "key-1", "BOUNCED", 13, `{}`), "RECORDED")
	l.tell(`{"at": "2026-05-04T03:20:00Z", "attempt": 1, "status": "DELIVERED", "class": "ACCEPTED", "external_id": "new@example.com"}`)
	l.want("a later attempt", l.stands("ONE"), "ACCEPTED DELIVERED ACCEPTED")
}

func TestReceipts_RefuseWhatTheyCannotBeAbout(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	l.tell(accepted)
	l.tell(`{"recipient": "second@example.com", "status": "DELIVERED", "class": "ACCEPTED", "external_id": "def@example.com"}`)
	const record = `SELECT monitoring.record_receipt($1, $2, $3, $4::timestamptz, $5::jsonb)`
	refused(t, l.db, "22023", []string{`"FAX"`, "TWILIO"}, record, "FAX", "abc", "DELIVERED", "2026-05-04", `{}`)
	refused(t, l.db, "22023", []string{`"read"`, "details.said"}, record, "EMAIL", "abc", "read", "2026-05-04", `{}`)
	refused(t, l.db, "22023", []string{"0 characters"}, record, "EMAIL", " ", "DELIVERED", "2026-05-04", `{}`)
	refused(t, l.db, "22023", []string{"NULL", "time at which it came"}, record, "EMAIL", "abc", "DELIVERED", nil, `{}`)
	refused(t, l.db, "22023", []string{"object"}, record, "EMAIL", "abc", "DELIVERED", "2026-05-04", `[1]`)
	refused(t, l.db, "22023", []string{"key of 2 messages", "second@example.com", "details.recipient"}, record, "EMAIL", "key-1", "DELIVERED", "2026-05-04", `{}`)
	l.want("one of them", l.receipt("EMAIL", "key-1", "DELIVERED", 13, `{"recipient": "second@example.com"}`), "RECORDED")
	l.want("another provider's", l.receipt("TWILIO", "abc@example.com", "DELIVERED", 13, `{}`), "WAITING")
}

func TestReceipts_AreRecordedByOperatorsAndNotByReaders(t *testing.T) {
	t.Parallel()
	address := pgtest.DB(t)
	l := ledger{t, pgtest.Pool(t)}
	admin := connect(t, address)
	for role, allowed := range map[string]bool{"onevault_operator": true, "onevault_reader": false} {
		name, as := newRole(t, address)
		exec(t, admin, "GRANT "+role+" TO "+name)
		_, err := connect(t, as).Exec(t.Context(), `SELECT monitoring.record_receipt('EMAIL', 'abc', 'DELIVERED', now())`)
		if allowed != (err == nil) {
			l.t.Errorf("%s: %v, want it to be allowed: %t", role, err, allowed)
		}
	}
}

func TestDeliveryCertainty(t *testing.T) {
	t.Parallel()
	db := pgtest.Pool(t)
	for _, c := range []struct {
		status, class string
		confirmed     bool
		seconds       int // since the attempt began
		want          string
	}{
		{"DELIVERED", "ACCEPTED", true, 0, "CONFIRMED"},
		{"DELIVERED", "ACCEPTED", false, 0, "ACCEPTED"},
		{"SENT", "ACCEPTED", false, 0, "ACCEPTED"},
		{"PENDING", "", false, 59, "PENDING"},
		{"PENDING", "", false, 61, "UNCERTAIN"}, // begun, and never ended
		{"PENDING", "TRANSIENT", false, 3600, "PENDING"},
		{"PENDING", "UNCERTAIN", false, 0, "UNCERTAIN"},
		{"FAILED", "UNCERTAIN", false, 0, "UNCERTAIN"},
		{"FAILED", "CONFIG", false, 0, "FAILED"},
		{"BOUNCED", "ACCEPTED", true, 0, "FAILED"},
		{"SUPPRESSED", "", false, 3600, "none"},
	} {
		got := value[string](t, db, `SELECT coalesce(monitoring.delivery_certainty($1, nullif($2, ''), $3, now() - make_interval(secs => $4), now()), 'none')`,
			c.status, c.class, c.confirmed, c.seconds)
		if got != c.want {
			t.Errorf("%+v: %s", c, got)
		}
	}
}

func TestChannels_RefuseABounceAddressThatCouldTakeNoReport(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	put := func(set string) string {
		return fmt.Sprintf(`INSERT INTO monitoring.notification_config_s (notification_config_hk, hash_diff, channel_name, channel_type, configuration)
			VALUES (util.hash_binary('MAIL'), '\x', 'MAIL', 'EMAIL', jsonb '{"smtp_server": "mail.example.com", "from_address": "a@example.com", "to_addresses": ["b@example.com"]}' || '%s')`, set)
	}
	refused(t, l.db, "22023", []string{"delivery_receipts is", "without quotes"}, put(`{"delivery_receipts": "true"}`))
	refused(t, l.db, "22023", []string{"bounce_address is missing"}, put(`{"delivery_receipts": true}`))
	for _, address := range []string{"nobody", "a+b@example.com", strings.Repeat("b", 32) + "@example.com"} {
		refused(t, l.db, "22023", []string{`bounce_address is "` + address, "31 characters"}, put(`{"bounce_address": "`+address+`"}`))
	}
	exec(t, l.db, put(`{"bounce_address": "bounces@example.com", "delivery_receipts": true}`))
}

// deliver writes so many notifications of a channel that ended so.
func (l ledger) deliver(channel, status string, from, to int) {
	l.t.Helper()
	exec(l.t, l.db, `SELECT monitoring.record_notification(jsonb_build_object('alert_key', 'ALERT||ONE', 'channel_key', $1::text, 'channel_type', 'EMAIL',
		'recipient', 'oncall@example.com', 'event', 'REQUESTED:' || n, 'delivery_key', 'key-' || n, 'attempt', 0, 'at', now() - interval '1 hour',
		'status', $2::text, 'class', CASE $2::text WHEN 'DELIVERED' THEN 'ACCEPTED' ELSE 'PERMANENT' END)) FROM generate_series($3::integer, $4::integer) AS n`,
		channel, status, from, to)
}

func TestDeliveryRate_IsOfTheChannelThatDeliversLeastAndOfManyMessages(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	rate := func() string {
		return value[string](t, l.db, `SELECT coalesce(monitoring.condition_inputs('notifications', 'local', NULL, '1 hour', now()) ->> 'notification_delivery_pct', 'none')`)
	}
	look := func() string {
		return value[string](t, l.db, `SELECT concat_ws(' ', e.result, e.decision) FROM monitoring.alert_definition_s s,
			LATERAL monitoring.evaluate_definition(s, 'NOTIFICATION_DELIVERY_RATE', 'local', NULL, clock_timestamp(),
			    monitoring.condition_inputs('notifications', 'local', NULL, '1 hour', clock_timestamp()), NULL) AS e
			 WHERE s.alert_definition_hk = util.hash_binary('NOTIFICATION_DELIVERY_RATE') AND s.load_end_date IS NULL`)
	}
	l.deliver("MAIL", "DELIVERED", 1, 18)
	l.deliver("MAIL", "FAILED", 19, 19)
	l.want("19 messages", rate(), "none")
	l.want("19 messages", look(), "NO_DATA NONE")
	l.deliver("MAIL", "DELIVERED", 20, 200)
	l.deliver("TEXT", "DELIVERED", 1, 50)
	l.want("one of 200 failed", rate(), "99.50")
	l.want("one of 200 failed", look(), "FALSE NONE")
	l.deliver("TEXT", "BOUNCED", 51, 51)
	l.want("one of 51 came back", rate(), "98.04")
	l.want("one of 51 came back", look(), "TRUE FIRED")
	l.want("why", value[string](t, l.db, `SELECT trigger_details ->> 'reason' FROM monitoring.alert_instance_s
		WHERE trigger_details ->> 'reason' IS NOT NULL AND load_end_date IS NULL`), "TEXT delivered 50 of 51 (98.04 %)")
	exec(t, l.db, `SELECT monitoring.record_receipt('EMAIL', 'key-51', 'DELIVERED', now(), '{"channel": "TEXT"}')`)
	l.want("it arrived after all", rate(), "99.50")
	l.want("for people", value[string](t, l.db, `SELECT concat_ws(' ', ended, arrived, confirmed, failed, delivery_pct) FROM monitoring.channel_delivery_rate WHERE channel = 'TEXT'`), "51 51 1 0 100.00")
}

func TestCircuitAlert_FiresWhenAChannelHasSentNothingForFiveMinutes(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	n := 0
	attempt := func(channel string, ago time.Duration, status, class, reason string) {
		l.t.Helper()
		n++
		exec(t, l.db, `SELECT monitoring.record_notification(jsonb_strip_nulls(jsonb_build_object('alert_key', 'ALERT||ONE', 'channel_key', $1::text,
			'channel_type', 'EMAIL', 'recipient', 'oncall@example.com', 'event', 'REQUESTED:' || $2::int, 'delivery_key', 'key-' || $2::int, 'attempt', 0,
			'at', now() - $3::interval, 'status', $4::text, 'class', $5::text, 'reason', nullif($6::text, ''))))`, channel, n, ago, status, class, reason)
	}
	refusedAt := func(channel string, ago time.Duration) {
		l.t.Helper()
		attempt(channel, ago, "PENDING", "NOT_SENT", "circuit open since 08:00 until 08:30: 5 attempts in a row failed at email smtp.example.com:587; the last one said: connection refused")
	}
	look := func() string {
		return value[string](t, l.db, `SELECT concat_ws(' ', e.result, e.decision, trim_scale(e.evaluated_value)) FROM monitoring.alert_definition_s s,
			LATERAL monitoring.evaluate_definition(s, 'NOTIFICATION_CIRCUIT_OPEN', 'local', NULL, clock_timestamp(),
			    monitoring.condition_inputs('notifications', 'local', NULL, '1 hour', clock_timestamp()), NULL) AS e
			 WHERE s.alert_definition_hk = util.hash_binary('NOTIFICATION_CIRCUIT_OPEN') AND s.load_end_date IS NULL`)
	}
	l.want("nothing was refused", look(), "FALSE NONE 0")
	refusedAt("MAIL", minutes(30))
	attempt("MAIL", minutes(20), "DELIVERED", "ACCEPTED", "")
	refusedAt("MAIL", minutes(4))
	refusedAt("MAIL", minutes(1))
	l.want("refused for four minutes, after it had delivered", look(), "FALSE NONE 4")
	attempt("TEXT", minutes(40), "DELIVERED", "ACCEPTED", "")
	refusedAt("TEXT", minutes(15))
	refusedAt("TEXT", minutes(2))
	l.want("another one for fifteen", look(), "TRUE FIRED 15")
	why := value[string](t, l.db, "SELECT trigger_details ->> 'reason' FROM monitoring.alert_instance_s WHERE trigger_details ->> 'reason' IS NOT NULL AND load_end_date IS NULL")
	for _, part := range []string{"TEXT has sent nothing since 20", "connection refused", "MAIL has sent nothing since 20"} {
		if !strings.Contains(why, part) {
			t.Errorf("the reason is %q, and says nothing of %q", why, part)
		}
	}
	attempt("TEXT", 0, "DELIVERED", "ACCEPTED", "")
	l.want("it delivers again, the other one does not", look(), "FALSE HOLDING 4")
	attempt("MAIL", 0, "DELIVERED", "ACCEPTED", "")
	l.want("both deliver", look(), "FALSE RESOLVED 0")
}

func TestReceipts_AndTheirNotificationFindEachOtherWhileBothAreBeingWritten(t *testing.T) {
	t.Parallel()
	const outcome = `SELECT monitoring.record_notification('{"alert_key": "ALERT||ONE", "channel_key": "MAIL", "channel_type": "EMAIL",
		"recipient": "oncall@example.com", "event": "FIRED", "delivery_key": "key-1", "attempt": 0, "at": "2026-05-04T03:12:00Z",
		"status": "DELIVERED", "class": "ACCEPTED", "external_id": "abc@example.com"}')`
	const receipt = `SELECT count(*) FROM monitoring.record_receipt('EMAIL', 'abc', 'DELIVERED', '2026-05-04T03:13:00Z')`
	for _, c := range []struct{ name, first, second string }{
		{"outcome first", outcome, receipt},
		{"receipt first", receipt, outcome},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			l := newLedger(t)
			first, err := l.db.Begin(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = first.Rollback(context.Background()) })
			exec(t, first, c.first)
			second := make(chan error, 1)
			go func() {
				_, err := l.db.Exec(t.Context(), c.second)
				second <- err
			}()
			awaitBlocked(t, l.db)
			if err := first.Commit(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := <-second; err != nil {
				t.Fatal(err)
			}
			l.want("both known", l.stands("ONE"), "CONFIRMED DELIVERED ACCEPTED DELIVERED")
		})
	}
}

func TestReceipts_HoldForAlertsOfTheMessageWhoseOutcomeIsStillToBeWritten(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	l.tell(`{}`)
	l.tell(`{"alert_key": "ALERT||TWO"}`)
	l.tell(accepted)
	l.want("receipt", l.receipt("EMAIL", "abc", "DELIVERED", 13, `{}`), "RECORDED RECORDED")
	l.tell(value[string](t, l.db, `SELECT ($1::jsonb || '{"alert_key": "ALERT||TWO"}')::text`, accepted))
	for _, alert := range []string{"ONE", "TWO"} {
		l.want(alert, l.stands(alert), "CONFIRMED DELIVERED ACCEPTED DELIVERED")
	}
}

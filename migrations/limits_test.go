package migrations_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"onevault/pgserver/pgtest"
)

// limited is a ledger whose channels have limits.
type limited struct{ ledger }

func newLimited(t *testing.T, limit string) limited {
	t.Helper()
	l := limited{newLedger(t)}
	exec(t, l.db, `
		INSERT INTO monitoring.notification_config_s (notification_config_hk, hash_diff, channel_name, channel_type, configuration, rate_limit_per_hour)
		VALUES (util.hash_binary('MAIL'), '\x', 'Mail', 'WEBHOOK', '{"url": "https://example.com", "unsigned": true}', `+limit+`)`)
	return l
}

const oneEntry = `jsonb_build_array(jsonb_build_object('alert_key', 'ALERT||' || $1, 'channel_key', 'MAIL', 'channel_type', 'WEBHOOK',
	'recipient', 'hook', 'event', $2::text, 'delivery_key', $1 || '/' || $2, 'attempt', 0, 'at', clock_timestamp(), 'status', 'PENDING'))`

// begin asks for a message about an alert and returns what the ledger knew, and what is to be said.
func (l limited) begin(alert, event, regardless string) (finding, said string) {
	l.t.Helper()
	answer := value[string](l.t, l.db, `SELECT finding || '|' || coalesce(said, '') FROM monitoring.begin_within_limit(`+oneEntry+`, nullif($3, ''))`, alert, event, regardless)
	finding, said, _ = strings.Cut(answer, "|")
	return finding, said
}

func (l limited) wantFinding(want, alert, event, regardless string) (said string) {
	l.t.Helper()
	finding, said := l.begin(alert, event, regardless)
	l.want(alert+" "+event, finding, want)
	return said
}

func TestLimits_ExactlySoManyPassWhenManyAskAtOnce(t *testing.T) {
	t.Parallel()
	l := newLimited(t, "50")
	var (
		mu    sync.Mutex
		found = map[string]int{}
	)
	atOnce(200, func(i int) {
		finding, _ := l.begin("ONE", fmt.Sprintf("REQUESTED:%d", i), "")
		mu.Lock()
		defer mu.Unlock()
		found[finding]++
	})
	if found["NEW"] != 50 || found["DIGESTED"] != 150 {
		t.Errorf("found %v", found)
	}
	l.want("ledger", strings.Join(values[string](t, l.db, `
		SELECT delivery_status || ' ' || count(*) FROM monitoring.notification_log_s WHERE load_end_date IS NULL GROUP BY delivery_status ORDER BY 1`), ", "),
		"DIGESTED 150, PENDING 50")
	l.want("certainty", strings.Join(values[string](t, l.db, `SELECT DISTINCT certainty FROM monitoring.notification_delivery WHERE delivery_status = 'DIGESTED'`), ""), "PENDING")
}

func TestLimits_CountMessagesAndNotTheirAttempts(t *testing.T) {
	t.Parallel()
	l := newLimited(t, "2")
	l.wantFinding("NEW", "ONE", "FIRED", "")
	l.wantFinding("UNKNOWN_OUTCOME", "ONE", "FIRED", "") // the same, once more
	l.wantFinding("NEW", "TWO", "FIRED", "")
	said := l.wantFinding("DIGESTED", "ONE", "ESCALATED:1", "")
	l.want("said", said, "2 messages went to this recipient within an hour, and rate_limit_per_hour is 2: gathered into a digest")
	l.wantFinding("DIGESTED", "ONE", "ESCALATED:1", "") // until a digest told of it
	exec(t, l.db, `UPDATE monitoring.notification_window SET begun_at = begun_at - interval '61 minutes' WHERE message_key = 'ONE/FIRED'`)
	l.wantFinding("NEW", "ONE", "ESCALATED:2", "")
	l.wantFinding("DIGESTED", "ONE", "ESCALATED:3", "")
}

func TestLimits_CriticalGoesWhateverTheLimitAndTheLedgerSaysSo(t *testing.T) {
	t.Parallel()
	l := newLimited(t, "1")
	l.want("within", l.wantFinding("NEW", "ONE", "FIRED", "it is CRITICAL"), "")
	l.want("over", l.wantFinding("NEW", "TWO", "FIRED", "it is CRITICAL"), "over rate_limit_per_hour, 2 of 1: sent because it is CRITICAL")
}

func TestLimits_WhatEndsBeforeItsDigestIsSaidInIt(t *testing.T) {
	t.Parallel()
	l := newLimited(t, "1")
	l.wantFinding("NEW", "ONE", "FIRED", "")
	l.wantFinding("DIGESTED", "TWO", "FIRED", "")
	exec(t, l.db, `UPDATE monitoring.notification_window SET begun_at = begun_at - interval '2 hours'`)
	l.wantFinding("DIGESTED", "TWO", "RESOLVED", "") // although there is room
	l.wantFinding("NEW", "ONE", "RESOLVED", "")      // who was told of the one hears of its end
}

func TestLimits_NullAndZeroAreNoneAndLessIsRefused(t *testing.T) {
	t.Parallel()
	for _, limit := range []string{"NULL", "0"} {
		l := newLimited(t, limit)
		for i := range 3 {
			l.wantFinding("NEW", "ONE", fmt.Sprintf("REQUESTED:%d", i), "")
		}
		l.want("counted", fmt.Sprint(value[int](t, l.db, `SELECT count(*) FROM monitoring.notification_window`)), "0")
	}
	refused(t, pgtest.Pool(t), "22023", []string{`channel "Mail"`, "rate_limit_per_hour is -1", "NULL or 0 is no limit"}, `
		WITH h AS (INSERT INTO monitoring.notification_config_h (notification_config_hk, notification_config_bk) VALUES (util.hash_binary('M'), 'M') RETURNING 1)
		INSERT INTO monitoring.notification_config_s (notification_config_hk, hash_diff, channel_name, channel_type, configuration, rate_limit_per_hour)
		SELECT util.hash_binary('M'), '\x', 'Mail', 'WEBHOOK', '{"url": "https://example.com", "unsigned": true}', -1 FROM h`)
}

func TestLimits_ADigestIsOneMessageAndWaitsForRoom(t *testing.T) {
	t.Parallel()
	l := newLimited(t, "2")
	room := func() string {
		return value[string](t, l.db, `
			SELECT CASE WHEN r.at = '-infinity' THEN 'now' ELSE (r.at - (SELECT min(begun_at) FROM monitoring.notification_window))::text END
			  FROM (SELECT monitoring.digest_room('MAIL', 'hook') AS at) AS r`)
	}
	l.wantFinding("NEW", "ONE", "FIRED", "")
	l.want("room", room(), "now")
	l.wantFinding("NEW", "TWO", "FIRED", "")
	l.want("room", room(), "01:00:00")
	l.wantFinding("DIGESTED", "ONE", "ESCALATED:1", "")
	l.wantFinding("DIGESTED", "TWO", "ESCALATED:1", "")
	l.want("begun", strings.Join(values[string](t, l.db, `
		SELECT alert_key || ' ' || finding FROM monitoring.begin_digest((
		       SELECT jsonb_agg(jsonb_build_object('alert_key', 'ALERT||' || k, 'channel_key', 'MAIL', 'channel_type', 'WEBHOOK', 'recipient', 'hook',
		                                           'event', 'ESCALATED:1', 'delivery_key', 'digest/1', 'attempt', 0, 'at', clock_timestamp(), 'status', 'PENDING'))
		         FROM unnest(ARRAY['ONE', 'TWO']) AS k))`), ", "), "ALERT||ONE NEW, ALERT||TWO NEW")
	l.want("counted", fmt.Sprint(value[int](t, l.db, `SELECT count(*) FROM monitoring.notification_window`)), "3")
	l.want("ledger", strings.Join(values[string](t, l.db, `
		SELECT delivery_status || ' ' || delivery_key FROM monitoring.notification_log_s WHERE load_end_date IS NULL AND event = 'ESCALATED:1'`), ", "),
		"PENDING digest/1, PENDING digest/1")
}

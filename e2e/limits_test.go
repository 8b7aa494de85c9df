package e2e_test

import (
	"context"
	"flag"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	enumspb "go.temporal.io/api/enums/v1"

	"onevault/activities"
	"onevault/inbox"
	"onevault/settings"
	"onevault/workflows"
)

var notifications = flag.Int("notifications", 0, "number of notifications over five channels, one of whose providers is dead; 0: none, see make bench-notify")

func TestRateLimit_WhatIsOverItIsToldInOneDigestThatSurvivesAKilledWorker(t *testing.T) {
	t.Parallel()
	r := startRig(t, "limits")
	s := tell(t, &r.world, "E2E_LIMITS")
	s.channel("FEW", "WEBHOOK", webhookTo(s.inbox), 3, 1)
	s.limit("FEW", 2)
	worker := r.startWorker(settings.DigestWithin + "=40s")
	awaitReady(t, worker)
	r.awaitSamples()

	few := rule{channels: []string{s.channelKey("FEW")}}
	keys := []string{s.key + "_A", s.key + "_B", s.key + "_C", s.key + "_D", s.key + "_E"}
	s.defineAs(few, holds, keys...)
	if got := s.awaitLedger("FEW", 5); !slices.Equal(got, []string{"DELIVERED FIRED 1", "DELIVERED FIRED 1", "DIGESTED FIRED", "DIGESTED FIRED", "DIGESTED FIRED"}) {
		t.Fatalf("ledger %q", got)
	}
	worker.kill()
	awaitReady(t, r.startWorker(settings.DigestWithin+"=40s"))

	r.awaitGathered(s.channelKey("FEW"), s.inbox.HTTPURL()+"/...", 3) // also what the killed worker had not brought yet

	// What is over before its digest is said in it, and nobody hears of it in another way.
	waiting := s.waitingDefinition()
	s.defineAs(few, clears, waiting)
	eventually(t, patience, "the digest", func(context.Context) (bool, any, error) {
		list := s.inbox.Messages()
		return len(list) >= 3, len(list), nil
	})
	eventually(t, patience, "the ledger of the digest", func(context.Context) (bool, any, error) {
		got := s.ledgerOf("FEW")
		return !slices.ContainsFunc(got, func(e string) bool { return !strings.HasPrefix(e, "DELIVERED") }), got, nil
	})
	list := s.inbox.Messages()
	if len(list) != 3 || !strings.Contains(list[2].Raw, "Digest: 2 open alerts, 1 over") || !strings.HasPrefix(list[2].Key, "digest/"+s.channelKey("FEW")+"/") {
		t.Errorf("%d messages, the last: %s %s", len(list), list[len(list)-1].Key, list[len(list)-1].Raw)
	}
	got := s.ledgerOf("FEW")
	if want := []string{"DELIVERED FIRED 1", "DELIVERED FIRED 1", "DELIVERED FIRED digest", "DELIVERED FIRED digest", "DELIVERED FIRED digest", "DELIVERED RESOLVED digest"}; !slices.Equal(got, want) {
		t.Errorf("ledger %q", got)
	}
	r.exportNewest(t, "digest-killed-worker", workflows.DigestWorkflowName)
}

// awaitGathered waits until so many messages were brought to the digest of a recipient, and the alerts' workflows know it.
func (r *rig) awaitGathered(channel, recipient string, n int) {
	r.t.Helper()
	id := activities.DigestWorkflowID(channel, recipient)
	eventually(r.t, patience, fmt.Sprintf("%d messages in %s", n, id), func(ctx context.Context) (bool, any, error) {
		gathered := 0
		events := r.temporal.GetWorkflowHistory(ctx, id, "", false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
		for events.HasNext() {
			event, err := events.Next()
			if err != nil {
				return false, nil, err
			}
			if event.GetEventType() == enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED {
				gathered++
			}
		}
		return gathered >= n, gathered, nil
	})
}

// limit gives a channel of the story a rate_limit_per_hour.
func (s *story) limit(name string, perHour int) {
	s.t.Helper()
	_, err := s.w.db.Exec(s.t.Context(), `
		INSERT INTO monitoring.notification_config_s (
		    notification_config_hk, hash_diff, channel_name, channel_type, configuration, category_filter, retry_attempts, retry_delay_seconds, rate_limit_per_hour)
		SELECT notification_config_hk, '\x', channel_name, channel_type, configuration, category_filter, retry_attempts, retry_delay_seconds, nullif($2, 0)
		  FROM monitoring.notification_config_s WHERE channel_name = $1 AND load_end_date IS NULL`, s.channelKey(name), perHour)
	if err != nil {
		s.t.Fatal(err)
	}
}

// ledgerOf lists how the notifications of a channel stand: status, event, and whether a message of its own or a digest
// told of it.
func (s *story) ledgerOf(name string) []string {
	s.t.Helper()
	rows, err := s.w.db.Query(s.t.Context(), `
		SELECT concat_ws(' ', n.delivery_status, n.event, CASE WHEN n.delivery_status = 'DIGESTED' THEN NULL WHEN n.delivery_key LIKE 'digest/%' THEN 'digest' ELSE '1' END)
		  FROM monitoring.notification_log_s n
		  JOIN monitoring.notification_log_h h USING (notification_log_hk)
		  JOIN monitoring.notification_config_h c USING (notification_config_hk)
		 WHERE c.notification_config_bk = $1 AND n.load_end_date IS NULL
		 ORDER BY 1`, s.channelKey(name))
	if err != nil {
		s.t.Fatal(err)
	}
	defer rows.Close()
	var list []string
	for rows.Next() {
		var line string
		if err := rows.Scan(&line); err != nil {
			s.t.Fatal(err)
		}
		list = append(list, line)
	}
	if err := rows.Err(); err != nil {
		s.t.Fatal(err)
	}
	return list
}

// awaitLedger waits until so many notifications of a channel have no attempt under way.
func (s *story) awaitLedger(name string, n int) (list []string) {
	s.t.Helper()
	eventually(s.t, patience, fmt.Sprintf("%d notifications of %s", n, name), func(context.Context) (bool, any, error) {
		list = s.ledgerOf(name)
		return len(list) >= n && !slices.ContainsFunc(list, func(e string) bool { return strings.HasPrefix(e, "PENDING") }), list, nil
	})
	return list
}

// waitingDefinition is one whose alert waits in a digest.
func (s *story) waitingDefinition() (key string) {
	s.t.Helper()
	err := s.w.db.QueryRow(s.t.Context(), `
		SELECT d.alert_definition_bk
		  FROM monitoring.notification_log_s n
		  JOIN monitoring.notification_log_h h USING (notification_log_hk)
		  JOIN monitoring.alert_instance_h a USING (alert_instance_hk)
		  JOIN monitoring.alert_definition_h d USING (alert_definition_hk)
		 WHERE d.alert_definition_bk LIKE $1 || '%' AND n.load_end_date IS NULL AND n.delivery_status = 'DIGESTED'
		 ORDER BY 1 LIMIT 1`, s.key).Scan(&key)
	if err != nil {
		s.t.Fatal(err)
	}
	return key
}

// ---------------------------------------------------------------- many

// calmAlerts is how many alerts are told of before the trouble.
const calmAlerts = 100

// fiveTypes are the types of channel that the stories of many notifications use.
var fiveTypes = []string{inbox.Email, inbox.Slack, inbox.Webhook, inbox.SMS, inbox.PagerDuty}

// outcome is what became of the notifications of one channel.
type outcome struct {
	channel                                        string
	delivered, failed, open, uncertain, duplicates int
	received, twice                                int
	p50, p95                                       time.Duration // from the firing until it was taken
}

func TestNotifications_AllAreFinalAndNoneIsLostWhileOneProviderOfFiveIsDead(t *testing.T) {
	t.Parallel()
	if *notifications == 0 {
		t.Skip("it takes minutes: make bench-notify")
	}
	r := startRig(t, "many")
	s := tellIn(t, &r.world, "E2E_MANY", manyMessages(t))
	s.fiveChannels("EACH_", true)
	worker := r.startWorker(settings.CircuitOpenFor+"=2s", settings.CircuitGiveUp+"=2m")
	awaitReady(t, worker)
	each := *notifications / len(fiveTypes)

	calm := s.blow(storm{"CALM", 1, min(each, calmAlerts), "EACH_", fiveTypes})
	s.trouble(inbox.Slack, 1<<20, inbox.Behaviour{Hang: true}) // one provider of five
	s.trouble(inbox.PagerDuty, 3, inbox.Behaviour{Cut: true, Taken: true})
	s.trouble(inbox.SMS, 3, inbox.Behaviour{Cut: true, Taken: true})
	now, stop := context.WithCancel(t.Context())
	defer stop()
	go func() { // two fail now and again: a second of every four they take nothing
		for now.Err() == nil {
			s.trouble(inbox.Webhook, 1<<20, inbox.Behaviour{Status: 503})
			s.trouble(inbox.Email, 1<<20, inbox.Behaviour{Status: 451})
			time.Sleep(time.Second)
			s.trouble(inbox.Webhook, 0, inbox.Behaviour{})
			s.trouble(inbox.Email, 0, inbox.Behaviour{})
			time.Sleep(3 * time.Second)
		}
	}()
	began := time.Now()
	troubled := s.blow(storm{"STORM", 1, each, "EACH_", fiveTypes})
	t.Logf("%d notifications over five channels, one provider dead and four in trouble: all final %s after they fired",
		each*len(fiveTypes), time.Since(began).Round(time.Millisecond))
	for i, o := range troubled {
		t.Logf("%-9s delivered %d, failed %d (uncertain %d), possible duplicates %d; received %d, of them twice %d; p95 %s, before the trouble %s",
			o.channel, o.delivered, o.failed, o.uncertain, o.duplicates, o.received, o.twice, o.p95.Round(time.Millisecond), calm[i].p95.Round(time.Millisecond))
		switch {
		case o.open != 0 || o.delivered+o.failed != each:
			t.Errorf("%s: %+v: not all are final", o.channel, o)
		case o.channel == "SLACK" && o.delivered != 0:
			t.Errorf("%s: %d were delivered by a provider that is dead", o.channel, o.delivered)
		case o.channel != "SLACK" && (o.failed > o.uncertain || o.uncertain > each/50):
			t.Errorf("%s: %d of %d failed for good, of %d of them nobody knows", o.channel, o.failed, each, o.uncertain)
		case o.received < o.delivered:
			t.Errorf("%s: %d are said to be delivered, and %d came", o.channel, o.delivered, o.received)
		case o.twice > o.duplicates:
			t.Errorf("%s: %d came twice, and %d are shown as possible duplicates", o.channel, o.twice, o.duplicates)
		}
		if calm[i].delivered != min(each, calmAlerts) {
			t.Errorf("%s: %d of %d arrived without any trouble", o.channel, calm[i].delivered, min(each, calmAlerts))
		}
	}
}

// What the measure of a slow provider is made of, and what its neighbours may lose by it: noise of a machine that
// other programs use, and not a place in somebody else's queue, which would cost them seconds.
const (
	slowAnswer   = 9 * time.Second // just below the timeout of an attempt: each holds its place as long as it can
	slowAlerts   = 300
	slowGroups   = 100 // each of them is a workflow
	slowRounds   = 3
	slackOfRatio = 1.5
	slackOfTime  = 500 * time.Millisecond
)

func TestNotifications_OneSlowProviderDelaysNobodyElse(t *testing.T) {
	t.Parallel()
	if *notifications == 0 {
		t.Skip("it takes minutes: make bench-notify")
	}
	r := startRig(t, "slow")
	if err := r.tellEachGroup(t.Context()); err != nil {
		t.Fatal(err)
	}
	s := tellIn(t, &r.world, "E2E_SLOW", manyMessages(t))
	s.fiveChannels("EACH_", true)
	s.fiveChannels("GROUP_", false)
	awaitReady(t, r.startWorker())

	slow := inbox.Behaviour{Slow: slowAnswer}
	for _, shape := range []storm{
		{"EACH", 1, slowAlerts, "EACH_", fiveTypes},
		{"GROUP", slowGroups, 1, "GROUP_", fiveTypes},
	} {
		of := func(name string, awaited []string) map[string]outcome {
			b := shape
			b.name, b.awaited = shape.name+"_"+name, awaited
			list := map[string]outcome{}
			for _, o := range s.blow(b) {
				list[o.channel] = o
				if alerts := shape.groups * shape.ofAGroup; o.delivered != alerts || o.received != alerts {
					t.Errorf("%s: %+v", b.name, o)
				}
			}
			return list
		}
		of("FIRST", fiveTypes) // fills caches, opens connections
		for _, trouble := range []struct {
			channel string
			how     inbox.Behaviour
		}{
			{inbox.Webhook, slow}, {inbox.Email, slow}, {inbox.Slack, inbox.Behaviour{Hang: true}},
		} {
			others := slices.DeleteFunc(slices.Clone(fiveTypes), func(c string) bool { return c == trouble.channel })
			healthy, beside := map[string][]time.Duration{}, map[string][]time.Duration{}
			for round := range slowRounds {
				name := fmt.Sprintf("%s%d", trouble.channel, round)
				for channel, o := range of("HEALTHY_"+name, fiveTypes) {
					healthy[channel] = append(healthy[channel], o.p95)
				}
				s.trouble(trouble.channel, 10*slowAlerts, trouble.how)
				for channel, o := range of(name, others) {
					beside[channel] = append(beside[channel], o.p95)
				}
				s.trouble(trouble.channel, 0, inbox.Behaviour{})
				s.awaitFinal(storm{shape.name + "_" + name, shape.groups, shape.ofAGroup, shape.prefix, []string{trouble.channel}}) // not beside the next measure
			}
			for _, channel := range others {
				was, is := median(healthy[channel]), median(beside[channel])
				t.Logf("%-5s %-7s %-18s %-9s p95 %6s, all healthy %6s: %.2f times", shape.name, trouble.channel, trouble.how, channel,
					is.Round(time.Millisecond), was.Round(time.Millisecond), is.Seconds()/was.Seconds())
				if is > max(was+slackOfTime, time.Duration(slackOfRatio*float64(was))) {
					t.Errorf("%s: %s waits for %s: p95 %s, healthy %s", shape.name, channel, trouble.channel, beside[channel], healthy[channel])
				}
			}
		}
	}
}

func median(list []time.Duration) time.Duration {
	sorted := slices.Sorted(slices.Values(list))
	return sorted[len(sorted)/2]
}

// manyMessages starts an inbox that keeps them all.
func manyMessages(t *testing.T) *inbox.Server {
	t.Helper()
	return startInboxOf(t, 1_000_000)
}

// trouble makes the next requests of a channel fail. It is called from goroutines, too.
func (s *story) trouble(channel string, times int, how inbox.Behaviour) {
	if err := s.inbox.Fail(channel, times, how); err != nil {
		s.t.Error(err)
	}
}

// fiveChannels puts a channel of each of five types, whose names begin with the prefix.
func (s *story) fiveChannels(prefix string, oneMessagePerAlert bool) {
	s.t.Helper()
	put := func(name string, configuration map[string]any) {
		configuration["one_message_per_alert"] = oneMessagePerAlert
		retries := 3
		if name == inbox.Slack {
			retries = 1 // it will be dead: each attempt takes its time
		}
		s.channel(prefix+name, name, configuration, retries, 1)
		s.limit(prefix+name, 0)
	}
	put(inbox.Email, emailTo(s.t, s.inbox))
	put(inbox.Slack, map[string]any{"webhook_url": s.inbox.HTTPURL() + "/slack/services/T0/B0/" + slackToken})
	put(inbox.Webhook, webhookTo(s.inbox))
	put(inbox.SMS, map[string]any{
		"account_sid": "AC00000000000000000000000000000000", "auth_token_env": twilioTokenVariable, "from_number": "+12025550100",
		"to_numbers": []string{"+12025550198"}, "api_base_url": s.inbox.HTTPURL() + "/twilio",
	})
	put(inbox.PagerDuty, map[string]any{"routing_key_env": pagerKeyVariable, "api_base_url": s.inbox.HTTPURL() + "/pagerduty"})
}

// storm is what fires at one moment.
type storm struct {
	name             string
	groups, ofAGroup int      // definitions, and alerts of each
	prefix           string   // of the channels that hear it
	awaited          []string // the types of channel whose notifications the story waits for
}

// awaitFinal waits until every notification of the awaited channels is final.
func (s *story) awaitFinal(b storm) (list []outcome) {
	s.t.Helper()
	key, alerts := s.key+"_"+b.name, b.groups*b.ofAGroup
	eventually(s.t, 6*patience, "every notification of "+key+" to be final", func(ctx context.Context) (bool, any, error) {
		list = nil
		rows, err := s.w.db.Query(ctx, sqlOutcomes, key+"_", b.awaited)
		if err != nil {
			return false, nil, err
		}
		defer rows.Close()
		final := true
		for rows.Next() {
			var o outcome
			if err := rows.Scan(&o.channel, &o.delivered, &o.failed, &o.open, &o.uncertain, &o.duplicates); err != nil {
				return false, nil, err
			}
			final = final && o.open == 0 && o.delivered+o.failed == alerts
			list = append(list, o)
		}
		return final && len(list) == len(b.awaited), list, rows.Err()
	})
	return list
}

// blow opens the alerts in one transaction, as an evaluation that finds them does, and returns what became of them
// when every notification of the awaited channels is final.
func (s *story) blow(b storm) []outcome {
	s.t.Helper()
	key := s.key + "_" + b.name
	var channels []string
	for _, n := range fiveTypes {
		channels = append(channels, s.channelKey(b.prefix+n))
	}
	began := time.Now()
	err := pgx.BeginFunc(s.t.Context(), s.w.db, func(tx pgx.Tx) error {
		for group := range b.groups {
			definition := fmt.Sprintf("%s_%d", key, group)
			if _, err := tx.Exec(s.t.Context(), sqlHub, definition); err != nil {
				return err
			}
			if _, err := tx.Exec(s.t.Context(), sqlNeverByItself, definition, s.key, channels); err != nil {
				return err
			}
			if _, err := tx.Exec(s.t.Context(), sqlStorm, definition, b.ofAGroup); err != nil {
				return err
			}
		}
		began = time.Now()
		return nil
	})
	if err != nil {
		s.t.Fatal(err)
	}
	list := s.awaitFinal(b)
	for i := range list {
		o := &list[i]
		var took []time.Duration
		copies := map[string]int{}
		for _, m := range s.inbox.Attempts() {
			if m.Refused || m.Channel != o.channel || m.ReceivedAt.Before(began) {
				continue
			}
			took = append(took, m.ReceivedAt.Sub(began))
			if m.Key != "" {
				copies[m.Key]++
			}
		}
		o.received = len(took)
		for _, n := range copies {
			o.twice += n - 1
		}
		if slices.Sort(took); len(took) > 0 {
			o.p50, o.p95 = took[len(took)/2], took[len(took)*95/100]
		}
	}
	return list
}

const sqlHub = `
INSERT INTO monitoring.alert_definition_h (alert_definition_hk, alert_definition_bk) VALUES (util.hash_binary($1), $1)`

// sqlNeverByItself puts a definition whose alerts the story opens and nothing ends.
const sqlNeverByItself = `
INSERT INTO monitoring.alert_definition_s (
    alert_definition_hk, hash_diff, alert_name, alert_category, alert_severity, metric_source, condition_logic, threshold_value,
    threshold_operator, evaluation_frequency_minutes, auto_resolve, escalation_enabled, suppression_window_minutes, notification_channels)
VALUES (util.hash_binary($1), '\x', 'Story ' || $1, $2, 'HIGH', 'system_health', 'total_connections > threshold_value', 1000000,
    '>', 1, false, false, 0, $3)`

const sqlStorm = `
WITH moment AS MATERIALIZED (SELECT date_trunc('milliseconds', clock_timestamp()) AS at),
opened AS MATERIALIZED (
    SELECT i, m.at, monitoring.open_alert(
               util.bk('ALERT', 'local', $1, 'SYSTEM', to_char((m.at + make_interval(secs => i / 1e6)) AT TIME ZONE 'UTC', 'YYYYMMDD"T"HH24MISSUS')),
               util.hash_binary($1), NULL, 'local', 'OPEN', m.at, i, jsonb_build_object('reason', format('slot %s is over the line', i)), 'HIGH', NULL, 'story') AS hk
      FROM generate_series(1, $2::integer) AS i, moment AS m
)
SELECT count(monitoring.tell_workflow('FIRED', o.hk, jsonb_build_object('at', o.at, 'value', o.i))::text) FROM opened AS o`

const sqlOutcomes = `
SELECT n.name,
       count(s.*) FILTER (WHERE s.delivery_status IN ('DELIVERED', 'SENT')),
       count(s.*) FILTER (WHERE s.delivery_status IN ('FAILED', 'BOUNCED')),
       count(s.*) FILTER (WHERE s.delivery_status NOT IN ('DELIVERED', 'SENT', 'FAILED', 'BOUNCED')),
       count(s.*) FILTER (WHERE s.delivery_status = 'FAILED' AND s.outcome_class = 'UNCERTAIN'),
       count(s.*) FILTER (WHERE s.possible_duplicate)
  FROM unnest($2::text[]) WITH ORDINALITY AS n (name, o)
  LEFT JOIN (monitoring.notification_log_s s
             JOIN monitoring.notification_log_h h ON h.notification_log_hk = s.notification_log_hk
             JOIN monitoring.alert_instance_h a ON a.alert_instance_hk = h.alert_instance_hk
             JOIN monitoring.alert_definition_h d ON d.alert_definition_hk = a.alert_definition_hk AND starts_with(d.alert_definition_bk, $1))
    ON s.load_end_date IS NULL AND s.channel_used = n.name
 GROUP BY n.name, n.o
 ORDER BY n.o`

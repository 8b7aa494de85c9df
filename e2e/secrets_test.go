package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"go.temporal.io/api/workflowservice/v1"
	"google.golang.org/protobuf/proto"

	"onevault/inbox"
	"onevault/settings"
)

func TestSecrets_AreNowhereToBeRead(t *testing.T) {
	t.Parallel()
	w := sharedWorld(t)
	s := tell(t, w, "E2E_SECRETS")
	// Every way of failing writes reasons, and reasons quote what they are about.
	for channel, how := range map[string]inbox.Behaviour{
		inbox.Slack: {Status: 404}, inbox.Webhook: {Status: 500}, inbox.Email: {Status: 451},
		inbox.SMS: {Status: 500}, inbox.Voice: {Status: 403}, inbox.PagerDuty: {Status: 429},
	} {
		if err := s.inbox.Fail(channel, 1, how); err != nil {
			t.Fatal(err)
		}
	}
	login := emailTo(t, s.inbox)
	login["tls"], login["smtp_username"], login["smtp_password_env"] = "starttls", "onevault", smtpPasswordVariable
	s.channel("LOGIN", "EMAIL", login, 0, 1)
	s.channel("NOBODY", "SLACK", map[string]any{"webhook_url": "http://127.0.0.1:1/services/T0/B0/" + slackToken}, 0, 1)
	s.telephones()
	all := rule{suppression: 60}
	for _, name := range []string{"EMAIL", "SLACK", "WEBHOOK", "LOGIN", "NOBODY", "SMS", "VOICE", "PAGERDUTY"} {
		all.channels = append(all.channels, s.channelKey(name))
	}
	s.define(all, holds)
	opened := s.awaitState("OPEN")
	eventually(t, patience, "nine recipients of eight channels have ended", func(ctx context.Context) (bool, any, error) {
		entries, err := w.ledger(ctx, s.key)
		ended := 0
		for _, e := range current(entries) {
			if e.Status != "PENDING" {
				ended++
			}
		}
		return ended == 9, entries, err
	})
	for _, args := range [][]string{
		{"alert", "show", opened.ID},
		{"alert", "timeline", opened.ID, "-o", "json"},
		{"alert", "list", "-o", "json"},
		{"channel", "list", "-o", "json"},
		{"definition", "list", "-o", "yaml"},
		{"notification", "list", "-o", "json"},
		{"notification", "list", "--alert", opened.ID, "-o", "wide"},
		{"doctor"},
		{"channel", "test", s.channelKey("NOBODY")},
		{"channel", "test", s.channelKey("LOGIN")},
		{"channel", "test", s.channelKey("SMS")},
		{"channel", "test", s.channelKey("VOICE")},
		{"channel", "test", s.channelKey("PAGERDUTY")},
		{"alert", "resolve", opened.ID},
	} {
		w.onevault(t, args...) // what it says is in its log, which is searched below
	}

	found, err := w.leaks(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, place := range found {
		t.Errorf("a secret can be read in %s", place)
	}
}

// secrets are the values that nobody may read, by what they are.
func (w *world) secrets() (map[string]string, error) {
	u, err := url.Parse(w.env[settings.DatabaseURL])
	if err != nil {
		return nil, errors.New("the vault's address is no URL")
	}
	database, _ := u.User.Password()
	if database == "" {
		return nil, errors.New("the vault has no password: nothing could be found")
	}
	own, err := os.ReadFile(filepath.Join(w.dir, "webhook-secret"))
	if err != nil {
		return nil, err
	}
	return map[string]string{
		"the development webhook's secret": strings.TrimPrefix(strings.TrimSpace(string(own)), "whsec_"),
		"the webhook secret":               strings.TrimPrefix(webhookSecret, "whsec_"), "the SMTP password": smtpPassword,
		"Twilio's auth token": twilioToken, "PagerDuty's routing key": pagerKey,
		"the path of the Slack webhook and of the heartbeat": slackToken, "the database's password": database,
	}, nil
}

// leaks searches rows, histories, logs and outputs, and names where a secret stands.
func (w *world) leaks(ctx context.Context) ([]string, error) {
	secrets, err := w.secrets()
	if err != nil {
		return nil, err
	}
	var found []string
	search := func(place, text string) {
		for name, secret := range secrets {
			if strings.Contains(text, secret) {
				found = append(found, place+": "+name)
			}
		}
	}
	texts, err := logs()
	if err != nil {
		return nil, err
	}
	for path, text := range texts {
		search(path, text)
	}
	return found, errors.Join(w.searchRows(ctx, search), w.searchHistories(ctx, search), w.searchMetrics(ctx, search))
}

// searchRows looks into every row of every table and view of the vault's database, but for the one place where the guide
// has a secret: the webhook_url of a Slack channel.
func (w *world) searchRows(ctx context.Context, search func(place, text string)) error {
	rows, err := w.db.Query(ctx, `
		SELECT c.oid::regclass::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		 WHERE n.nspname <> 'information_schema' AND n.nspname !~ '^pg_' AND c.relkind IN ('r', 'p', 'v', 'm') AND NOT c.relispartition
		   AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')`)
	if err != nil {
		return err
	}
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	if len(tables) < 50 {
		return fmt.Errorf("the vault has %d tables: not all are searched", len(tables))
	}
	for _, table := range tables {
		rows, err := w.db.Query(ctx, fmt.Sprintf(`SELECT (to_jsonb(t) #- '{configuration,webhook_url}')::text FROM %s t`, table))
		if err != nil {
			return err
		}
		texts, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			return fmt.Errorf("read %s: %w", table, err)
		}
		search("table "+table, strings.Join(texts, "\n"))
	}
	return nil
}

// searchMetrics looks into what the worker tells whoever scrapes it.
func (w *world) searchMetrics(ctx context.Context, search func(place, text string)) error {
	base := w.env[settings.APIURL]
	if base == "" {
		return nil // a rig, whose workers come and go
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/metrics", nil)
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("scrape the worker: %w", err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if !strings.Contains(string(text), "onevault_pool_") {
		return fmt.Errorf("/metrics holds no metrics of ours: %.200s", text)
	}
	search("/metrics", string(text))
	return err
}

// searchHistories looks into every run of every workflow. The wire form holds payloads as they are.
func (w *world) searchHistories(ctx context.Context, search func(place, text string)) error {
	var next []byte
	runs := 0
	for {
		page, err := w.temporal.ListWorkflow(ctx, &workflowservice.ListWorkflowExecutionsRequest{PageSize: 200, NextPageToken: next})
		if err != nil {
			return fmt.Errorf("list workflows: %w", err)
		}
		for _, info := range page.GetExecutions() {
			id := info.GetExecution()
			h, err := history(ctx, w.temporal, id.GetWorkflowId(), id.GetRunId())
			if err != nil {
				return err
			}
			wire, err := proto.Marshal(h)
			if err != nil {
				return err
			}
			search("history of "+id.GetWorkflowId(), string(wire))
			runs++
		}
		if next = page.GetNextPageToken(); len(next) == 0 {
			break
		}
	}
	if runs == 0 {
		return errors.New("no workflow was found: nothing was searched")
	}
	return nil
}

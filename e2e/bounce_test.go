package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"onevault/settings"
)

// A mail that its server took may still come back. The server pipes what comes to the channel's bounce address to
// `onevault notification bounce`, run by an account of its own with the rights of people on call.
func TestMail_ThatComesBackIsABounceAndOneThatArrivesIsConfirmed(t *testing.T) {
	t.Parallel()
	w := sharedWorld(t)
	server := startPostfix(t, reportsProgram(t, w))
	s := tell(t, w, "E2E_BOUNCE")
	s.channel("POST", "EMAIL", map[string]any{
		"smtp_server": "127.0.0.1", "smtp_port": server.port, "tls": "none", "from_address": "OneVault <onevault@example.com>",
		"to_addresses": []string{"gone@example.com", "here@example.com"}, "bounce_address": "bounces@example.com", "delivery_receipts": true,
	}, 0, 1)
	s.define(rule{channels: []string{s.channelKey("POST")}}, holds)
	opened := s.awaitState("OPEN")
	var list string
	eventually(t, patience, "one mail came back and one is confirmed", func(context.Context) (bool, any, error) {
		list = w.must(t, "notification", "list", "--alert", opened.ID)
		return strings.Contains(list, "FAILED") && strings.Contains(list, "CONFIRMED"), list, nil
	})
	for _, line := range strings.Split(list, "\n") {
		switch {
		case strings.Contains(line, "gone@example.com"):
			mustHold(t, line, "FAILED", "BOUNCED", "5.1.1")
		case strings.Contains(line, "here@example.com"):
			mustHold(t, line, "CONFIRMED", "DELIVERED", "SMTP 250")
		}
	}
	id := strings.TrimSpace(w.must(t, "notification", "list", "--alert", opened.ID, "--status", "BOUNCED", "-o", "name"))
	mustHold(t, w.must(t, "notification", "show", id), "attempt 1 begun", "SMTP 250", "receipt BOUNCED", "by EMAIL", "recorded_by e2e_postmaster")
	mustHold(t, w.must(t, "alert", "timeline", opened.ID), "receipt for FIRED", "BOUNCED", "DELIVERED")
	s.define(rule{}, clears)
	s.awaitState("RESOLVED")
}

func mustHold(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("%q is missing in\n%s", part, text)
		}
	}
}

// reportsProgram is what the mail server runs, as docs/ledger.md shows it.
func reportsProgram(t *testing.T, w *world) string {
	t.Helper()
	for _, statement := range []string{
		"DROP ROLE IF EXISTS e2e_postmaster",
		"CREATE ROLE e2e_postmaster LOGIN PASSWORD '" + smtpPassword + "'",
		"GRANT onevault_operator TO e2e_postmaster",
	} {
		if _, err := w.db.Exec(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	u, err := url.Parse(w.env[settings.DatabaseURL])
	if err != nil {
		t.Fatal(errors.New("the vault's address is no URL"))
	}
	u.User = url.UserPassword("e2e_postmaster", smtpPassword)
	address := filepath.Join(scratch, "postmaster.env")
	text := fmt.Sprintf("export %s='%s'\n", settings.DatabaseURL, u)
	if err := os.WriteFile(address, []byte(text), 0o400); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(address, account(t, "nobody"), -1); err != nil {
		t.Fatal(err)
	}
	// A copy, because the one that was built may lie where the mail server's account may not look.
	binary, err := os.ReadFile(program.cli)
	if err != nil {
		t.Fatal(err)
	}
	copied := filepath.Join(scratch, "onevault-for-mail")
	if err := os.WriteFile(copied, binary, 0o755); err != nil {
		t.Fatal(err)
	}
	script := filepath.Join(scratch, "take-reports")
	text = fmt.Sprintf("#!/bin/sh\n. %s\nexec %s notification bounce --to \"$1\"\n", address, copied)
	if err := os.WriteFile(script, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	return script
}

package main

import (
	"strings"
	"testing"
	"time"

	"onevault/alert"
)

func TestAlertAck_TakesMatchersForAllThatNeedSomebody(t *testing.T) {
	t.Parallel()
	l := newLife(t)
	for i := range 11 {
		l.fire("local", connections, alert.SeverityHigh, 93, now.Add(time.Duration(i)*time.Second))
	}
	elsewhere := alert.ShortID(l.fire("pg-9", connections, alert.SeverityHigh, 93, now))
	l.cli("alert", "ack", "target=local", elsewhere).wants(t, exitUsage, "ids and matchers cannot be mixed")
	l.cli("alert", "ack", "host=local").wants(t, exitUsage, `there is no field "host"`, "target")
	l.cli("alert", "ack", "target=pg-8").wants(t, exitNotFound, "no open alert matches target=pg-8", "onevault alert list")
	l.cli("alert", "ack", "target=local", "--actor", "dana").wants(t, exitUsage, "acknowledge 11 alerts", "add --yes")
	l.cli("alert", "ack", "target=local", "--actor", "dana", "--yes").wants(t, exitDone)
	if open := l.cli("alert", "list", "state=OPEN", "-o", "name"); strings.TrimSpace(open.out) != elsewhere {
		t.Errorf("still open:\n%s", open.out)
	}
}

package main

import (
	"encoding/json"
	"strings"
	"testing"

	"onevault/pgserver/pgtest"
)

func TestSource_IsAppliedListedChangedAndRemoved(t *testing.T) {
	t.Parallel()
	i := invocation{url: pgtest.DB(t)}
	i.run(t, "source", "list").wants(t, exitDone, "no sources; add one")
	i.run(t, "source", "apply", "prometheus", "--token-env", "AM_TOKEN", "--actor", "dana").wants(t, exitDone, "applied prometheus", "/sources/alertmanager/prometheus")
	i.run(t, "source", "apply", "prometheus", "--token-env", "AM_TOKEN", "--actor", "kim").wants(t, exitDone, "stands like this already")
	i.run(t, "source", "apply", "prometheus", "--token-file", "/etc/onevault/am.token", "--max-definitions", "20", "--target-label", "server", "--actor", "kim").wants(t, exitDone, "applied")

	listed := i.run(t, "source", "list", "-o", "wide")
	listed.wants(t, exitDone, "prometheus", "ENABLED", "token in /etc/onevault/am.token", "0 of 20", "label server", "kim")
	var sources []map[string]any
	if err := json.Unmarshal([]byte(i.run(t, "source", "list", "-o", "json").out), &sources); err != nil || len(sources) != 1 || sources[0]["token_file"] != "/etc/onevault/am.token" {
		t.Errorf("%v %v", sources, err)
	}
	i.run(t, "source", "remove", "Prometheus", "--actor", "dana").wants(t, exitDone, "removed")
	i.run(t, "source", "remove", "prometheus", "--actor", "dana").wants(t, exitNotFound, `no source "prometheus"`, "onevault source list")
	i.run(t, "source", "list", "--all").wants(t, exitDone, "REMOVED")
}

func TestSource_WhatCouldNeverProveItselfIsRefusedWithItsRemedy(t *testing.T) {
	t.Parallel()
	i := invocation{url: pgtest.DB(t)}
	i.run(t, "source", "apply", "prometheus").wants(t, exitError, "0 of token_env", "Give exactly one")
	got := i.run(t, "source", "apply", "prometheus", "--token-env", "hunter2-the-token-itself")
	got.wants(t, exitError, "token_env is no name of a variable")
	if strings.Contains(got.out+got.err, "hunter2") {
		t.Error("the secret that was typed in the wrong place is repeated")
	}
}

# Needs Go and make, and test-matrix npm, nothing else. CI calls these targets too, and only these.

.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
SHELL := /bin/sh

# bin/onevault knows the commit it was built from, where git can tell. bin/onevault-dev does not: each
# commit would link its 200 MB again.
BUILDVCS := $(shell git rev-parse --verify -q HEAD >/dev/null 2>&1 && echo true || echo false)

# The pinned tools; the first use compiles them (golangci-lint: some 3 minutes). deadcode is there to be
# looked at, not to judge: what only cmd/onevault-dev uses looks dead from here.
#   go tool -modfile=tools/go.mod deadcode -test ./...
ROOT := $(CURDIR)
TOOL := go tool -modfile=$(ROOT)/tools/go.mod

# The tests wait for servers more than they compute, hence more in parallel than there are cores. They
# always run: a result from the cache says nothing about the PostgreSQL and the binaries of today.
TESTFLAGS ?= -count=1 -parallel=8 -timeout=15m

# Versions of PostgreSQL for test-matrix, such as VERSIONS="16 18"; empty: 16, 17, 18 and what is installed.
VERSIONS ?=

.PHONY: help run demo test test-matrix bench bench-alerts bench-collect bench-notify check build fmt clean

help: ## show this
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' Makefile

run: build ## start everything on this machine: PostgreSQL, Temporal with its Web UI, worker, inbox (ARGS="--ephemeral" ...)
	@exec bin/onevault-dev $(ARGS)

demo: build ## make a real condition true and watch the alert live, step by step
	@exec bin/onevault-dev demo $(ARGS)

test: build ## run all tests (TESTFLAGS="-run Escalates -v")
	@bin/onevault-dev prepare
	@failed=; \
	export ONEVAULT_BINARY=$(ROOT)/bin/onevault ONEVAULT_DEV_BINARY=$(ROOT)/bin/onevault-dev; \
	go test $(TESTFLAGS) ./... || failed=1; \
	(cd cmd/onevault-dev && go test $(TESTFLAGS) ./...) || failed=1; \
	test -z "$$failed"

test-matrix: ## run what talks to PostgreSQL on several versions of it (VERSIONS="16 18" PACKAGES=./collect), which npm brings
	@go build -o bin/pgmatrix ./pgserver/matrix
	@exec bin/pgmatrix -versions "$(VERSIONS)" -packages "$(PACKAGES)" -- $(TESTFLAGS)

bench: build ## measure the guide's queries on a month of history, and psql to workflow (BENCHFLAGS="-bench Query/daily")
	@failed=; \
	go test ./bench -run '^$$' -bench . -timeout=20m $(BENCHFLAGS) || failed=1; \
	ONEVAULT_BINARY=$(ROOT)/bin/onevault ONEVAULT_DEV_BINARY=$(ROOT)/bin/onevault-dev \
	go test ./e2e -count=1 -run '^TestOutbox_AcknowledgementsInPsql' -v -latency=50 > bin/latency.log 2>&1 || failed=1; \
	grep -E 'acknowledge_alert in psql|FAIL' bin/latency.log; \
	test -z "$$failed"

bench-alerts: build ## measure how fast, how cheaply and how faithfully alerts become messages, beside Debian's Prometheus and Alertmanager (ALERTSFLAGS="-only storm,kill")
	@go build -o bin/bench-alerts ./bench/alerts
	@bin/bench-alerts -json bin/bench-alerts.json $(ALERTSFLAGS)

bench-collect: ## measure what a collection costs the watched server, beside Debian's prometheus-postgres-exporter
	@mkdir -p bin
	@go build -o bin/bench-collect ./bench/collect
	@bin/bench-collect -json bin/bench-collect.json $(COLLECTFLAGS)

bench-notify: build ## send 10,000 notifications over five channels, one provider dead and four in trouble, then many beside one slow provider, and print what became of them
	@ONEVAULT_BINARY=$(ROOT)/bin/onevault ONEVAULT_DEV_BINARY=$(ROOT)/bin/onevault-dev \
	go test ./e2e -count=1 -run '^TestNotifications_' -v -parallel=1 -timeout 45m -notifications=10000

check: ## look for what tests do not find: format, vet, lint, determinism, modules, import rules
	@echo "== format"
	@unformatted=$$($(TOOL) gofumpt -l .) && test -z "$$unformatted" || \
		{ echo "$$unformatted"; echo "not formatted; run: make fmt"; exit 1; }
	@echo "== vet"
	@go vet ./...
	@cd cmd/onevault-dev && go vet ./...
	@cd tools && go vet ./buildprogress
	@echo "== lint"
	@$(TOOL) golangci-lint run ./...
	@cd cmd/onevault-dev && $(TOOL) golangci-lint run -c $(ROOT)/.golangci.yml ./...
	@echo "== workflows are deterministic"
	@go vet -vettool=$$($(TOOL) -n workflowcheck) -config=$(ROOT)/tools/workflowcheck.yaml ./...
	@echo "== modules"
	@go mod tidy -diff && go mod verify
	@cd cmd/onevault-dev && go mod tidy -diff
	@echo "== imports"
	@go test -count=1 .

build: ## compile bin/onevault and bin/onevault-dev (the first time takes minutes, and shows that it moves)
	@mkdir -p bin
	@GOFLAGS="$$GOFLAGS -buildvcs=$(BUILDVCS)" go run tools/buildprogress/main.go -o bin/onevault ./cmd/onevault
	@GOFLAGS="$$GOFLAGS -buildvcs=false" go run tools/buildprogress/main.go -C cmd/onevault-dev -o ../../bin/onevault-dev .

fmt: ## format the code
	@$(TOOL) gofumpt -w .

clean: ## remove what build made; data directories stay
	rm -rf bin

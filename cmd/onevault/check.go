package main

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"onevault/api"
	"onevault/settings"
)

// defaultAPIAddr is where a worker serves health and metrics unless it is told otherwise.
const defaultAPIAddr = "127.0.0.1:8080"

func (a *app) checkCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "check [vault|alerts|delivery | ready|live|URL]",
		Short: "Answer cron, Nagios and their kind in one line; or ask a running worker whether it is ready",
		Long: `For cron, Nagios, Icinga and Checkmk: without an argument all that ` + "`onevault doctor`" + ` looks at, or a part of it.
  check            everything between a condition and a person
  check vault      the vault, its schema, and whether it is written to
  check alerts     alerts that nobody has taken: CRITICAL is critical, HIGH and MEDIUM are a warning
  check delivery   under 99 % of a channel's messages of a day is a warning, under 90 % critical
One line of text with figures behind a bar. Exit codes as such systems read them, and as nowhere else here:
0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN.

For containers: ask a running worker over HTTP, /readyz for "ready", /healthz for "live", at $` + settings.APIURL + ` or else
http://` + defaultAPIAddr + `; or ask any URL. Exit code 0 when the answer is 2xx, 1 otherwise.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return a.judge(cmd.Context(), "")
			}
			if slices.Contains([]string{"vault", "alerts", "delivery"}, args[0]) {
				return a.judge(cmd.Context(), args[0])
			}
			address, err := a.checkAddress(args[0])
			if err != nil {
				return err
			}
			if err := api.Ask(cmd.Context(), address); err != nil {
				return err
			}
			fmt.Fprintln(a.out, "ok")
			return nil
		},
	}
}

func (a *app) checkAddress(what string) (string, error) {
	base := a.values.Get(settings.APIURL)
	if base == "" {
		base = "http://" + defaultAPIAddr
	}
	switch what {
	case "ready":
		return strings.TrimRight(base, "/") + "/readyz", nil
	case "live":
		return strings.TrimRight(base, "/") + "/healthz", nil
	}
	if parsed, err := url.Parse(what); err != nil || parsed.Scheme != "http" && parsed.Scheme != "https" || parsed.Host == "" {
		return "", usage(fmt.Errorf("%q is nothing to check: say ready, live, or a URL; or vault, alerts, delivery, or nothing", what))
	}
	return what, nil
}

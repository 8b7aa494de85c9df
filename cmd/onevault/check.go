package main

import (
	"fmt"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"onevault/api"
	"onevault/settings"
)

// defaultAPIAddr is where a worker serves health and metrics unless it is told otherwise.
const defaultAPIAddr = "127.0.0.1:8080"

func (a *app) checkCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "check ready|live|URL",
		Short: "Ask a running worker whether it is ready: the health check of a container",
		Long: `Ask a running worker over HTTP: /readyz for "ready", /healthz for "live", at $` + settings.APIURL + ` or else
http://` + defaultAPIAddr + `; or ask any URL. Exit code 0 when the answer is 2xx.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
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
		return "", usage(fmt.Errorf("%q is nothing to check: say ready, live, or a URL", what))
	}
	return what, nil
}

package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"onevault/inbox"
)

// inboxSecret names the variable with the secret by which the inbox verifies webhooks.
const inboxSecret = "ONEVAULT_INBOX_WEBHOOK_SECRET"

func (a *app) inboxCommand() *cobra.Command {
	config := inbox.Config{}
	cmd := &cobra.Command{
		Use:   "inbox",
		Short: "Catch mail, Slack messages and webhooks, and show them on a page: for trying out",
		Long: `Catch mail, Slack messages and webhooks, and show them on a page. For trying out: it has no
authentication, so keep it on a loopback or a private network. $` + inboxSecret + ` (whsec_...) makes it
verify the signatures of webhooks.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			config.Log = a.logger()
			config.WebhookSecret = os.Getenv(inboxSecret)
			server, err := inbox.Start(cmd.Context(), config)
			if err != nil {
				return err
			}
			fmt.Fprintf(a.out, "SMTP %s, page and webhooks %s\n", server.SMTPAddr(), server.HTTPURL())
			<-cmd.Context().Done()
			return server.Close()
		},
	}
	cmd.Flags().StringVar(&config.SMTPAddr, "smtp-addr", "127.0.0.1:1025", "where to listen for mail, host:port")
	cmd.Flags().StringVar(&config.HTTPAddr, "http-addr", "127.0.0.1:8025", "where to listen for HTTP, host:port")
	cmd.Flags().IntVar(&config.Keep, "keep", 500, "messages to keep")
	return cmd
}

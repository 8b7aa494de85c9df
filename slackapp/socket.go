package slackapp

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/slack-go/slack"
	"github.com/slack-go/slack/socketmode"
)

// Socket says how to open the connection of Socket Mode.
type Socket struct {
	AppToken string // xapp-...
	// API is the base of the Web API; empty: Slack's own.
	API string
	// Retry is how long to wait after Slack refused the token or the connection for good; 0: a minute.
	Retry time.Duration
}

// Listen keeps a connection to Slack and works on what is pressed, until ctx ends: then it returns nil. It
// reconnects when Slack asks for that, when the connection breaks, and, with patience, when the token is
// refused: an administrator may renew it. Its error says that the token cannot be one.
func (a *App) Listen(ctx context.Context, s Socket) error {
	if !strings.HasPrefix(s.AppToken, "xapp-") {
		return errors.New("the app token of Slack's Socket Mode must begin with xapp-; make one on the app's page, Basic Information, with the scope connections:write")
	}
	if s.Retry == 0 {
		s.Retry = time.Minute
	}
	for ctx.Err() == nil {
		if err := a.connect(ctx, s); err != nil && ctx.Err() == nil {
			a.Log.ErrorContext(ctx, "slack: socket mode ended, trying again", "after", s.Retry, "error", err)
			wait(ctx, s.Retry)
		}
	}
	return nil
}

func wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// silent is a logger of slack-go's kind that says nothing.
type silent struct{}

// Output implements slack-go's logger.
func (silent) Output(int, string) error { return nil }

// connect runs one client until it gives up.
func (a *App) connect(ctx context.Context, s Socket) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	quiet := silent{} // by itself it writes to the standard error what is in its events as well
	options := []slack.Option{
		slack.OptionAppLevelToken(s.AppToken), slack.OptionLog(quiet),
		slack.OptionHTTPClient(&http.Client{Timeout: answerTime}),
	}
	if s.API != "" {
		options = append(options, slack.OptionAPIURL(s.API))
	}
	client := socketmode.New(slack.New("", options...), socketmode.OptionLog(quiet))
	ended := make(chan error, 1)
	go func() { ended <- client.RunContext(ctx) }()
	for {
		select {
		case event := <-client.Events:
			a.hear(ctx, client, event)
		case err := <-ended:
			return err
		}
	}
}

// hear acknowledges first: Slack waits three seconds, and sends again what was not acknowledged.
func (a *App) hear(ctx context.Context, client *socketmode.Client, event socketmode.Event) {
	switch event.Type {
	case socketmode.EventTypeConnected:
		a.Log.InfoContext(ctx, "slack: socket mode connected")
	case socketmode.EventTypeConnectionError:
		if failed, ok := event.Data.(*slack.ConnectionErrorEvent); ok {
			a.Log.WarnContext(ctx, "slack: socket mode not connected, trying again", "after", failed.Backoff, "error", fmt.Sprint(failed.ErrorObj))
		}
	case socketmode.EventTypeInteractive:
		if err := client.AckCtx(ctx, event.Request.EnvelopeID, nil); err != nil {
			a.Log.WarnContext(ctx, "slack: press not acknowledged, it will come again", "error", err)
		}
		if callback, ok := event.Data.(slack.InteractionCallback); ok && callback.Type == slack.InteractionTypeBlockActions {
			a.begin(ctx, nil, callback)
		}
	default:
		if event.Request != nil && event.Request.EnvelopeID != "" {
			// The app subscribes to nothing else; what comes all the same is acknowledged, so that it comes once.
			if err := client.AckCtx(ctx, event.Request.EnvelopeID, nil); err != nil {
				a.Log.WarnContext(ctx, "slack: event not acknowledged", "type", string(event.Type), "error", err)
			}
		}
	}
}

package temporalserver

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/temporalio/ui-server/v2/server"
	uiconfig "github.com/temporalio/ui-server/v2/server/config"
	"github.com/temporalio/ui-server/v2/server/server_options"
)

type webUI struct {
	server *server.Server
	ended  chan struct{}
	url    string
}

// startUI serves Temporal's Web UI for the server at address and returns when it answers.
func startUI(ctx context.Context, port int, address string) (*webUI, error) {
	u := &webUI{
		ended: make(chan struct{}),
		url:   "http://" + hostPort(port),
		server: server.NewServer(server_options.WithConfigProvider(&uiconfig.Config{
			TemporalGRPCAddress: address,
			Host:                loopback,
			Port:                port,
			EnableUI:            true,
			DefaultNamespace:    Namespace,
			DisableNewsFetch:    true,
			HideLogs:            true,
			Distribution:        "server",
			CORS:                uiconfig.CORS{CookieInsecure: true}, // plain HTTP on the loopback address
		})),
	}
	go func() {
		defer close(u.ended)
		// Start logs and exits the process on any error but "closed"; its return value is always nil.
		_ = u.server.Start()
	}()
	if err := u.awaitReady(ctx); err != nil {
		u.stop()
		return nil, err
	}
	return u, nil
}

func (u *webUI) awaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	retry := time.NewTicker(10 * time.Millisecond)
	defer retry.Stop()
	for {
		err := u.answers(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-retry.C:
		case <-ctx.Done():
			return fmt.Errorf("wait for the Temporal UI on %s: %w", u.url, err)
		}
	}
}

func (u *webUI) answers(ctx context.Context) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.url+"/healthz", nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("GET /healthz: %s", resp.Status)
	}
	return nil
}

func (u *webUI) stop() {
	u.server.Stop()
	<-u.ended
}

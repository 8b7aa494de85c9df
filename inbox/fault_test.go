package inbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/textproto"
	"strings"
	"syscall"
	"testing"
	"time"
)

func plan(t *testing.T, s *Server, channel string, n int, b Behaviour) {
	t.Helper()
	if err := s.Fail(channel, n, b); err != nil {
		t.Fatalf("fail: %v", err)
	}
}

func TestFail_AnswersWithStatusExactlyNTimes(t *testing.T) {
	t.Parallel()
	s := start(t, Config{})
	plan(t, s, Slack, 2, Behaviour{Status: 503, RetryAfter: 7 * time.Second})
	for range 2 {
		res, err := http.Post(s.HTTPURL()+"/slack/ops", "application/json", strings.NewReader(`{"text":"x"}`))
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != http.StatusServiceUnavailable || res.Header.Get("Retry-After") != "7" {
			t.Errorf("status %d, Retry-After %q", res.StatusCode, res.Header.Get("Retry-After"))
		}
	}
	postSigned(t, s, "", "", `{}`, time.Now()) // another channel is not affected
	if status, _ := post(t, s.HTTPURL()+"/slack/ops", `{"text":"x"}`); status != 200 {
		t.Errorf("the third delivery got %d", status)
	}
	if received, tried := len(s.Messages()), len(s.Attempts()); received != 2 || tried != 4 {
		t.Errorf("%d received of %d tried, want 2 of 4", received, tried)
	}
}

func TestFail_CutAfterTheBodyMakesADuplicateOfTheRetry(t *testing.T) {
	t.Parallel()
	s := start(t, Config{})
	plan(t, s, Webhook, 1, Behaviour{Cut: true, Taken: true})
	req, err := http.NewRequest(http.MethodPost, s.HTTPURL()+"/webhook/ops", strings.NewReader(`{}`))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("webhook-id", "msg_1")
	if res, err := http.DefaultClient.Do(req); err == nil {
		res.Body.Close()
		t.Fatalf("the cut connection answered %d", res.StatusCode)
	} else if !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, io.EOF) {
		t.Errorf("error %v, want a reset or an end", err)
	}
	postSigned(t, s, testSecret, "msg_1", `{}`, time.Now())
	second := await(t, s, func(m Message) bool { return m.Copy == 2 })
	first := s.Messages()[0]
	if first.Fault == "" || first.Refused || second.Fault != "" {
		t.Errorf("first %q refused %v, second %q", first.Fault, first.Refused, second.Fault)
	}
}

func TestFail_HangLastsUntilTheSenderLeaves(t *testing.T) {
	t.Parallel()
	s := start(t, Config{})
	plan(t, s, Slack, 1, Behaviour{Hang: true})
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.HTTPURL()+"/slack/ops", strings.NewReader(`{"text":"x"}`))
	if err != nil {
		t.Fatal(err)
	}
	if res, err := http.DefaultClient.Do(req); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("result %v, error %v, want a deadline", res, err)
	}
	if tried := s.Attempts(); len(tried) != 1 || !tried[0].Refused {
		t.Errorf("attempts %+v, want one that was not received", tried)
	}
}

func TestFail_SlowTakesTheMessageAndAnswersAsAlways(t *testing.T) {
	t.Parallel()
	s := start(t, Config{})
	const slow = 300 * time.Millisecond
	plan(t, s, Slack, 1, Behaviour{Slow: slow})
	plan(t, s, Email, 1, Behaviour{Slow: slow})
	for channel, deliver := range map[string]func(){
		Slack: func() {
			if status, answer := post(t, s.HTTPURL()+"/slack/ops", `{"text":"x"}`); status != 200 {
				t.Errorf("answer %d %s", status, answer)
			}
		},
		Email: func() { mustSend(t, s, "Subject: x\r\n\r\ny") },
	} {
		began := time.Now()
		deliver()
		if took := time.Since(began); took < slow {
			t.Errorf("%s answered after %s", channel, took)
		}
		if m := await(t, s, func(m Message) bool { return m.Channel == channel }); m.Fault != "" || m.Refused {
			t.Errorf("%s: fault %q, refused %v", channel, m.Fault, m.Refused)
		}
	}
}

func TestFail_SMTP(t *testing.T) {
	t.Parallel()
	const content = "Subject: x\r\nMessage-ID: <m1>\r\n\r\ny"
	t.Run("status after DATA", func(t *testing.T) {
		t.Parallel()
		s := start(t, Config{})
		for _, code := range []int{451, 550} {
			plan(t, s, Email, 1, Behaviour{Status: code})
			wantCode(t, send(t, s, content), code)
		}
		mustSend(t, s, content)
		if m := await(t, s, anyMessage); m.Seq != 3 || m.Copy != 1 {
			t.Errorf("seq %d, copy %d: refused deliveries are no copies", m.Seq, m.Copy)
		}
	})
	t.Run("status at the recipient", func(t *testing.T) {
		t.Parallel()
		s := start(t, Config{})
		plan(t, s, Email, 1, Behaviour{Status: 550, AtRecipient: true})
		wantCode(t, send(t, s, content, "nobody@example.test"), 550)
		tried := s.Attempts()
		if len(tried) != 1 || tried[0].To != "nobody@example.test" || tried[0].Raw != "" {
			t.Errorf("attempts %+v", tried)
		}
	})
	t.Run("cut after DATA", func(t *testing.T) {
		t.Parallel()
		s := start(t, Config{})
		plan(t, s, Email, 1, Behaviour{Cut: true, Taken: true})
		err := send(t, s, content)
		var answer *textproto.Error
		if err == nil || errors.As(err, &answer) {
			t.Errorf("error %v, want a broken connection", err)
		}
		mustSend(t, s, content)
		if m := await(t, s, func(m Message) bool { return m.Copy == 2 }); m.Key != "<m1>" {
			t.Errorf("key %q", m.Key)
		}
	})
}

func TestFail_HangingDeliveriesEndWithTheInbox(t *testing.T) {
	t.Parallel()
	s := start(t, Config{})
	plan(t, s, Email, 1, Behaviour{Hang: true, Taken: true})
	plan(t, s, Slack, 1, Behaviour{Hang: true, Taken: true})
	ended := make(chan error, 2)
	go func() { ended <- send(t, s, "Subject: x\r\n\r\ny") }()
	go func() {
		res, err := http.Post(s.HTTPURL()+"/slack/ops", "application/json", strings.NewReader(`{"text":"x"}`))
		if err == nil {
			res.Body.Close()
		}
		ended <- err
	}()
	for _, channel := range []string{Email, Slack} {
		await(t, s, func(m Message) bool { return m.Channel == channel })
	}
	if err := s.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	for range 2 {
		select {
		case err := <-ended:
			if err == nil {
				t.Error("a hanging delivery ended with success")
			}
		case <-time.After(patience):
			t.Fatal("a hanging delivery outlived the inbox")
		}
	}
}

func TestFail_RefusesImpossibleBehaviours(t *testing.T) {
	t.Parallel()
	s := start(t, Config{})
	for _, c := range []struct {
		channel string
		b       Behaviour
	}{
		{"SMOKE", Behaviour{Status: 503}},
		{Slack, Behaviour{}},
		{Slack, Behaviour{Status: 503, Hang: true}},
		{Slack, Behaviour{Status: 200}},
		{Email, Behaviour{Status: 302}},
		{Slack, Behaviour{Status: 404, AtRecipient: true}},
		{Email, Behaviour{Cut: true, AtRecipient: true}},
		{Slack, Behaviour{Slow: 2 * time.Minute}},
		{Slack, Behaviour{Status: 503, Slow: time.Second}},
	} {
		if err := s.Fail(c.channel, 1, c.b); err == nil {
			t.Errorf("%s %+v was accepted", c.channel, c.b)
		}
	}
	plan(t, s, Slack, 5, Behaviour{Status: 500})
	plan(t, s, Slack, 0, Behaviour{}) // ends the trouble
	if status, _ := post(t, s.HTTPURL()+"/slack/ops", `{"text":"x"}`); status != 200 {
		t.Errorf("status %d after the trouble was ended", status)
	}
}

func TestFail_ByHTTP(t *testing.T) {
	t.Parallel()
	s := start(t, Config{})
	order := `{"channel":"SLACK","n":1,"status":429,"retry_after":3}`
	if status, _ := postAs(t, s.HTTPURL()+"/api/fail", "text/plain", order); status != http.StatusUnsupportedMediaType {
		t.Errorf("a form of another site got %d", status)
	}
	if status, answer := post(t, s.HTTPURL()+"/api/fail", `{"channel":"SLACK","n":1}`); status != 400 {
		t.Errorf("an impossible order got %d %s", status, answer)
	}
	if status, answer := post(t, s.HTTPURL()+"/api/fail", order); status != http.StatusNoContent {
		t.Fatalf("answer %d %s", status, answer)
	}
	if status, _ := post(t, s.HTTPURL()+"/slack/ops", `{"text":"x"}`); status != 429 {
		t.Errorf("status %d, want 429", status)
	}
}

func ExampleServer_Fail() {
	s, err := Start(context.Background(), Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer s.Close()
	// The provider takes the message, but the worker never learns of it: its retry is a duplicate.
	if err := s.Fail(Webhook, 1, Behaviour{Cut: true, Taken: true}); err != nil {
		fmt.Println(err)
	}
}

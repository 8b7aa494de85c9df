package inbox

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// patience bounds every wait of these tests; what is awaited normally comes within milliseconds.
const patience = 10 * time.Second

const testSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

// start runs an inbox on free ports until the test ends.
func start(t *testing.T, cfg Config) *Server {
	t.Helper()
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	s, err := Start(context.Background(), cfg)
	if err != nil {
		t.Fatalf("start: %v", err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return s
}

// post sends a JSON body and returns status and answer.
func post(t *testing.T, url, body string) (int, string) {
	t.Helper()
	return postAs(t, url, "application/json", body)
}

func postAs(t *testing.T, url, contentType, body string) (int, string) {
	t.Helper()
	res, err := http.Post(url, contentType, strings.NewReader(body))
	if err != nil {
		t.Fatalf("post %s: %v", url, err)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatalf("read answer of %s: %v", url, err)
	}
	return res.StatusCode, strings.TrimSpace(string(answer))
}

// await returns the first message that matches.
func await(t *testing.T, s *Server, match func(Message) bool) Message {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	m, err := s.Wait(ctx, match)
	if err != nil {
		t.Fatalf("wait: %v", err)
	}
	return m
}

func anyMessage(Message) bool { return true }

func TestWait_ReturnsWhatIsAlreadyThere(t *testing.T) {
	t.Parallel()
	s := start(t, Config{})
	post(t, s.HTTPURL()+"/slack/ops", `{"text":"first"}`)
	post(t, s.HTTPURL()+"/slack/ops", `{"text":"second"}`)
	if m := await(t, s, anyMessage); m.Text != "first" || m.Seq != 1 {
		t.Errorf("got %q with seq %d, want the oldest", m.Text, m.Seq)
	}
}

func TestWait_ReturnsWhatArrivesLater(t *testing.T) {
	t.Parallel()
	s := start(t, Config{})
	asked := make(chan struct{}, 1)
	got := make(chan Message, 1)
	post(t, s.HTTPURL()+"/slack/ops", `{"text":"not this one"}`)
	go func() {
		m, err := s.Wait(context.Background(), func(m Message) bool {
			asked <- struct{}{}
			return m.Text == "this one"
		})
		if err == nil {
			got <- m
		}
	}()
	<-asked // the first message was looked at and not taken
	post(t, s.HTTPURL()+"/slack/ops", `{"text":"this one"}`)
	<-asked
	select {
	case m := <-got:
		if m.Seq != 2 {
			t.Errorf("seq %d, want 2", m.Seq)
		}
	case <-time.After(patience):
		t.Fatal("the waiter was not woken")
	}
}

func TestWait_EndsWithItsContextAndWithTheInbox(t *testing.T) {
	t.Parallel()
	s := start(t, Config{})
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := s.Wait(ctx, anyMessage); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want context.Canceled", err)
	}
	ended := make(chan error, 1)
	go func() {
		_, err := s.Wait(context.Background(), anyMessage)
		ended <- err
	}()
	if err := s.Close(); err != nil {
		t.Fatalf("close: %v", err)
	}
	select {
	case err := <-ended:
		if !errors.Is(err, errClosed) {
			t.Errorf("error %v, want errClosed", err)
		}
	case <-time.After(patience):
		t.Fatal("a closed inbox kept its waiter")
	}
}

func TestMessages_KeepsTheNewest(t *testing.T) {
	t.Parallel()
	s := start(t, Config{Keep: 2})
	for _, text := range []string{"one", "two", "three"} {
		post(t, s.HTTPURL()+"/slack/ops", `{"text":"`+text+`"}`)
	}
	kept := s.Messages()
	if len(kept) != 2 || kept[0].Text != "two" || kept[1].Text != "three" {
		t.Errorf("kept %d messages: %v", len(kept), kept)
	}
}

func TestStore_KeepsLessThanItsCapOfBytes(t *testing.T) {
	t.Parallel()
	s := newStore("test", 1000)
	large := strings.Repeat("x", maxBody)
	for range maxTotal/maxBody + 10 {
		s.add(Message{Channel: Webhook, Raw: large})
	}
	if kept, _ := s.after(0); len(kept) != maxTotal/maxBody || s.bytes > maxTotal {
		t.Errorf("kept %d messages, %d bytes", len(kept), s.bytes)
	}
	s.clear()
	if s.bytes != 0 {
		t.Errorf("%d bytes are left of nothing", s.bytes)
	}
}

func TestDuplicates_AreCountedPerReceiver(t *testing.T) {
	t.Parallel()
	s := newStore("test", 10)
	deliver := func(to, key string, refused bool) int {
		return s.add(Message{Channel: Email, To: to, Key: key, Refused: refused}).Copy
	}
	steps := []struct {
		to, key string
		refused bool
		want    int
	}{
		{"dana", "k1", false, 1},
		{"robin", "k1", false, 1}, // the same news for somebody else
		{"dana", "k1", true, 1},   // dana never saw this one
		{"dana", "k1", false, 2},
		{"dana", "k2", false, 1},
		{"dana", "k1", false, 3},
		{"dana", "", false, 1}, // without a key nothing can be said
		{"dana", "", false, 1},
	}
	for i, step := range steps {
		if got := deliver(step.to, step.key, step.refused); got != step.want {
			t.Errorf("step %d: copy %d, want %d", i, got, step.want)
		}
	}
}

func TestStart_NamesAnAddressInUseAndFreesTheOther(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	freeAddr := free.Addr().String()
	free.Close()
	_, err = Start(context.Background(), Config{SMTPAddr: freeAddr, HTTPAddr: taken.Addr().String()})
	if err == nil || !strings.Contains(err.Error(), "HTTP") || !strings.Contains(err.Error(), taken.Addr().String()) {
		t.Fatalf("error %v, want one that names HTTP and %s", err, taken.Addr())
	}
	again, err := net.Listen("tcp", freeAddr)
	if err != nil {
		t.Fatalf("the SMTP address stayed taken: %v", err)
	}
	again.Close()
}

func TestStart_RefusesSecretsWithoutShowingThem(t *testing.T) {
	t.Parallel()
	for _, secret := range []string{"hunter2", "whsec_", "whsec_%%%hunter2%%%"} {
		_, err := Start(context.Background(), Config{WebhookSecret: secret})
		if err == nil {
			t.Errorf("%q was accepted", secret)
			continue
		}
		if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("the error shows the secret: %v", err)
		}
	}
}

func TestStart_EndsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(context.Background())
	s, err := Start(ctx, Config{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	if _, err := s.Wait(context.Background(), anyMessage); !errors.Is(err, errClosed) {
		t.Errorf("error %v, want errClosed", err)
	}
	if err := s.Close(); err != nil { // waits for the close that is under way
		t.Errorf("close: %v", err)
	}
	if _, err := net.Dial("tcp", s.SMTPAddr()); err == nil {
		t.Error("SMTP still accepts connections")
	}
}

func TestLog_SaysNothingOfContentOrPeople(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	s := start(t, Config{Log: slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	post(t, s.HTTPURL()+"/slack/T0/B0/hooksecret", `{"text":"patient data","username":"dana"}`)
	await(t, s, anyMessage)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for _, private := range []string{"hooksecret", "patient", "dana"} {
		if strings.Contains(log.String(), private) {
			t.Errorf("the log shows %q: %s", private, &log)
		}
	}
	if !strings.Contains(log.String(), `"channel":"SLACK"`) {
		t.Errorf("the log does not mention the delivery: %s", &log)
	}
}

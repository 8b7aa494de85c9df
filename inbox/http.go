package inbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const (
	headerTimeout = 10 * time.Second
	bodyTimeout   = 30 * time.Second
	heartbeat     = 15 * time.Second // keeps an idle event stream alive through proxies
)

func (s *Server) newHTTP(ctx context.Context) *http.Server {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /slack/{rest...}", s.postSlack)
	mux.HandleFunc("POST /slack/api/{method}", s.postSlackAPI)
	mux.HandleFunc("POST /slack/response/{ticket}", s.postSlackResponse)
	mux.HandleFunc("POST /api/press", s.postPress)
	mux.HandleFunc("POST /webhook/{rest...}", s.postWebhook)
	mux.HandleFunc("POST /pagerduty/v2/enqueue", s.postPagerDuty)
	mux.HandleFunc("POST /twilio/2010-04-01/Accounts/{account}/Messages.json", s.postSMS)
	mux.HandleFunc("GET /twilio/2010-04-01/Accounts/{account}/Messages.json", s.listTexts)
	mux.HandleFunc("POST /twilio/2010-04-01/Accounts/{account}/Calls.json", s.postCall)
	mux.HandleFunc("GET /{$}", s.getPage)
	mux.HandleFunc("GET /api/messages", s.getMessages)
	mux.HandleFunc("DELETE /api/messages", s.deleteMessages)
	mux.HandleFunc("GET /api/events", s.getEvents)
	mux.HandleFunc("POST /api/fail", s.postFail)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { s.write(w, "ok") })
	return &http.Server{
		Handler:           guard(mux),
		BaseContext:       func(net.Listener) context.Context { return ctx },
		ReadHeaderTimeout: headerTimeout,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
}

// guard keeps other web sites out: the inbox shows signed links, and a page elsewhere could reach it by
// rebinding its own name to this address.
func guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !privateHost(r.Host) {
			http.Error(w, "the inbox answers to an IP address, localhost or a name without a dot", http.StatusMisdirectedRequest)
			return
		}
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

// privateHost accepts names that nobody can own on the public internet.
func privateHost(hostport string) bool {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		host = strings.Trim(hostport, "[]")
	}
	if net.ParseIP(host) != nil || !strings.Contains(host, ".") {
		return true
	}
	for _, suffix := range []string{".localhost", ".local", ".internal"} {
		if strings.HasSuffix(host, suffix) {
			return true
		}
	}
	return false
}

func (s *Server) postSlack(w http.ResponseWriter, r *http.Request) {
	raw, ok := s.readBody(w, r, Slack)
	if !ok {
		return
	}
	m, err := readSlack(r.URL.Path, slackJSON(r, raw))
	m.Headers = visibleHeaders(r.Header)
	s.deliver(w, r, m, err)
}

// slackJSON unwraps the form that Slack accepts as well: payload=<JSON>.
func slackJSON(r *http.Request, raw []byte) []byte {
	if !strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded") {
		return raw
	}
	form, err := url.ParseQuery(string(raw))
	if err != nil {
		return raw // no JSON either, so it is refused and shown as it came
	}
	return []byte(form.Get("payload"))
}

func (s *Server) postWebhook(w http.ResponseWriter, r *http.Request) {
	raw, ok := s.readBody(w, r, Webhook)
	if !ok {
		return
	}
	m, err := readWebhook(r, raw, s.verifier)
	s.deliver(w, r, m, err)
}

// readBody answers itself when there is no body to work with.
func (s *Server) readBody(w http.ResponseWriter, r *http.Request, channel string) ([]byte, bool) {
	deadline := http.NewResponseController(w)
	if err := deadline.SetReadDeadline(time.Now().Add(bodyTimeout)); err != nil {
		s.log.Warn("inbox cannot limit the time of a request", "error", err)
	}
	raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		status := http.StatusBadRequest
		if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
			status = http.StatusRequestEntityTooLarge
		}
		s.receive(Message{
			Channel: channel, From: r.UserAgent(), To: r.URL.Path, Refused: true,
			Subject: "(refused)", Fault: fmt.Sprintf("answered %d: %s", status, err),
		})
		http.Error(w, err.Error(), status)
		return nil, false
	}
	// Lifted again: a hanging answer waits longer than a body may take.
	if err := deadline.SetReadDeadline(time.Time{}); err != nil {
		s.log.Warn("inbox cannot lift the limit on the time of a request", "error", err)
	}
	return raw, true
}

// deliver keeps the message and answers in words: as planned by Fail, with the refusal, or with success.
func (s *Server) deliver(w http.ResponseWriter, r *http.Request, m Message, refusal error) {
	s.deliverAs(w, r, m, refusal, manner{
		took:    func(Message) (int, any) { return http.StatusOK, "ok" },
		refused: func(err error) (int, any) { status, word := refusalAnswer(err); return status, word },
	})
}

// manner is how a provider answers: with a status, and a word or an object that becomes JSON.
type manner struct {
	took    func(Message) (status int, answer any)
	refused func(error) (status int, answer any)
	// keep, if set, is asked what becomes of a message that the receiver has; of one that it does not have,
	// nothing does.
	keep func(Message) (Message, error)
}

// deliverAs keeps the message and answers as planned by Fail, or in the provider's manner.
func (s *Server) deliverAs(w http.ResponseWriter, r *http.Request, m Message, refusal error, p manner) {
	always := func(Behaviour) bool { return true }
	fault := s.faults.take(m.Channel, always)
	if refusal == nil && p.keep != nil && (fault == nil || fault.Taken) {
		m, refusal = p.keep(m)
	}
	if fault != nil {
		m.Refused, m.Fault = !fault.Taken || refusal != nil, fault.String()
		s.receive(m)
		misbehave(w, r, *fault)
		return
	}
	if refusal != nil {
		status, answer := p.refused(refusal)
		m.Refused, m.Fault = true, fmt.Sprintf("answered %d: %s", status, refusal)
		s.receive(m)
		s.answer(w, status, answer)
		return
	}
	s.receive(m)
	status, answer := p.took(m)
	s.answer(w, status, answer)
}

func (s *Server) answer(w http.ResponseWriter, status int, answer any) {
	word, isWord := answer.(string)
	switch {
	case isWord && status >= http.StatusBadRequest:
		http.Error(w, word, status)
	case isWord:
		w.WriteHeader(status)
		s.write(w, word)
	default:
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		if err := json.NewEncoder(w).Encode(answer); err != nil {
			s.log.Debug("inbox client left early", "error", err)
		}
	}
}

// refusalAnswer is the bare word that Slack answers with.
func refusalAnswer(refusal error) (status int, answer string) {
	for _, word := range []error{errSlackPayload, errSlackNoText, errSlackBlocks, errSlackAttachments} {
		if errors.Is(refusal, word) {
			return http.StatusBadRequest, word.Error()
		}
	}
	return http.StatusInternalServerError, refusal.Error()
}

func misbehave(w http.ResponseWriter, r *http.Request, fault Behaviour) {
	switch {
	case fault.Hang:
		<-r.Context().Done()
		panic(http.ErrAbortHandler) // net/http's way to end a connection without an answer
	case fault.Cut:
		cut(w)
	case fault.Word != "":
		writeJSON(w, slackAnswer{Error: fault.Word})
	default:
		if fault.RetryAfter > 0 {
			w.Header().Set("Retry-After", strconv.Itoa(int(fault.RetryAfter.Seconds())))
		}
		http.Error(w, "failing as planned by the inbox", fault.Status)
	}
}

func cut(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil { // HTTP/2 cannot; aborting resets its stream
		panic(http.ErrAbortHandler)
	}
	reset(conn)
}

// postFail is Fail for other processes. The content type makes browsers ask before another site may.
func (s *Server) postFail(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Content-Type") != "application/json" {
		http.Error(w, "the content type must be application/json", http.StatusUnsupportedMediaType)
		return
	}
	var order struct {
		Channel     string `json:"channel"`
		N           int    `json:"n"`
		Status      int    `json:"status"`
		RetryAfter  int    `json:"retry_after"` // seconds
		Hang        bool   `json:"hang"`
		Cut         bool   `json:"cut"`
		Taken       bool   `json:"taken"`
		AtRecipient bool   `json:"at_recipient"`
		Word        string `json:"word"`
		Slow        int    `json:"slow"` // seconds
	}
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody)).Decode(&order); err != nil {
		http.Error(w, "read the order: "+err.Error(), http.StatusBadRequest)
		return
	}
	behaviour := Behaviour{
		Status: order.Status, Hang: order.Hang, Cut: order.Cut, Taken: order.Taken, Word: order.Word,
		AtRecipient: order.AtRecipient, RetryAfter: time.Duration(order.RetryAfter) * time.Second, Slow: time.Duration(order.Slow) * time.Second,
	}
	if err := s.Fail(order.Channel, order.N, behaviour); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// listing is the body of GET /api/messages.
type listing struct {
	Instance string    `json:"instance"` // differs after a restart
	Seq      int       `json:"seq"`      // of the latest delivery, kept or not
	Messages []Message `json:"messages"` // oldest first
}

// getMessages lists what the receivers have; channel and after (a seq) narrow it, refused=true adds the
// deliveries that were refused.
func (s *Server) getMessages(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	after, err := readSeq(query.Get("after"), 0)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	channel := strings.ToUpper(query.Get("channel"))
	all, _ := s.store.after(after)
	seq, _ := s.store.position()
	list := listing{Instance: s.store.instance, Seq: seq, Messages: []Message{}}
	for _, m := range all {
		if (channel == "" || m.Channel == channel) && (!m.Refused || query.Get("refused") == "true") {
			list.Messages = append(list.Messages, m)
		}
	}
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(list); err != nil {
		s.log.Debug("inbox client left early", "error", err)
	}
}

func readSeq(text string, missing int) (int, error) {
	if text == "" {
		return missing, nil
	}
	seq, err := strconv.Atoi(text)
	if err != nil {
		return 0, fmt.Errorf("after must be the seq of a message, not %q", text)
	}
	return seq, nil
}

func (s *Server) deleteMessages(w http.ResponseWriter, _ *http.Request) {
	s.store.clear()
	w.WriteHeader(http.StatusNoContent)
}

// getEvents streams Server-Sent Events: hello once, then message for each delivery (refused ones too,
// they say so) with its seq as id, and cleared. It begins after the latest, or after the seq given.
func (s *Server) getEvents(w http.ResponseWriter, r *http.Request) {
	seen, clears := s.store.position()
	seen, err := readSeq(r.URL.Query().Get("after"), seen)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no")
	stream := eventStream{w: w, flush: http.NewResponseController(w)}
	hello := map[string]string{"instance": s.store.instance, "smtp": s.SMTPAddr()}
	if err = stream.send("hello", seen, hello); err == nil {
		err = s.follow(r.Context(), stream, seen, clears)
	}
	s.log.Debug("inbox event stream ended", "reason", err)
}

// follow sends what comes after seen until the client leaves or the inbox closes.
func (s *Server) follow(ctx context.Context, stream eventStream, seen, clears int) error {
	idle := time.NewTicker(heartbeat)
	defer idle.Stop()
	for {
		batch, changed := s.store.after(seen)
		for _, m := range batch {
			seen = m.Seq
			if err := stream.send("message", m.Seq, m); err != nil {
				return err
			}
		}
		if _, now := s.store.position(); now != clears {
			clears = now
			if err := stream.send("cleared", seen, map[string]int{"clears": clears}); err != nil {
				return err
			}
		}
		select {
		case <-changed:
		case <-idle.C:
			if err := stream.comment("still here"); err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// eventStream writes Server-Sent Events.
type eventStream struct {
	w     io.Writer
	flush *http.ResponseController
}

func (e eventStream) send(event string, id int, data any) error {
	body, err := json.Marshal(data) // one line: JSON escapes line breaks
	if err != nil {
		return fmt.Errorf("encode event: %w", err)
	}
	if _, err := fmt.Fprintf(e.w, "event: %s\nid: %d\ndata: %s\n\n", event, id, body); err != nil {
		return err
	}
	return e.flush.Flush()
}

func (e eventStream) comment(text string) error {
	if _, err := fmt.Fprintf(e.w, ": %s\n\n", text); err != nil {
		return err
	}
	return e.flush.Flush()
}

func (s *Server) write(w http.ResponseWriter, answer string) {
	if _, err := io.WriteString(w, answer); err != nil {
		s.log.Debug("inbox client left early", "error", err)
	}
}

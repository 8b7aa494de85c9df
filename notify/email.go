package notify

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net"
	netmail "net/mail"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/wneessen/go-mail"
	"github.com/wneessen/go-mail/smtp"

	"onevault/alert"
)

// quitTimeout bounds the farewell: the mail is delivered by then.
const quitTimeout = 2 * time.Second

// The three ways of the optional field "tls".
const (
	tlsStart    = "starttls"
	tlsImplicit = "implicit"
	tlsNone     = "none"
)

// emailConfig is the guide's EMAIL shape: {"smtp_server", "smtp_port", "smtp_username",
// "smtp_password_env"|"smtp_password_file", "from_address", "to_addresses", "tls", "daily_report",
// "bounce_address", "delivery_receipts"}.
type emailConfig struct {
	host     string
	port     int
	username string
	password secretRef
	from     *netmail.Address
	to       []*netmail.Address
	tls      string

	bounceLocal, bounceDomain string
	receipts                  bool // reports of success are asked for as well
}

func parseEmail(f *fields) emailConfig {
	c := emailConfig{
		host: f.required("smtp_server", "give the host name of the mail server"),
		port: f.port("smtp_port"), username: f.text("smtp_username"),
		password: f.secretRef("smtp_password", false), to: f.addresses("to_addresses"), tls: f.text("tls"),
	}
	f.boolean(dailyReport) // whoever sends the report looks for it in the row
	from := f.required("from_address", `give the sender, like "OneVault Alerts <alerts@example.com>"`)
	if from != "" {
		var err error
		if c.from, err = netmail.ParseAddress(from); err != nil {
			f.fail("from_address", "%q is not a mail address", oneLine(from, 100))
		}
	}
	if strings.ContainsAny(c.host, "/:@ \r\n") && !isIPv6(c.host) {
		f.fail("smtp_server", "%q is not a host name; give the port in smtp_port", oneLine(c.host, 100))
	}
	c.defaults(f)
	c.checkLogin(f)
	c.parseBounceAddress(f)
	return c
}

func isIPv6(host string) bool { ip := net.ParseIP(host); return ip != nil && ip.To4() == nil }

func (c *emailConfig) defaults(f *fields) {
	if c.tls == "" {
		c.tls = tlsStart
	}
	switch {
	case c.tls != tlsStart && c.tls != tlsImplicit && c.tls != tlsNone:
		f.fail("tls", "%q is unknown; use starttls, implicit or none", oneLine(c.tls, 40))
	case c.port == 465 && c.tls == tlsStart:
		f.hints = append(f.hints, fmt.Errorf(`smtp_port: 465 usually means "tls": "implicit"`))
	case c.port == 0 && c.tls == tlsImplicit:
		c.port = 465
	case c.port == 0 && c.tls == tlsNone:
		c.port = 25
	case c.port == 0:
		c.port = 587
	}
}

func (c *emailConfig) checkLogin(f *fields) {
	switch {
	case c.username != "" && !c.password.present:
		f.fail("smtp_password_env", "it is missing although smtp_username is set; name the variable that holds the password")
	case c.username == "" && c.password.present:
		f.fail("smtp_username", "it is missing although a password is given")
	case c.username != "" && c.tls == tlsNone:
		f.fail("tls", `with "none" the password would travel in clear text; use starttls or implicit, or remove smtp_username`)
	}
}

// email sends one mail per recipient, so that one bad address does not cost the others theirs.
type email struct {
	cfg      emailConfig
	password secret
	guard    addressGuard
	roots    *x509.CertPool
	timeout  time.Duration
	scrub    scrubber
	now      func() time.Time
}

func openEmail(cfg Config, o Options) (Channel, error) {
	f := parseFields(cfg)
	c := parseEmail(f)
	c.to = f.alsoMail(c.to, cfg.Also)
	if err := f.err(); err != nil {
		return nil, err
	}
	guard := addressGuard{allow: o.Allow, clearText: c.tls == tlsNone}
	if err := guard.checkLiteral("smtp_server", c.host); err != nil {
		return nil, err
	}
	password, err := c.password.load(o)
	if err != nil {
		return nil, err
	}
	return &email{
		cfg: c, password: password, guard: guard, roots: o.RootCAs, timeout: o.timeout(),
		scrub: newScrubber(passwordForms(c.username, password)...), now: time.Now,
	}, nil
}

// passwordForms lists how a password looks on the wire, where a server may quote it from.
func passwordForms(user string, password secret) []secret {
	encode := func(s string) secret { return secret(base64.StdEncoding.EncodeToString([]byte(s))) }
	if password == "" {
		return nil
	}
	return []secret{encode("\x00" + user + "\x00" + string(password)), encode(string(password)), password}
}

func (e *email) Recipients() []string {
	out := make([]string, len(e.cfg.to))
	for i, a := range e.cfg.to {
		out[i] = a.Address
	}
	return out
}

func (e *email) Send(ctx context.Context, recipient string, m Message) Receipt {
	start := time.Now()
	receipt := e.send(ctx, recipient, m)
	receipt.Duration = time.Since(start)
	return e.scrub.receipt(receipt)
}

func (e *email) send(ctx context.Context, recipient string, m Message) Receipt {
	to := e.address(recipient)
	if to == nil {
		return Receipt{Class: Misconfigured, Reason: fmt.Sprintf("%s is not among to_addresses any more", oneLine(recipient, 100))}
	}
	letter, text, err := e.compose(to, m)
	if err != nil {
		return Receipt{Class: Permanent, Reason: "the mail cannot be written: " + oneLine(err.Error(), 200)}
	}
	ctx, cancel := context.WithTimeout(ctx, e.timeout)
	defer cancel()
	receipt := e.deliver(ctx, letter)
	receipt.Content = clip(m.HideAnswers(text))
	if receipt.Class == Accepted || receipt.Class == Uncertain { // a report may come of one as of the other
		receipt.ExternalID = strings.Trim(letter.GetMessageID(), "<>")
	}
	return receipt
}

func (e *email) address(recipient string) *netmail.Address {
	for _, a := range e.cfg.to {
		if strings.EqualFold(a.Address, recipient) {
			return a
		}
	}
	return nil
}

// deliver makes one SMTP session for one mail. Whether the mail was delivered is asked first: what goes
// wrong after the server took it changes nothing.
func (e *email) deliver(ctx context.Context, letter *mail.Msg) Receipt {
	line := &phoneLine{guard: e.guard, tls: e.tlsConfig(), implicit: e.cfg.tls == tlsImplicit}
	defer line.hangUp()
	// go-mail's own context covers dialling only; closing the connection ends every later wait.
	defer context.AfterFunc(ctx, line.hangUp)()
	client, session, err := e.connect(ctx, line)
	if err != nil {
		return classifySMTPSession(timeoutOr(ctx, err))
	}
	err = client.SendWithSMTPClient(session, letter)
	if !letter.IsDelivered() {
		return classifySMTPSend(timeoutOr(ctx, err))
	}
	receipt := Receipt{Class: Accepted, Proof: "SMTP 250 " + oneLine(letter.ServerResponse(), 200)}
	line.expireIn(quitTimeout)
	if quitErr := session.Quit(); err != nil || quitErr != nil {
		receipt.Proof += " (the connection broke after that)"
	}
	return receipt
}

// timeoutOr tells a passed deadline from the closed connection that it causes.
func timeoutOr(ctx context.Context, err error) error {
	if ctx.Err() != nil && err != nil {
		return fmt.Errorf("%w: %w", ctx.Err(), err)
	}
	return err
}

func (e *email) tlsConfig() *tls.Config {
	return &tls.Config{ServerName: e.cfg.host, RootCAs: e.roots, MinVersion: tls.VersionTLS12}
}

func (e *email) connect(ctx context.Context, line *phoneLine) (*mail.Client, *smtp.Client, error) {
	options := []mail.Option{
		mail.WithPort(e.cfg.port), mail.WithTimeout(e.timeout), mail.WithDialContextFunc(line.dial),
		mail.WithTLSConfig(line.tls), mail.WithoutNoop(), mail.WithoutRset(),
	}
	if e.cfg.tls == tlsStart {
		options = append(options, mail.WithTLSPolicy(mail.TLSMandatory))
	} else {
		// Implicit TLS is made by the dialler, so that the address guard stands below it.
		options = append(options, mail.WithTLSPolicy(mail.NoTLS))
	}
	if e.cfg.receipts { // a server without DSN is not asked
		options = append(options, mail.WithDSNMailReturnType(mail.DSNMailReturnHeadersOnly),
			mail.WithDSNRcptNotifyType(mail.DSNRcptNotifySuccess, mail.DSNRcptNotifyFailure, mail.DSNRcptNotifyDelay))
	}
	if e.cfg.username != "" {
		options = append(options, mail.WithUsername(e.cfg.username), mail.WithPassword(string(e.password)),
			mail.WithOpportunisticSMTPAuth(mail.SMTPAuthSCRAMSHA256, mail.SMTPAuthSCRAMSHA1, mail.SMTPAuthPlain, mail.SMTPAuthLogin, mail.SMTPAuthCramMD5))
	}
	client, err := mail.NewClient(e.cfg.host, options...)
	if err != nil {
		return nil, nil, fmt.Errorf("prepare the SMTP client: %w", err)
	}
	session, err := client.DialToSMTPClientWithContext(ctx)
	return client, session, err
}

// phoneLine owns the connection below an SMTP session, because the library leaves it open after errors.
type phoneLine struct {
	guard    addressGuard
	tls      *tls.Config
	implicit bool

	mu   sync.Mutex
	conn net.Conn
}

func (l *phoneLine) dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := l.guard.dialer().DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	l.conn = conn
	l.mu.Unlock()
	if ctx.Err() != nil { // hangUp may have come before there was a connection
		l.hangUp()
		return nil, ctx.Err()
	}
	if !l.implicit {
		return conn, nil
	}
	secured := tls.Client(conn, l.tls)
	if err := secured.HandshakeContext(ctx); err != nil {
		return nil, err
	}
	return secured, nil
}

// hangUp closes without farewell. After a delivery the other side has heard QUIT already.
func (l *phoneLine) hangUp() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.conn != nil {
		_ = l.conn.Close() // nothing is left to be lost with it
	}
}

func (l *phoneLine) expireIn(d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	_ = l.conn.SetDeadline(time.Now().Add(d)) // it fails only on a closed connection, which Quit reports
}

// compose writes the mail and returns it with its plain text.
func (e *email) compose(to *netmail.Address, m Message) (*mail.Msg, string, error) {
	p := newPage(m)
	text, err := p.plainText()
	if err != nil {
		return nil, "", err
	}
	html, err := p.html()
	if err != nil {
		return nil, "", err
	}
	letter := mail.NewMsg(mail.WithNoDefaultUserAgent())
	if err := letter.From(e.cfg.from.String()); err != nil {
		return nil, "", fmt.Errorf("from_address: %w", err)
	}
	if err := letter.To(to.String()); err != nil {
		return nil, "", fmt.Errorf("to_addresses: %w", err)
	}
	letter.Subject(p.Subject)
	letter.SetDateWithValue(e.now())
	e.identify(letter, to.Address, m)
	if sender := e.cfg.envelopeSender(strings.Trim(letter.GetMessageID(), "<>")); sender != "" {
		if err := letter.EnvelopeFrom(sender); err != nil {
			return nil, "", fmt.Errorf("bounce_address: %w", err)
		}
	}
	letter.SetBodyString(mail.TypeTextPlain, text)
	letter.AddAlternativeString(mail.TypeTextHTML, html)
	return letter, text, nil
}

// identify sets what machines recognise the mail by: the same Message-ID for every attempt, so that
// receiving servers drop a duplicate, one thread for all mails of an alert's workflow, and a mark that
// keeps vacation replies from answering.
func (e *email) identify(letter *mail.Msg, to string, m Message) {
	domain := messageDomain(e.cfg.from.Address)
	letter.SetMessageIDWithValue(messageID(m.Key+"\x00"+strings.ToLower(to), domain))
	if m.WorkflowID != "" {
		thread := "<" + messageID("thread\x00"+m.WorkflowID, domain) + ">"
		letter.SetGenHeaderPreformatted(mail.HeaderInReplyTo, thread)
		letter.SetGenHeaderPreformatted(mail.HeaderReferences, thread)
	}
	letter.SetGenHeaderPreformatted("X-OneVault-Notification-Key", headerSafe(m.Key))
	letter.SetGenHeaderPreformatted("Auto-Submitted", "auto-generated")
	letter.SetGenHeaderPreformatted(mail.HeaderXAutoResponseSuppress, "All")
	if m.Definition.Severity == alert.SeverityCritical && m.Event != alert.EventResolved && m.Event != alert.EventTest {
		letter.SetImportance(mail.ImportanceHigh)
	}
}

func messageID(of, domain string) string {
	sum := sha256.Sum256([]byte(of))
	return hex.EncodeToString(sum[:16]) + "@" + domain
}

var hostName = regexp.MustCompile(`^[A-Za-z0-9.-]+$`)

func messageDomain(from string) string {
	if domain := from[strings.LastIndexByte(from, '@')+1:]; hostName.MatchString(domain) {
		return strings.ToLower(domain)
	}
	return "onevault.invalid"
}

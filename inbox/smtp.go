package inbox

import (
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

// smtpIdle is how long a silent client keeps its connection.
const smtpIdle = 5 * time.Minute

func (s *Server) newSMTP() *smtp.Server {
	server := smtp.NewServer(smtp.BackendFunc(func(c *smtp.Conn) (smtp.Session, error) {
		return &session{inbox: s, conn: c.Conn()}, nil
	}))
	server.Domain = "onevault-inbox"
	server.MaxMessageBytes = maxBody
	server.MaxRecipients = maxRecipient
	server.ReadTimeout = smtpIdle
	server.WriteTimeout = smtpIdle
	// A channel that has credentials must be testable here. There is no STARTTLS: no client would trust
	// a certificate that this process makes up.
	server.AllowInsecureAuth = true
	server.EnableSMTPUTF8 = true
	server.ErrorLog = slog.NewLogLogger(s.log.Handler(), slog.LevelDebug)
	return server
}

// session is one SMTP connection.
type session struct {
	inbox *Server
	conn  net.Conn
	from  string
	to    []string
}

// AuthMechanisms offers PLAIN, the one that every client speaks.
func (c *session) AuthMechanisms() []string { return []string{sasl.Plain} }

// Auth lets everybody in and forgets the password at once.
func (c *session) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, _, _ string) error { return nil }), nil
}

func (c *session) Mail(from string, _ *smtp.MailOptions) error {
	c.from = from
	return nil
}

func (c *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	if fault := c.inbox.faults.take(Email, func(b Behaviour) bool { return b.AtRecipient }); fault != nil {
		c.inbox.receive(Message{
			Channel: Email, From: c.from, To: to, Refused: true,
			Fault: fault.String() + " to RCPT TO",
		})
		return smtpError(*fault)
	}
	c.to = append(c.to, to)
	return nil
}

func (c *session) Reset() { c.from, c.to = "", nil }

func (c *session) Logout() error { return nil }

// Data takes the content, and answers as planned.
func (c *session) Data(r io.Reader) error {
	raw, err := io.ReadAll(r)
	if err != nil {
		if errors.Is(err, smtp.ErrDataTooLarge) {
			c.inbox.receive(Message{
				Channel: Email, From: c.from, To: strings.Join(c.to, ", "), Refused: true,
				Fault: "answered 552: larger than 2 MiB",
			})
		}
		return err
	}
	m := readMail(raw)
	m.To = strings.Join(c.to, ", ")
	if m.From == "" {
		m.From = c.from
	}
	fault := c.inbox.faults.take(Email, func(b Behaviour) bool { return !b.AtRecipient })
	if fault == nil {
		c.inbox.receive(m)
		return nil
	}
	m.Refused, m.Fault = !fault.Taken, fault.String()
	c.inbox.receive(m)
	return c.fail(*fault)
}

func (c *session) fail(fault Behaviour) error {
	switch {
	case fault.Cut:
		reset(c.conn)
		return net.ErrClosed
	case fault.Hang:
		return c.hang()
	}
	return smtpError(fault)
}

// hang says nothing until the client leaves or the inbox closes its connections: a client that waits
// for its answer sends nothing, so the read ends with the connection.
func (c *session) hang() error {
	_, err := c.conn.Read(make([]byte, 1))
	if err == nil {
		err = errors.New("the client spoke before it was answered")
	}
	reset(c.conn)
	return err
}

// reset drops the connection without a farewell: the peer sees a reset where TCP allows it.
func reset(conn net.Conn) {
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // without it the peer sees a plain end, which is a cut as well
	}
	_ = conn.Close() // the peer may have closed it already, and gone it is in either case
}

func smtpError(fault Behaviour) *smtp.SMTPError {
	enhanced := smtp.EnhancedCode{fault.Status / 100, 0, 0}
	return &smtp.SMTPError{Code: fault.Status, EnhancedCode: enhanced, Message: "refused as planned by the inbox"}
}

package notify

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/textproto"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/wneessen/go-mail"
)

// maxRetryAfter bounds a provider's wish: a page that waits longer than a day has lost its purpose.
const maxRetryAfter = 24 * time.Hour

// parseRetryAfter reads both forms of the header, seconds and an HTTP date; 0 when there is no usable one.
func parseRetryAfter(value string, now time.Time) time.Duration {
	if seconds, err := strconv.ParseInt(value, 10, 64); err == nil {
		return time.Duration(min(max(seconds, 0), int64(maxRetryAfter/time.Second))) * time.Second
	}
	if at, err := http.ParseTime(value); err == nil {
		return min(max(at.Sub(now).Round(time.Second), 0), maxRetryAfter)
	}
	return 0
}

// classifyHTTP judges an exchange by what the guarded client recorded; err explains a missing answer.
// A 2xx is Accepted here: a channel whose status alone proves nothing looks at the body itself.
func classifyHTTP(o *outcome, err error) Receipt {
	status, wrote, retryAfter, snippet := o.read()
	if status == 0 {
		return classifyUnanswered(wrote, o.cause(err))
	}
	r := Receipt{Class: statusClass(status), RetryAfter: retryAfter}
	if r.Class == Accepted {
		r.Proof = fmt.Sprintf("HTTP %d", status)
		return r
	}
	r.Reason = fmt.Sprintf("HTTP %d: %s", status, statusAdvice(status))
	if said := oneLine(snippet, 200); said != "" {
		r.Reason += fmt.Sprintf(" (it said %q)", said)
	}
	return r
}

func statusClass(status int) Class {
	switch {
	case status >= 200 && status < 300:
		return Accepted
	case status == http.StatusTooManyRequests:
		return NotSent
	case status == http.StatusRequestTimeout, status == http.StatusTooEarly, status >= 500:
		return Transient
	case status < 400, status == http.StatusUnauthorized, status == http.StatusForbidden,
		status == http.StatusNotFound, status == http.StatusGone:
		return Misconfigured
	}
	return Permanent
}

func statusAdvice(status int) string {
	switch statusClass(status) {
	case NotSent:
		return "the receiver asks for fewer messages; it is retried"
	case Transient:
		return "the receiver failed for now; it is retried"
	case Misconfigured:
		return configAdvice(status)
	default:
		return "the receiver refuses this message for good; its own log says why"
	}
}

func configAdvice(status int) string {
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden:
		return "the receiver does not accept the channel's credentials; renew the secret or the URL"
	case http.StatusNotFound, http.StatusGone:
		return "nothing is listening at the channel's URL any more; correct the URL"
	}
	return "redirects are not followed; put the final URL into the channel's configuration"
}

func classifyUnanswered(wrote bool, err error) Receipt {
	r := Receipt{Class: NotSent, Reason: networkReason(err)}
	switch {
	case errors.Is(err, errBlocked):
		r.Class = Misconfigured
	case wrote:
		r.Class = Uncertain
		r.Reason = "the request was sent and no usable answer came: " + r.Reason
	}
	return r
}

// networkReason explains a failure below the protocol. It drops the *url.Error around it, which quotes
// the URL, and a URL may be a secret.
func networkReason(err error) string {
	var quoting *url.Error
	if errors.As(err, &quoting) {
		err = quoting.Err
	}
	var dns *net.DNSError
	var certificate *tls.CertificateVerificationError
	switch {
	case err == nil:
		return "no answer"
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, net.ErrClosed):
		return "the time limit passed"
	case errors.Is(err, context.Canceled):
		return "the attempt was cancelled"
	case errors.As(err, &dns):
		return fmt.Sprintf("the name %s cannot be resolved; correct the host or the name service", dns.Name)
	case errors.As(err, &certificate):
		return "its TLS certificate is not trusted: " + oneLine(certificate.Err.Error(), 200)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "the connection was closed"
	}
	return oneLine(err.Error(), 300)
}

// classifySMTPSession judges a failure before any mail was offered: connect, greeting, STARTTLS, AUTH.
func classifySMTPSession(err error) Receipt {
	var reply *textproto.Error
	switch {
	case errors.As(err, &reply):
		return classifySMTPReply(reply.Code, reply.Msg)
	case errors.Is(err, errBlocked):
		return Receipt{Class: Misconfigured, Reason: networkReason(err)}
	case lacksFeature(err):
		return Receipt{Class: Misconfigured, Reason: oneLine(err.Error(), 200) + "; correct tls or the authentication of the channel"}
	}
	return Receipt{Class: NotSent, Reason: "no SMTP session: " + networkReason(err)}
}

// lacksFeature recognises what go-mail says when the server does not offer STARTTLS or a usable AUTH;
// two of these errors are plain text there.
func lacksFeature(err error) bool {
	return errors.Is(err, mail.ErrNoSupportedAuthDiscovered) || errors.Is(err, mail.ErrPlainAuthNotSupported) ||
		errors.Is(err, mail.ErrLoginAuthNotSupported) || strings.Contains(err.Error(), "does not support")
}

// classifySMTPSend judges a failure of the mail transaction itself. Only the end of DATA, and writing it,
// leave doubt: before that the server cannot have taken the mail.
func classifySMTPSend(err error) Receipt {
	var sending *mail.SendError
	if !errors.As(err, &sending) {
		return Receipt{Class: Uncertain, Reason: "the mail was offered and no usable answer came: " + networkReason(err)}
	}
	if code := sending.ErrorCode(); code != 0 {
		return classifySMTPReply(code, sending.Error())
	}
	if sending.Reason == mail.ErrWriteContent || sending.Reason == mail.ErrSMTPDataClose {
		return Receipt{Class: Uncertain, Reason: "the mail was written and the server's answer did not come: the connection was cut"}
	}
	return Receipt{Class: NotSent, Reason: "the connection was cut before the mail was sent"}
}

func classifySMTPReply(code int, said string) Receipt {
	reason := func(advice string) string {
		return fmt.Sprintf("SMTP %d: %s (it said %q)", code, advice, oneLine(said, 200))
	}
	switch {
	case code == 530 || code == 534 || code == 535 || code == 538:
		return Receipt{Class: Misconfigured, Reason: reason("the server does not accept the login; correct smtp_username and its password")}
	case code >= 400 && code < 500:
		return Receipt{Class: Transient, Reason: reason("the server failed for now; it is retried")}
	case code >= 500:
		return Receipt{Class: Permanent, Reason: reason("the server refuses this mail for good")}
	}
	return Receipt{Class: Uncertain, Reason: reason("an answer that SMTP does not know")}
}

// oneLine makes foreign text fit for a row or a log line: printable, single spaces, at most limit runes.
func oneLine(s string, limit int) string {
	printable := strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, strings.ToValidUTF8(s, "?"))
	runes := []rune(strings.Join(strings.Fields(printable), " "))
	if len(runes) > limit {
		return string(runes[:limit-1]) + "…"
	}
	return string(runes)
}

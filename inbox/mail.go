package inbox

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"net/textproto"
	"strings"
)

// maxNesting bounds multipart in multipart; real mail needs three.
const maxNesting = 8

// readMail decodes an e-mail as a mail program would. What cannot be decoded is said in the text, and
// the raw message is there in any case: a malformed message is exactly what a developer must see.
func readMail(raw []byte) Message {
	m := Message{Channel: Email, Raw: string(raw)}
	parsed, err := mail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		m.Subject = "(unreadable e-mail)"
		m.Text = fmt.Sprintf("(the message has no readable header: %s)\n\n%s", err, raw)
		return m
	}
	m.Headers = visibleHeaders(parsed.Header)
	m.Subject = decodeHeader(parsed.Header.Get("Subject"))
	m.From = decodeHeader(parsed.Header.Get("From"))
	m.Key = parsed.Header.Get("Message-ID")

	var body mailBody
	if err := body.read(textproto.MIMEHeader(parsed.Header), parsed.Body, 0); err != nil {
		body.text = append(body.text, fmt.Sprintf("(a part of this message could not be decoded: %s)", err))
	}
	m.Text = strings.Join(body.text, "\n")
	m.HTML = strings.Join(body.html, "\n")
	m.Attachments = body.attachments
	m.Severity = readSeverity(m.Subject, m.Text)
	return m
}

// decodeHeader undoes RFC 2047; an encoding that it does not know stays as it came.
func decodeHeader(value string) string {
	decoded, err := new(mime.WordDecoder).DecodeHeader(value)
	if err != nil {
		return value
	}
	return decoded
}

// mailBody collects the parts that a person reads.
type mailBody struct {
	text, html, attachments []string
}

func (b *mailBody) read(header textproto.MIMEHeader, body io.Reader, depth int) error {
	kind, params, err := mediaType(header.Get("Content-Type"))
	if err != nil {
		return err
	}
	if strings.HasPrefix(kind, "multipart/") {
		return b.readParts(multipart.NewReader(body, params["boundary"]), depth+1)
	}
	content, err := io.ReadAll(transferDecoder(header.Get("Content-Transfer-Encoding"), body))
	if err != nil {
		return fmt.Errorf("decode %s: %w", kind, err)
	}
	disposition, dispositionParams, _ := mime.ParseMediaType(header.Get("Content-Disposition"))
	switch {
	case disposition == "attachment":
		b.attach(dispositionParams["filename"], kind, content)
	case kind == "text/plain":
		b.text = append(b.text, decodeCharset(params["charset"], content))
	case kind == "text/html":
		b.html = append(b.html, decodeCharset(params["charset"], content))
	default:
		b.attach(dispositionParams["filename"], kind, content)
	}
	return nil
}

func (b *mailBody) readParts(parts *multipart.Reader, depth int) error {
	if depth > maxNesting {
		return fmt.Errorf("parts are nested more than %d deep", maxNesting)
	}
	for {
		part, err := parts.NextRawPart()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read part: %w", err)
		}
		if err := b.read(part.Header, part, depth); err != nil {
			return err
		}
	}
}

func (b *mailBody) attach(name, kind string, content []byte) {
	if name == "" {
		name = "unnamed"
	}
	b.attachments = append(b.attachments, fmt.Sprintf("%s (%s, %d bytes)", name, kind, len(content)))
}

// mediaType applies the default of RFC 2045 to a missing type.
func mediaType(value string) (kind string, params map[string]string, err error) {
	if value == "" {
		return "text/plain", nil, nil
	}
	kind, params, err = mime.ParseMediaType(value)
	if err != nil {
		return "", nil, fmt.Errorf("content type %q: %w", value, err)
	}
	return kind, params, nil
}

func transferDecoder(encoding string, body io.Reader) io.Reader {
	switch strings.ToLower(strings.TrimSpace(encoding)) {
	case "quoted-printable":
		return quotedprintable.NewReader(body)
	case "base64":
		return base64.NewDecoder(base64.StdEncoding, body)
	}
	return body
}

// decodeCharset knows UTF-8, its subset ASCII, and Latin-1, whose bytes are the code points. Other
// charsets show the replacement character where they differ from UTF-8.
func decodeCharset(charset string, content []byte) string {
	if strings.EqualFold(charset, "iso-8859-1") {
		runes := make([]rune, len(content))
		for i, c := range content {
			runes[i] = rune(c)
		}
		return string(runes)
	}
	return strings.ToValidUTF8(string(content), "\uFFFD")
}

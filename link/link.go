// Package link makes and checks the links by which somebody answers an alert from a message. It owns the
// form of a token, its signature and its end; it refuses clocks, storage and networks: `now` is an argument,
// and whether a token was used already is known elsewhere, by its ID.
//
// A token is bound to what it does, to which alerts, and to whom it was sent. Whoever holds it can do exactly
// that, once. So it is a secret: it belongs into the message alone, not into a row, a log or a history.
package link

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

const (
	// MaxAlerts is how many alerts one link answers: as many as a message shows by name.
	MaxAlerts = 20
	// MinKey is how many bytes a key has at least.
	MinKey = 32
	// maxToken bounds what is parsed; a token for MaxAlerts alerts has some 1,300 characters.
	maxToken = 4 << 10

	keyIDLength = 8
	// domain keeps signatures of ours from being valid for anything else that the key may be used for.
	domain = "onevault link v1\x00"
)

// Why a token is not accepted, for errors.Is.
var (
	// ErrForged: it is none of ours, was changed, or its key is gone.
	ErrForged = errors.New("the link is not valid")
	// ErrExpired: it was ours, and its time has passed. The claims are returned with it.
	ErrExpired = errors.New("the link has expired")
)

// Claims are what a token says.
type Claims struct {
	Verb      string              // acknowledge or resolve
	Alerts    [][sha256.Size]byte // hash keys
	Recipient string              // whom it was sent to
	Message   string              // key of the message that it came with: each message has links of its own
	Expires   time.Time           // to the second
}

// payload is the form of the claims inside a token.
type payload struct {
	Verb      string `json:"v"`
	Alerts    []byte `json:"a"`
	Recipient string `json:"r"`
	Message   []byte `json:"m"` // head of its key's hash
	Expires   int64  `json:"e"`
}

// Keys sign tokens with the first key and accept those of all, so that a key can be replaced while links of
// the old one are still in people's inboxes. The zero value signs nothing.
type Keys struct {
	signing string
	byID    map[string][]byte
}

// ParseKeys reads keys, one per line, the signing one first. Each is any text of at least 32 bytes without
// spaces, such as the output of `openssl rand -base64 32`. Empty lines and lines that begin with # do not
// count. No error repeats a key.
func ParseKeys(text string) (Keys, error) {
	keys := Keys{byID: map[string][]byte{}}
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if len(line) < MinKey || strings.ContainsAny(line, " \t") {
			return Keys{}, fmt.Errorf("line %d is no key: write at least %d characters without spaces, such as the output of `openssl rand -base64 32`", i+1, MinKey)
		}
		id := keyID(line)
		if keys.signing == "" {
			keys.signing = id
		}
		keys.byID[id] = []byte(line)
	}
	if keys.signing == "" {
		return Keys{}, errors.New("there is no key in it: write one per line, such as the output of `openssl rand -base64 32`")
	}
	return keys, nil
}

// keyID names a key without telling anything of it.
func keyID(key string) string {
	sum := sha256.Sum256([]byte("onevault link key id\x00" + key))
	return hex.EncodeToString(sum[:])[:keyIDLength]
}

// Usable reports whether there is a key to sign with.
func (k Keys) Usable() bool { return k.signing != "" }

// String keeps keys out of logs.
func (k Keys) String() string { return fmt.Sprintf("%d link keys", len(k.byID)) }

// GoString is String, for %#v.
func (k Keys) GoString() string { return k.String() }

// Sign makes the token of the claims: the same for the same claims.
func (k Keys) Sign(c Claims) (string, error) {
	switch {
	case !k.Usable():
		return "", errors.New("there is no key to sign links with")
	case c.Verb == "" || c.Recipient == "" || c.Message == "" || c.Expires.IsZero():
		return "", errors.New("a link needs a verb, a recipient, a message and an end")
	case len(c.Alerts) == 0 || len(c.Alerts) > MaxAlerts:
		return "", fmt.Errorf("a link answers 1 to %d alerts, not %d", MaxAlerts, len(c.Alerts))
	}
	message := sha256.Sum256([]byte(c.Message))
	p := payload{Verb: c.Verb, Recipient: c.Recipient, Message: message[:8], Expires: c.Expires.Unix()}
	for _, a := range c.Alerts {
		p.Alerts = append(p.Alerts, a[:]...)
	}
	body, err := json.Marshal(p)
	if err != nil {
		return "", fmt.Errorf("sign a link: %w", err)
	}
	signed := k.signing + "." + base64.RawURLEncoding.EncodeToString(body)
	return signed + "." + base64.RawURLEncoding.EncodeToString(mac(k.byID[k.signing], signed)), nil
}

func mac(key []byte, signed string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(domain + signed))
	return h.Sum(nil)
}

// Verify returns what a token of ours says. The error is ErrForged, or ErrExpired beside the claims.
func (k Keys) Verify(token string, now time.Time) (Claims, error) {
	cut := strings.LastIndexByte(token, '.')
	if len(token) > maxToken || cut < keyIDLength+1 || token[keyIDLength] != '.' {
		return Claims{}, ErrForged
	}
	signed := token[:cut]
	signature, err := base64.RawURLEncoding.Strict().DecodeString(token[cut+1:])
	key, known := k.byID[token[:keyIDLength]]
	if err != nil || !known || !hmac.Equal(signature, mac(key, signed)) {
		return Claims{}, ErrForged
	}
	// What follows is our own writing.
	body, err := base64.RawURLEncoding.DecodeString(signed[keyIDLength+1:])
	if err != nil {
		return Claims{}, ErrForged
	}
	var p payload
	if err := json.Unmarshal(body, &p); err != nil || len(p.Alerts) == 0 || len(p.Alerts)%sha256.Size != 0 {
		return Claims{}, ErrForged
	}
	c := Claims{Verb: p.Verb, Recipient: p.Recipient, Expires: time.Unix(p.Expires, 0).UTC()}
	for at := 0; at < len(p.Alerts); at += sha256.Size {
		c.Alerts = append(c.Alerts, [sha256.Size]byte(p.Alerts[at:]))
	}
	if !now.Before(c.Expires) {
		return c, ErrExpired
	}
	return c, nil
}

// ID names a token where it may be written down: who knows it cannot make the token of it.
func ID(token string) string {
	sum := sha256.Sum256([]byte("onevault link id\x00" + token))
	return hex.EncodeToString(sum[:16])
}

// Package digest counts and sums what passes on its way to or from a file: bytes, SHA-256, and the records
// of a CSV. It opens no file and judges nothing.
package digest

import (
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"io"
)

// Meter counts the bytes that are written through it, and sums them.
type Meter struct {
	to   io.Writer // nil: nowhere
	n    int64
	hash hash.Hash
}

// NewMeter passes everything on to a writer; nil: it only counts.
func NewMeter(to io.Writer) *Meter { return &Meter{to: to, hash: sha256.New()} }

// Write implements io.Writer. What the next writer failed at is not counted.
func (m *Meter) Write(p []byte) (int, error) {
	n := len(p)
	if m.to != nil {
		var err error
		if n, err = m.to.Write(p); err != nil {
			return n, err
		}
	}
	m.n += int64(n)
	m.hash.Write(p[:n])
	return n, nil
}

// Bytes is how many bytes have passed.
func (m *Meter) Bytes() int64 { return m.n }

// SHA256 is the sum of what has passed, in hex.
func (m *Meter) SHA256() string { return hex.EncodeToString(m.hash.Sum(nil)) }

// SHA256 is the sum of a text, in hex.
func SHA256(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// MaxHeader bounds the first line of a CSV, which is kept in memory.
const MaxHeader = 1 << 20

// Records counts the records of a CSV: line ends outside of quotes, without the header's.
type Records struct {
	quoted bool
	lines  int64
	first  []byte
}

// Write implements io.Writer; it never fails.
func (r *Records) Write(p []byte) (int, error) {
	for _, b := range p {
		if r.lines == 0 && b != '\n' && len(r.first) < MaxHeader {
			r.first = append(r.first, b)
		}
		switch b {
		case '"':
			r.quoted = !r.quoted // a doubled one is none
		case '\n':
			if !r.quoted {
				r.lines++
			}
		}
	}
	return len(p), nil
}

// Count is the number of records after the header's; -1: nothing was written.
func (r *Records) Count() int64 { return r.lines - 1 }

// Header is the first line.
func (r *Records) Header() string { return string(r.first) }

package digest_test

import (
	"errors"
	"io"
	"strings"
	"testing"

	"onevault/digest"
)

func TestRecords_CountsLineEndsOutsideOfQuotes(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int64{
		"":                             -1,
		"a,b\n":                        0,
		"a,b\n1,2\n":                   1,
		"a,b\n\"one\ntwo\",2\n3,4\n":   2,
		"a,b\n\"a \"\"quote\"\"\n\"\n": 1,
		"a\n\n":                        1, // a row of one NULL
	} {
		// One byte at a time: nothing rests on where a write ends.
		records := &digest.Records{}
		for i := range len(text) {
			if n, err := io.WriteString(records, text[i:i+1]); n != 1 || err != nil {
				t.Fatal(n, err)
			}
		}
		if header, _, _ := strings.Cut(text, "\n"); records.Count() != want || records.Header() != header {
			t.Errorf("%q: %d records below %q, want %d below %q", text, records.Count(), records.Header(), want, header)
		}
	}
}

type half struct{}

func (half) Write(p []byte) (int, error) { return len(p) / 2, errors.New("full") }

func TestMeter_SumsWhatPassed(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	meter := digest.NewMeter(&out)
	for range 2 {
		if _, err := io.WriteString(meter, "abc"); err != nil {
			t.Fatal(err)
		}
	}
	if meter.Bytes() != 6 || out.String() != "abcabc" || meter.SHA256() != digest.SHA256([]byte("abcabc")) {
		t.Errorf("%d bytes, %q, %s", meter.Bytes(), out.String(), meter.SHA256())
	}
	failing := digest.NewMeter(half{})
	if n, err := io.WriteString(failing, "abcd"); n != 2 || err == nil || failing.Bytes() != 0 {
		t.Errorf("%d, %v: %d bytes are counted of a write that failed", n, err, failing.Bytes())
	}
}

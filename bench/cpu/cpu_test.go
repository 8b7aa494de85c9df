//go:build linux

package cpu

import (
	"testing"
	"time"
)

func TestEndedTicks_ReadsThePastOfANameWithBrackets(t *testing.T) {
	t.Parallel()
	stat := "4711 (a) b (c) S 1 4711 4711 0 -1 4194560 100 200 0 0 11 12 130 7 20 0 1 0 999"
	got, err := endedTicks(stat, 10*time.Millisecond)
	if err != nil || got != 1370*time.Millisecond {
		t.Errorf("got %v, %v; want 1.37 s, the fields 16 and 17", got, err)
	}
	if _, err := endedTicks("4711 (postgres) S 1", 10*time.Millisecond); err == nil {
		t.Error("a line without these fields is read")
	}
}

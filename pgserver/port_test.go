package pgserver_test

import (
	"net"
	"strconv"
	"testing"

	"onevault/pgserver"
)

func TestFreePort_GivesEachOnceAndNoneThatTheSystemGivesAway(t *testing.T) {
	t.Parallel()
	seen := map[int]bool{}
	taken := 0
	for range 50 {
		port, err := pgserver.FreePort()
		if err != nil {
			t.Fatal(err)
		}
		if seen[port] || port >= 32768 || port < 1024 {
			t.Errorf("port %d, seen %v", port, seen[port])
		}
		seen[port] = true
		listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err != nil {
			t.Logf("port %d is not free: %v", port, err)
			taken++
			continue
		}
		defer listener.Close()
	}
	if taken > 2 { // other processes of this machine take ports as well, and may take one in between
		t.Errorf("%d of 50 ports were not free", taken)
	}
}

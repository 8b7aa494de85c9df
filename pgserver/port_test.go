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
			t.Fatalf("port %d is not free: %v", port, err)
		}
		defer listener.Close()
	}
}

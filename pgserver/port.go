package pgserver

import (
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
)

// Ports from here on are below those that Linux, macOS and IANA give to outgoing connections: a port that
// was found free does not become somebody's own end of a connection before it is listened on.
const (
	firstFreePort = 20000
	lastFreePort  = 32700
)

var (
	givenPorts   = map[int]bool{}
	givenPortsMu sync.Mutex
)

// FreePort finds a TCP port of 127.0.0.1 that nobody listens on. It gives each port once, so that two who ask
// before they listen have two.
func FreePort() (int, error) {
	givenPortsMu.Lock()
	defer givenPortsMu.Unlock()
	var last error
	for range 1000 {
		port := firstFreePort + rand.IntN(lastFreePort-firstFreePort)
		if givenPorts[port] {
			continue
		}
		listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err != nil {
			last = err
			continue
		}
		givenPorts[port] = true
		return port, listener.Close()
	}
	return 0, fmt.Errorf("find a free port from %d to %d on 127.0.0.1: %w", firstFreePort, lastFreePort, last)
}

package temporalserver

import (
	"fmt"
	"net"
	"strconv"

	"onevault/pgserver"
)

// loopback is the only address that is served: neither the server nor its UI asks who is calling.
const loopback = "127.0.0.1"

// PortError says which part could not have its port.
type PortError struct {
	Use  string // "Temporal", "Temporal UI"
	Port int
	Err  error
}

func (e *PortError) Error() string {
	return fmt.Sprintf("port %d for %s is not free: %v", e.Port, e.Use, e.Err)
}

func (e *PortError) Unwrap() error { return e.Err }

// claim reports the port to use: the one asked for when it is free, any free one for 0. Temporal opens
// its ports by number and ends the process when it cannot, so they are tried beforehand.
func claim(use string, port int) (int, error) {
	if port == 0 {
		return pgserver.FreePort()
	}
	l, err := net.Listen("tcp", hostPort(port))
	if err != nil {
		return 0, &PortError{Use: use, Port: port, Err: err}
	}
	port = l.Addr().(*net.TCPAddr).Port
	if err := l.Close(); err != nil {
		return 0, &PortError{Use: use, Port: port, Err: err}
	}
	return port, nil
}

func hostPort(port int) string { return net.JoinHostPort(loopback, strconv.Itoa(port)) }

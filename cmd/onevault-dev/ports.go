package main

import (
	"fmt"
	"net"
	"strconv"
	"time"

	"onevault/pgserver"
)

// portChoice is one of the ports and what was said about it.
type portChoice struct {
	use, flag string // "Temporal", "temporal-port"
	port      int
	explicit  bool // the flag was given
}

// choose settles the port: a free one for 0; otherwise the port itself, which may take up to patience
// to become free (what a killed process leaves behind takes a moment to end). A default that stays
// taken is replaced and noted, one that was asked for is a usage error.
func (c *portChoice) choose(patience time.Duration, note func(string)) error {
	asked := c.port
	free, err := tryPort(asked, patience)
	if err == nil {
		c.port = free
		return nil
	}
	if c.explicit {
		return usageError{fmt.Errorf("port %d for %s is in use: choose another with --%s, or 0 for any free one", asked, c.use, c.flag)}
	}
	if c.port, err = tryPort(0, 0); err != nil {
		return fmt.Errorf("find a free port for %s: %w", c.use, err)
	}
	note(fmt.Sprintf("port %d for %s is in use, so it is %d this time (--%s chooses one)", asked, c.use, c.port, c.flag))
	return nil
}

// tryPort reports the port if it is free on the loopback address, or any free one for 0.
func tryPort(port int, patience time.Duration) (int, error) {
	if port == 0 {
		return pgserver.FreePort()
	}
	deadline := time.Now().Add(patience)
	for {
		l, err := net.Listen("tcp", loopback(port))
		if err == nil {
			free := l.Addr().(*net.TCPAddr).Port
			return free, l.Close()
		}
		if time.Now().After(deadline) {
			return 0, err
		}
		time.Sleep(50 * time.Millisecond) // a port gives no event when it becomes free
	}
}

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

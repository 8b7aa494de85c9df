//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"sync"
	"sync/atomic"
)

// proxy stands between a contestant and the server and counts what the server sends. It is not there
// while time is taken.
type proxy struct {
	listener net.Listener
	server   string
	received atomic.Int64
	mu       sync.Mutex
	open     []net.Conn
}

// countingProxy returns a proxy and the address by which the server is reached through it.
func countingProxy(address string) (*proxy, string, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, "", errors.New("the server's address is not a URL")
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, "", fmt.Errorf("listen for the proxy: %w", err)
	}
	p := &proxy{listener: listener, server: u.Host}
	u.Host = listener.Addr().String()
	go p.serve()
	return p, u.String(), nil
}

// serve ends when the listener is closed. A connection that cannot be made shows as an error of the
// contestant, whose end of it is closed.
func (p *proxy) serve() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		server, err := new(net.Dialer).DialContext(context.Background(), "tcp", p.server)
		if err != nil {
			_ = client.Close() // it is given up, whatever it says
			continue
		}
		p.mu.Lock()
		p.open = append(p.open, client, server)
		p.mu.Unlock()
		go pass(server, client)
		go pass(client, &counted{server, &p.received})
	}
}

// pass copies until either side has ended, and ends the other.
func pass(to io.WriteCloser, from io.Reader) {
	_, _ = io.Copy(to, from) // what breaks here breaks for the contestant, who says so
	_ = to.Close()           // the other direction may have ended it
}

func (p *proxy) close() error {
	err := p.listener.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, conn := range p.open {
		_ = conn.Close() // most are closed already
	}
	return err
}

type counted struct {
	io.Reader
	bytes *atomic.Int64
}

func (c *counted) Read(b []byte) (int, error) {
	n, err := c.Reader.Read(b)
	c.bytes.Add(int64(n))
	return n, err
}

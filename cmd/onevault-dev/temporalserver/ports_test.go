package temporalserver

import (
	"errors"
	"net"
	"syscall"
	"testing"
)

func TestStart_PortTakenAfterItsClaimIsAnErrorAndOthersAreTried(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	port := taken.Addr().(*net.TCPAddr).Port

	s := &Server{failed: make(chan error, 1)}
	dir := t.TempDir()
	if err := s.startTemporal(dir, port); !errors.Is(err, syscall.EADDRINUSE) {
		t.Fatalf("start on a taken port: %v, want EADDRINUSE", err)
	}

	claims := 0
	err = s.startOnFreePorts(dir, func() (int, error) {
		claims++
		if claims == 1 {
			return port, nil // somebody took it meanwhile
		}
		return claim("Temporal", 0)
	})
	if err != nil {
		t.Fatal(err)
	}
	if claims != 2 {
		t.Errorf("ports were claimed %d times, want 2", claims)
	}
	if err := s.temporal.Stop(); err != nil {
		t.Error(err)
	}
}

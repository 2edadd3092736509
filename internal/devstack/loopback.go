package devstack

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"syscall"
)

// errPortTaken is a bind refused by the system.
var errPortTaken = errors.New("port is taken")

// listenLoopback listens on 127.0.0.1, on a free port where it is given 0.
func listenLoopback(ctx context.Context, port int) (net.Listener, error) {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp4", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("%w: 127.0.0.1:%d; stop what listens there or choose another port", errPortTaken, port)
	}
	return listener, err
}

// freePort is free at this moment; another process may take it.
func freePort(ctx context.Context) (int, error) {
	listener, err := listenLoopback(ctx, 0)
	if err != nil {
		return 0, err
	}
	port := listener.Addr().(*net.TCPAddr).Port
	return port, listener.Close()
}

// checkPort tells of a taken port before a server is started in vain.
func checkPort(ctx context.Context, port int) error {
	listener, err := listenLoopback(ctx, port)
	if err != nil {
		return fmt.Errorf("start PostgreSQL: %w", err)
	}
	return listener.Close()
}

package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"syscall"
)

// The ports of dev where they are not taken; Kafka's is devstack's to know.
const (
	DefaultHTTPPort  = 8082
	DefaultOrderPort = 8080
)

// checkPorts names every port that was asked for and cannot be had, before the
// work of starting anything.
func (c DevConfig) checkPorts(ctx context.Context) error {
	var errs []error
	flags := map[int]string{}
	for _, asked := range []struct {
		flag string
		port int
	}{
		{"--http-port", c.HTTPPort},
		{"--order-port", c.OrderPort},
		{"--kafka-port", c.KafkaPort},
		{"--postgres-port", c.PostgresPort},
	} {
		if asked.port == 0 {
			continue
		}
		if other := flags[asked.port]; other != "" {
			errs = append(errs, fmt.Errorf("%s %d: the same as %s; choose another port", asked.flag, asked.port, other))
			continue
		}
		flags[asked.port] = asked.flag
		if err := checkPort(ctx, asked.port); err != nil {
			errs = append(errs, fmt.Errorf("%s %d: %w", asked.flag, asked.port, err))
		}
	}
	return errors.Join(errs...)
}

func checkPort(ctx context.Context, port int) error {
	if port < 1 || port > 65535 {
		return errors.New("not a port; choose one from 1 to 65535, or leave the flag out")
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", loopback(port))
	switch {
	case err == nil:
		return listener.Close()
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("the port is taken; stop what listens on %s, or choose another port", loopback(port))
	case errors.Is(err, syscall.EACCES):
		return errors.New("ports below 1024 need privileges; choose a higher one")
	default:
		return err
	}
}

// onPort calls start with the address to listen on: the port that was asked
// for, else the usual one, else a free one when that is taken. Whoever listens
// finds out, so that two that start at once do not both believe to have it.
func onPort(asked, usual int, start func(addr string) error) error {
	if asked != 0 {
		return start(loopback(asked))
	}
	err := start(loopback(usual))
	if errors.Is(err, syscall.EADDRINUSE) {
		return start(loopback(0))
	}
	return err
}

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

package devmode

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
)

// The content of the --data directory.
const (
	postgresDir = "postgresql"
	kafkaDir    = "kafka"
	ordersFile  = "orders.jsonl"
)

// makeDataDir creates the --data directory. Its path becomes absolute, so that the
// command to continue works from any directory.
func (e *environment) makeDataDir() (err error) {
	if e.cfg.DataDir == "" {
		return nil
	}
	if e.cfg.DataDir, err = filepath.Abs(e.cfg.DataDir); err != nil {
		return fmt.Errorf("--data: %w", err)
	}
	if err := checkParents(e.cfg.DataDir); err != nil {
		return err
	}
	if err := os.MkdirAll(e.cfg.DataDir, 0o755); err != nil { // PostgreSQL's user passes through
		return fmt.Errorf("--data: %w; choose a directory that you may write to", err)
	}
	if err := checkParents(e.cfg.DataDir); err != nil { // again: it may have been created meanwhile
		return err
	}
	if err := checkOwn(e.cfg.DataDir); err != nil {
		return err
	}
	return e.checkContent()
}

// checkContent refuses a directory that holds only other files: it was probably
// not meant.
func (e *environment) checkContent() error {
	entries, err := os.ReadDir(e.cfg.DataDir)
	if err != nil {
		return fmt.Errorf("--data: %w; choose a directory that you may read", err)
	}
	written := func(e fs.DirEntry) bool {
		return slices.Contains([]string{postgresDir, kafkaDir, ordersFile}, e.Name())
	}
	if len(entries) == 0 || slices.ContainsFunc(entries, written) {
		return nil
	}
	return fmt.Errorf("--data: %s holds other files, such as %s, but no data of dev; choose an empty or new directory",
		e.cfg.DataDir, entries[0].Name())
}

func userName(uid int) string {
	id := strconv.Itoa(uid)
	if found, err := user.LookupId(id); err == nil {
		return found.Username
	}
	return id
}

// inDataDir returns a path under --data; "" without --data.
func (e *environment) inDataDir(part string) string {
	if e.cfg.DataDir == "" {
		return ""
	}
	return filepath.Join(e.cfg.DataDir, part)
}

// The ports to use unless they are taken; devkafka has that of Kafka.
const (
	DefaultEventsPort = 8081
	DefaultHTTPPort   = 8082
	DefaultOrderPort  = 8080
)

// checkPorts returns an error for every requested port that is not available,
// before anything starts.
func (c Config) checkPorts(ctx context.Context) error {
	var errs []error
	flags := map[int]string{}
	for _, requested := range []struct {
		flag string
		port int
	}{
		{"--http-port", c.HTTPPort},
		{"--order-port", c.OrderPort},
		{"--kafka-port", c.KafkaPort},
		{"--postgres-port", c.PostgresPort},
	} {
		if requested.port == 0 {
			continue
		}
		if other := flags[requested.port]; other != "" {
			errs = append(errs, fmt.Errorf("%s %d: same port as %s; choose another port", requested.flag, requested.port, other))
			continue
		}
		flags[requested.port] = requested.flag
		if err := checkPort(ctx, requested.port); err != nil {
			errs = append(errs, fmt.Errorf("%s %d: %w", requested.flag, requested.port, err))
		}
	}
	return errors.Join(errs...)
}

func checkPort(ctx context.Context, port int) error {
	if port < 1 || port > 65535 {
		return errors.New("not a port; choose one from 1 to 65535, or omit the flag")
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", loopback(port))
	switch {
	case err == nil:
		return listener.Close()
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("port is taken; stop what listens on %s, or choose another port", loopback(port))
	case errors.Is(err, syscall.EACCES):
		return errors.New("ports below 1024 need privileges; choose a higher port")
	default:
		return err
	}
}

// onPort calls start with the address of the requested port, else of the standard
// port, else of a free one when that is taken. Listening itself decides: of two
// processes that start at once, only one gets the port.
func onPort(requested, standard int, start func(addr string) error) error {
	if requested != 0 {
		return start(loopback(requested))
	}
	err := start(loopback(standard))
	if errors.Is(err, syscall.EADDRINUSE) {
		return start(loopback(0))
	}
	return err
}

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

package realkafka

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
)

// Ports are drawn below 32768, where Linux begins to hand out ports to outgoing
// connections: while the broker is down, a client that dials an ephemeral port
// of its own host again and again may be given that very port, connect to
// itself and so take it from the broker that comes back.
const (
	firstPort = 20000
	lastPort  = 32000
)

// ports are what one node listens on; controller is ZooKeeper's where there is
// one, others are by the name of the listener.
type ports struct {
	broker, controller int
	others             map[string]int
}

// freePorts finds ports that nobody listens on. Another process may take one
// before the broker does; Start then tries again with others.
func (o Options) freePorts(ctx context.Context) (ports, error) {
	p, taken := ports{others: make(map[string]int)}, make(map[int]bool)
	next := func() (port int, err error) {
		for err == nil && (port == 0 || taken[port]) {
			port, err = freePort(ctx)
		}
		taken[port] = true
		return port, err
	}
	var err, errs error
	p.broker, err = next()
	errs = errors.Join(errs, err)
	p.controller, err = next()
	errs = errors.Join(errs, err)
	for name := range o.Listeners {
		p.others[name], err = next()
		errs = errors.Join(errs, err)
	}
	return p, errs
}

func freePort(ctx context.Context) (int, error) {
	const attempts = 100
	var errs error
	for range attempts {
		port := firstPort + rand.IntN(lastPort-firstPort)
		listener, err := new(net.ListenConfig).Listen(ctx, "tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			return port, listener.Close()
		}
		errs = errors.Join(errs, err)
	}
	return 0, fmt.Errorf("find a free port between %d and %d: %d were taken: %w", firstPort, lastPort, attempts, errs)
}

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

// ports are what one node listens on.
type ports struct{ broker, controller int }

// freePorts finds two ports that nobody listens on. Another process may take
// one before the broker does; Start then tries again with others.
func freePorts(ctx context.Context) (ports, error) {
	broker, err := freePort(ctx)
	if err != nil {
		return ports{}, err
	}
	for {
		controller, err := freePort(ctx)
		if err != nil {
			return ports{}, err
		}
		if controller != broker {
			return ports{broker: broker, controller: controller}, nil
		}
	}
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

package realkafka

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// startZooKeeper starts the ZooKeeper that the broker waits for, and that
// outlives it. It prints into the broker's log.
func (b *Broker) startZooKeeper(ctx context.Context, log *os.File) error {
	path := filepath.Join(b.dir, "zookeeper.properties")
	settings := strings.Join([]string{
		"dataDir=" + filepath.Join(b.dir, "zookeeper"),
		"clientPortAddress=127.0.0.1",
		fmt.Sprintf("clientPort=%d", b.ports.controller),
		"tickTime=250", // a session is at least two of it
		"admin.enableServer=false",
	}, "\n")
	if err := os.WriteFile(path, []byte(settings), 0o600); err != nil {
		return fmt.Errorf("write ZooKeeper's settings: %w", err)
	}
	var err error
	b.zookeeper, err = startProcess(ctx, b.dir, b.java, b.jvm("org.apache.zookeeper.server.ZooKeeperServerMain", path), log)
	return err
}

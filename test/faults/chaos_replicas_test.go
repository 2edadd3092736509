package faults

import (
	"fmt"
	"maps"
	"regexp"
	"strings"
	"sync"
	"time"
)

// replicaGroup has the replicas that should be running, with their addresses.
type replicaGroup struct {
	mu sync.Mutex
	up map[replica]string
}

func (g *replicaGroup) join(r replica, addr string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.up[r] = addr
}

// leave is called before a replica is ended.
func (g *replicaGroup) leave(r replica) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.up, r)
}

func (g *replicaGroup) has(r replica) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	_, ok := g.up[r]
	return ok
}

func (g *replicaGroup) all() map[replica]string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return maps.Clone(g.up)
}

var listens = regexp.MustCompile(`"msg":"listening","addr":"([^"]+)"`)

// newReplica starts a replica and waits until it listens: only then does SIGTERM end it in order.
func (c *chaos) newReplica() replica {
	c.Helper()
	r := c.spawn(through(c.wire), resyncEvery(time.Second), publishing)
	var addr []string
	c.eventually("a new replica listens", func() bool {
		addr = listens.FindStringSubmatch(r.printed())
		return addr != nil
	})
	c.group.join(r, addr[1])
	return r
}

// stable reports whether the group is stable and has this many members.
func (c *chaos) stable(members int) bool {
	group := c.kafka.Cluster().GroupInfo(groupID)
	return group != nil && group.State == "Stable" && len(group.Members) == members
}

// unsettled describes partitions not committed to the end and members that did not join.
func (c *chaos) unsettled() (wrong []string) {
	c.Helper()
	if !c.stable(len(c.replicas)) {
		wrong = append(wrong, "not all replicas are members of the group")
	}
	committed := c.committed()
	for partition, end := range c.ends() {
		if committed[partition] != end {
			wrong = append(wrong, fmt.Sprintf("partition %d is committed to %d of %d", partition, committed[partition], end))
		}
	}
	return wrong
}

// stop ends a replica during a calm: in order.
func (c *chaos) stop(r replica) {
	c.Helper()
	c.group.leave(r)
	c.check(r.Stop(10 * time.Second))
}

// gaveUp is the last line of a replica whose batch does not finish within the time of a
// stop.
const gaveUp = "stop background work: the batch in progress did not finish in time; its events will be read again"

// stopInStorm ends a replica whose batch may hang because of another fault. The replica
// may give up then, and must print so.
func (c *chaos) stopInStorm(r replica) {
	c.Helper()
	c.group.leave(r)
	err := r.Stop(10 * time.Second)
	if err != nil && r.ExitCode() == 1 && strings.HasSuffix(r.printed(), "\n"+gaveUp+"\n") {
		c.logf("replica %d gave up its batch", r.Pid())
		return
	}
	c.check(err)
}

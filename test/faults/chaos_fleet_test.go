package faults

import (
	"fmt"
	"maps"
	"regexp"
	"strings"
	"sync"
	"time"
)

// fleet is the replicas that ought to be running, and where each answers.
type fleet struct {
	mu sync.Mutex
	up map[replica]string
}

func (f *fleet) comes(r replica, addr string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.up[r] = addr
}

// leaves is called before a replica is ended.
func (f *fleet) leaves(r replica) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.up, r)
}

func (f *fleet) has(r replica) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	_, ok := f.up[r]
	return ok
}

func (f *fleet) all() map[replica]string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return maps.Clone(f.up)
}

var listens = regexp.MustCompile(`"msg":"listening","addr":"([^"]+)"`)

// newReplica returns a replica that listens, and so ends in order when told to.
func (c *chaos) newReplica() replica {
	c.Helper()
	r := c.spawn(through(c.wire), sweepEvery(time.Second))
	var addr []string
	c.eventually("a new replica listens", func() bool {
		addr = listens.FindStringSubmatch(r.printed())
		return addr != nil
	})
	c.fleet.comes(r, addr[1])
	return r
}

// stable reports that the group is at rest, with so many members.
func (c *chaos) stable(members int) bool {
	group := c.kafka.Cluster().GroupInfo(groupID)
	return group != nil && group.State == "Stable" && len(group.Members) == members
}

// unsettled names what is still to be read and committed, and who to join.
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

// stop ends a replica in a calm: in order.
func (c *chaos) stop(r replica) {
	c.Helper()
	c.fleet.leaves(r)
	c.check(r.Stop(10 * time.Second))
}

// gaveUp is the last that a replica says when the batch in hand cannot end
// within the time of a stop.
const gaveUp = "the batch in hand did not end in time; its events will be read again"

// stopInStorm ends a replica whose batch in hand may hang on what is broken:
// service-order, PostgreSQL, a lock. It may then give up, and has to say so.
func (c *chaos) stopInStorm(r replica) {
	c.Helper()
	c.fleet.leaves(r)
	err := r.Stop(10 * time.Second)
	if err != nil && r.ExitCode() == 1 && strings.HasSuffix(r.printed(), "\n"+gaveUp+"\n") {
		c.tell("replica %d gave up its batch", r.Pid())
		return
	}
	c.check(err)
}

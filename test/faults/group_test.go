package faults

import (
	"flag"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"service-courier/internal/courier"
)

var membersEvery = flag.Duration("members-every", 300*time.Millisecond, "how often a member joins or leaves in TestMembersComeAndGo")

// TestMembersComeAndGo: thirty times a replica joins the group or leaves it, too
// quickly for a rebalance to end (or every 2 s, by the flag), while orders keep coming. The work must go on
// meanwhile, and nothing may be lost or done twice.
func TestMembersComeAndGo(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 40)
	w.front.unlisted.Store(true)
	stopTraffic := w.traffic()
	var leaving sync.WaitGroup
	t.Cleanup(leaving.Wait)
	members := []func(){w.serve(), w.serve()}
	done := 0
	for i := range 30 {
		if i%2 == 0 {
			members = append(members, w.serve())
		} else {
			leaving.Go(members[0])
			members = members[1:]
		}
		passes(*membersEvery)
		if i%10 == 9 {
			before := done
			w.eventually("orders are handled meanwhile", func() bool {
				done = w.count("SELECT count(*) FROM journal")
				return done > before
			})
		}
	}
	stopTraffic()
	w.agrees()
	w.nothingTwice()
	w.notDead()
	w.allCommitted()
}

// TestRevokedWhileGETStalls: a replica has batches of every partition in hand
// and service-order does not answer one GET of them when another replica wants
// its share. The partitions must change hands, and the batches be done by one of
// the two.
func TestRevokedWhileGETStalls(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 40)
	w.front.unlisted.Store(true)
	w.serve()
	w.create(12)
	w.eventually("all are assigned", func() bool { return w.inState(courier.StateAssigned) == 12 })
	stalled := make(chan string, 100)
	w.front.fail(func(rw http.ResponseWriter, r *http.Request) {
		select {
		case stalled <- r.URL.Path:
			w.front.hang(rw, r)
		default:
			w.sim.Handler().ServeHTTP(rw, r)
		}
	})
	w.create(6)
	<-stalled
	w.serve()
	w.halved()
	w.front.heal()
	w.create(12)
	w.eventually("the stalled ones are looked at again", func() bool {
		w.hurry()
		return len(w.disagreements()) == 0
	})
	w.agrees()
	w.nothingTwice()
	w.allCommitted()
}

// halved waits until two replicas have half of the partitions each.
func (w *world) halved() {
	w.Helper()
	w.eventually("each has half of the partitions", func() bool {
		group := w.kafka.Cluster().GroupInfo(groupID)
		return group != nil && len(group.Members) == 2 &&
			group.Members[0].NumAssigned() == 3 && group.Members[1].NumAssigned() == 3
	})
}

// TestCoordinatorAndLeadersMove: the group's coordinator and the partitions'
// leaders move between two brokers, and every request of the group is refused a
// few times, while orders keep coming.
func TestCoordinatorAndLeadersMove(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 40)
	w.front.unlisted.Store(true)
	w.serve()
	w.serve()
	cluster := w.kafka.Cluster()
	_, _, err := cluster.AddNode(-1, 0)
	w.must(err)
	stopTraffic := w.traffic()
	for range 4 {
		before := w.count("SELECT count(*) FROM journal")
		cluster.RehashCoordinators()
		cluster.ShufflePartitionLeaders()
		cluster.Fault(
			kfake.Fault{Keys: []kmsg.Key{kmsg.OffsetCommit, kmsg.Heartbeat}, Group: groupID, Err: kerr.NotCoordinator, Count: 3},
			kfake.Fault{Keys: []kmsg.Key{kmsg.OffsetFetch, kmsg.JoinGroup}, Group: groupID, Err: kerr.CoordinatorLoadInProgress, Count: 2},
			kfake.Fault{Keys: []kmsg.Key{kmsg.Fetch}, Topic: topic, Err: kerr.NotLeaderForPartition, Count: 2},
		)
		passes(500 * time.Millisecond)
		w.eventually("orders are handled", func() bool { return w.count("SELECT count(*) FROM journal") > before })
	}
	stopTraffic()
	w.agrees()
	w.nothingTwice()
	w.notDead()
	w.allCommitted()
}

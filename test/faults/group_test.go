package faults

import (
	"flag"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
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
	for i := range 30 {
		if i%2 == 0 {
			members = append(members, w.serve())
		} else {
			leaving.Go(members[0])
			members = members[1:]
		}
		passes(*membersEvery)
		if i%10 == 9 {
			before := w.count("SELECT count(*) FROM journal")
			w.eventually("orders are handled meanwhile", func() bool { return w.count("SELECT count(*) FROM journal") > before })
		}
	}
	stopTraffic()
	w.agrees()
	w.nothingTwice()
	w.notDead()
	w.allCommitted()
}

// TestRevokedWhileGETStalls: a replica has batches in hand, each with a GET that
// service-order does not answer, at the moment at which their partitions are taken
// from it for another. They must change hands, and the batches be done by one of
// the two.
func TestRevokedWhileGETStalls(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 40)
	w.front.unlisted.Store(true)
	w.ownCoordinator()
	w.serve()
	w.create(12)
	w.eventually("all are assigned", func() bool { return w.inState(courier.StateAssigned) == 12 })
	planned, revoke := w.holdRevocation()
	w.serve()
	revoked := <-planned
	w.sim.Mute(true)
	ids := w.create(len(revoked))
	w.sim.Mute(false)
	stalled := w.stallFirstGET(ids)
	for i, p := range revoked {
		w.produceTo(p, hint(ids[i]))
	}
	w.eventually("a GET of each partition stalls", func() bool { return int(stalled.Load()) == len(revoked) })
	revoke()
	w.eventually("they are revoked", func() bool {
		return w.kafka.Cluster().GroupInfo(groupID).NumAssigned() == partitions-len(revoked)
	})
	if n := int(stalled.Load()); n != len(revoked) {
		t.Errorf("%d GETs stalled at the moment of the revocation, want %d", n, len(revoked))
	}
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

// TestReplicaSaysWhenItIsNotInTheGroup: its right to the group is taken, and given
// back. The metric is what an alert goes by.
func TestReplicaSaysWhenItIsNotInTheGroup(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 5)
	w.serve()
	joined := func(want float64) func() bool {
		return func() bool { return w.metric("courier_consumer_joined", "") == want }
	}
	w.eventually("it is in the group", joined(1))
	taken := w.kafka.Cluster().Fault(kfake.Fault{
		Keys: []kmsg.Key{kmsg.Heartbeat, kmsg.JoinGroup}, Group: groupID, Err: kerr.GroupAuthorizationFailed, Count: -1,
	})
	w.eventually("it is out of the group", joined(0))
	w.create(3)
	taken.Remove()
	w.eventually("it is back in the group", joined(1))
	w.agrees()
}

// ownCoordinator parts the group's coordinator from the partitions' leaders, so
// that records are read while it keeps an answer back: a client has one connection
// to a broker.
func (w *world) ownCoordinator() {
	w.Helper()
	cluster := w.kafka.Cluster()
	leader, _, err := cluster.AddNode(-1, 0)
	w.must(err)
	if leader == cluster.CoordinatorFor(groupID) {
		leader = 0
	}
	for p := range int32(partitions) {
		w.must(cluster.MoveTopicPartition(topic, p, leader))
	}
}

// holdRevocation keeps back the group's next assignment until revoke is called.
// planned tells the partitions that nobody has in it: those taken from a member,
// before another gets them.
func (w *world) holdRevocation() (planned <-chan []int32, revoke func()) {
	plan, told := make(chan []int32, 1), make(chan struct{})
	cluster := w.kafka.Cluster()
	cluster.ControlKey(int16(kmsg.SyncGroup), func(request kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		if taken := unassigned(request.(*kmsg.SyncGroupRequest)); len(taken) < partitions { // the leader's
			select {
			case plan <- taken:
			default: // a later one
			}
		}
		cluster.SleepControl(func() { <-told })
		return nil, nil, false
	})
	revoke = sync.OnceFunc(func() { close(told) })
	w.Cleanup(revoke)
	return plan, revoke
}

// unassigned are the partitions that an assignment gives to nobody.
func unassigned(request *kmsg.SyncGroupRequest) []int32 {
	left := []int32{0, 1, 2, 3, 4, 5}
	for _, member := range request.GroupAssignment {
		var given kmsg.ConsumerMemberAssignment
		if given.ReadFrom(member.MemberAssignment) != nil {
			return nil
		}
		for _, t := range given.Topics {
			left = slices.DeleteFunc(left, func(p int32) bool { return slices.Contains(t.Partitions, p) })
		}
	}
	return left
}

// stallFirstGET lets the first GET of each of the orders hang, and counts those
// that do.
func (w *world) stallFirstGET(ids []string) (stalled *atomic.Int64) {
	var seen sync.Map
	stalled = new(atomic.Int64)
	w.front.fail(func(rw http.ResponseWriter, r *http.Request) {
		id, _ := strings.CutPrefix(r.URL.Path, orderPath)
		if _, again := seen.LoadOrStore(id, true); again || !slices.Contains(ids, id) {
			w.sim.Handler().ServeHTTP(rw, r)
			return
		}
		stalled.Add(1)
		defer stalled.Add(-1)
		w.front.hang(rw, r)
	})
	return stalled
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

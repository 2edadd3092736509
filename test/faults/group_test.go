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
	"service-courier/internal/dev/citest"
)

var membersEvery = flag.Duration("members-every", 300*time.Millisecond, "how often a member joins or leaves in TestMembersJoinAndLeave")

// TestMembersJoinAndLeave: thirty times a replica joins or leaves the group, too quickly
// for a rebalance to end (or every 2 s, by the flag), while orders arrive. Processing
// must continue meanwhile, and no event may be lost or applied twice.
func TestMembersJoinAndLeave(t *testing.T) {
	citest.Only(t, "thirty rebalances")
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
		sleep(*membersEvery)
		if i%10 == 9 {
			before := w.count("SELECT count(*) FROM journal")
			w.eventually("orders are handled meanwhile", func() bool { return w.count("SELECT count(*) FROM journal") > before })
		}
	}
	stopTraffic()
	w.converges()
	w.nothingHappenedTwice()
	w.noDeadLetters()
	w.allCommitted()
}

// TestRevokedWhileGETStalls: a replica processes batches, each with a GET that
// service-order does not answer, when their partitions are revoked for another replica.
// The partitions must move, and one of the two replicas must finish the batches.
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
	w.partitionsAreShared()
	w.front.heal()
	w.create(12)
	w.eventually("the stalled orders are rechecked", func() bool {
		w.makeRechecksDue()
		return len(w.differences()) == 0
	})
	w.converges()
	w.nothingHappenedTwice()
	w.allCommitted()
}

// TestMetricShowsGroupMembership: the right to the group is revoked and granted again.
// An alert uses the metric.
func TestMetricShowsGroupMembership(t *testing.T) {
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
	w.converges()
}

// ownCoordinator separates the group's coordinator from the partition leaders, so that
// records are read while the coordinator delays an answer: a client has one connection
// per broker.
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

// holdRevocation delays the group's next assignment until revoke is called. planned
// receives the partitions that it assigns to no member: those revoked from one before
// another gets them.
func (w *world) holdRevocation() (planned <-chan []int32, revoke func()) {
	plan, proceed := make(chan []int32, 1), make(chan struct{})
	cluster := w.kafka.Cluster()
	cluster.ControlKey(int16(kmsg.SyncGroup), func(request kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		if taken := unassigned(request.(*kmsg.SyncGroupRequest)); len(taken) < partitions { // the leader's
			select {
			case plan <- taken:
			default: // a later one
			}
		}
		cluster.SleepControl(func() { <-proceed })
		return nil, nil, false
	})
	revoke = sync.OnceFunc(func() { close(proceed) })
	w.Cleanup(revoke)
	return plan, revoke
}

// unassigned returns the partitions that an assignment gives to no member.
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

// stallFirstGET makes the first GET of each of the orders hang and counts those that
// hang now.
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

// partitionsAreShared waits until two replicas have half of the partitions each.
func (w *world) partitionsAreShared() {
	w.Helper()
	w.eventually("each has half of the partitions", func() bool {
		group := w.kafka.Cluster().GroupInfo(groupID)
		return group != nil && len(group.Members) == 2 &&
			group.Members[0].NumAssigned() == 3 && group.Members[1].NumAssigned() == 3
	})
}

// TestCoordinatorAndLeadersMove: the group's coordinator and the partition leaders move
// between two brokers, and every request of the group is refused a few times, while
// orders arrive.
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
		sleep(500 * time.Millisecond)
		w.eventually("orders are handled", func() bool { return w.count("SELECT count(*) FROM journal") > before })
	}
	stopTraffic()
	w.converges()
	w.nothingHappenedTwice()
	w.noDeadLetters()
	w.allCommitted()
}

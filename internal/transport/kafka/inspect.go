package kafka

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/IBM/sarama"

	"service-courier/internal/outage"
)

// Inspection is the state of the topic and of its consumer group.
type Inspection struct {
	Brokers    int
	Silent     []string         // configured brokers that accept connections and answer nothing
	Partitions []PartitionState // empty: the topic does not exist
	Group      GroupState
	GroupErr   error // the group could not be inspected
}

// PartitionState is the range of a partition and the progress of the group in it.
type PartitionState struct {
	ID             int32
	Leaderless     bool // no broker leads it; the offsets are unknown
	Oldest, Newest int64
	Committed      int64 // the next record to read; -1 if none is committed
}

// Lag is the number of records not yet read.
func (p PartitionState) Lag() int64 { return max(0, p.Newest-max(p.Oldest, p.Committed)) }

// Lost is the number of records that Kafka removed before the group read them.
func (p PartitionState) Lost() int64 {
	if p.Committed < 0 {
		return 0
	}
	return max(0, p.Oldest-p.Committed)
}

// Ahead reports that the committed offset is beyond the end: the topic was
// recreated or truncated.
func (p PartitionState) Ahead() bool { return p.Committed > p.Newest }

// Unowned returns the partitions that no member of a stable group reads, such as those
// that were just added.
func (in Inspection) Unowned() []int32 {
	if in.Group.State != "Stable" || in.Group.Type == typeConsumer || in.GroupErr != nil {
		return nil // the members of that type are not known
	}
	owned := make(map[int32]bool)
	for _, m := range in.Group.Members {
		for _, id := range m.Partitions {
			owned[id] = true
		}
	}
	var unowned []int32
	for _, p := range in.Partitions {
		if !owned[p.ID] {
			unowned = append(unowned, p.ID)
		}
	}
	return unowned
}

// GroupState is a consumer group.
type GroupState struct {
	State    string // as in Kafka: Stable, Empty, PreparingRebalance, …; Dead or "" if unknown to it
	Type     string // typeConsumer, or "" for another
	Protocol string // that its members agreed on
	Members  []Member
}

// Member is a consumer of the group.
type Member struct {
	Host       string
	Client     string // the client id
	Partitions []int32
}

// typeConsumer is the type of a group with members of the new protocol (KIP-848,
// group.protocol=consumer). This service uses the classic one.
const typeConsumer = "consumer"

// Inspect reads the state from Kafka. ctx bounds it.
func Inspect(ctx context.Context, cfg Config) (Inspection, error) {
	conf, err := cfg.sarama()
	if err != nil {
		return Inspection{}, err
	}
	seeds, silent, err := cfg.seeds(ctx)
	if err != nil {
		return Inspection{}, err
	}
	client, err := sarama.NewClient(seeds, withoutRetries(ctx, conf, cfg.Brokers))
	if err != nil {
		return Inspection{}, explainTimeout(ctx, err)
	}
	defer func() { _ = client.Close() }()
	in := Inspection{Brokers: len(client.Brokers()), Silent: silent}
	ids, err := client.Partitions(cfg.Topic)
	switch {
	case errors.Is(err, sarama.ErrUnknownTopicOrPartition):
	case err != nil:
		return in, explainTimeout(ctx, err)
	}
	for _, id := range ids {
		state, err := partition(client, cfg.Topic, id)
		if err != nil {
			return in, explainTimeout(ctx, err)
		}
		in.Partitions = append(in.Partitions, state)
	}
	if in.GroupErr = in.inspectGroup(ctx, client, cfg); errors.Is(in.GroupErr, sarama.ErrGroupIDNotFound) {
		in.GroupErr = nil // some brokers return an error for an unknown group
	}
	if in.GroupErr != nil {
		in.GroupErr = explain(fmt.Errorf("group %s: %w", cfg.GroupID, in.GroupErr))
	}
	return in, nil
}

func partition(client sarama.Client, topic string, id int32) (PartitionState, error) {
	p := PartitionState{ID: id, Committed: -1}
	if _, err := client.Leader(topic, id); err != nil {
		p.Leaderless = true
		return p, nil //nolint:nilerr // reported as Leaderless
	}
	var err error
	if p.Oldest, err = client.GetOffset(topic, id, sarama.OffsetOldest); err != nil {
		return p, err
	}
	p.Newest, err = client.GetOffset(topic, id, sarama.OffsetNewest)
	return p, err
}

// inspectGroup adds the members of the group and its committed offsets.
func (in *Inspection) inspectGroup(ctx context.Context, client sarama.Client, cfg Config) error {
	if err := awaitCoordinator(ctx, client, cfg.GroupID, inspectPatience); err != nil {
		return err
	}
	admin, err := sarama.NewClusterAdminFromClient(client)
	if err != nil {
		return err
	}
	groups, err := admin.DescribeConsumerGroups([]string{cfg.GroupID})
	if err != nil {
		return err
	}
	for _, g := range groups {
		in.Group.State, in.Group.Protocol = g.State, g.Protocol
		for _, m := range g.Members {
			in.Group.Members = append(in.Group.Members, member(m, cfg.Topic))
		}
	}
	if len(in.Group.Members) == 0 { // also for one that has members of the new protocol
		if err := in.readType(ctx, client, cfg); err != nil {
			return err
		}
	}
	return in.readCommitted(admin, cfg)
}

// readType adds the type of the group if that is typeConsumer, and its state: brokers describe
// such a group as dead. Those before Kafka 3.8 do not know the type.
func (in *Inspection) readType(ctx context.Context, client sarama.Client, cfg Config) error {
	coordinator, err := client.Coordinator(cfg.GroupID)
	if err != nil {
		return err
	}
	conf, err := cfg.sarama()
	if err != nil {
		return err
	}
	conf.Version = sarama.V3_8_0_0 // lets sarama use version 5 if the broker has it
	bindConnections(ctx, conf, cfg.Brokers)
	b := sarama.NewBroker(coordinator.Addr())
	defer func() { _ = b.Close() }()
	if err := b.Open(conf); err != nil {
		return err
	}
	listed, err := b.ListGroups(&sarama.ListGroupsRequest{Version: 5, TypesFilter: []string{typeConsumer}})
	if err != nil {
		return err
	}
	if group := listed.GroupsData[cfg.GroupID]; strings.EqualFold(group.GroupType, typeConsumer) {
		in.Group.Type, in.Group.State = typeConsumer, group.GroupState
	}
	return nil
}

// readCommitted adds the committed offsets of the group.
func (in *Inspection) readCommitted(admin sarama.ClusterAdmin, cfg Config) error {
	ids := make([]int32, len(in.Partitions))
	for i, p := range in.Partitions {
		ids[i] = p.ID
	}
	offsets, err := admin.ListConsumerGroupOffsets(cfg.GroupID, map[string][]int32{cfg.Topic: ids})
	if err != nil {
		return err
	}
	for i, p := range in.Partitions {
		if block := offsets.GetBlock(cfg.Topic, p.ID); block != nil {
			in.Partitions[i].Committed = block.Offset
		}
	}
	return nil
}

// member returns a member with its partitions; it has none while it joins.
func member(m *sarama.GroupMemberDescription, topic string) Member {
	out := Member{Host: m.ClientHost, Client: m.ClientId}
	if assigned, err := m.GetMemberAssignment(); err == nil && assigned != nil {
		out.Partitions = assigned.Topics[topic]
		slices.Sort(out.Partitions)
	}
	return out
}

// GroupProblem returns why this service cannot join the group, or shares it with another
// program, with the fix; nil when the group is its own.
func (in Inspection) GroupProblem(group string) error {
	if in.Group.Type == typeConsumer && in.Group.State != "Empty" {
		return outage.Fixable{
			Cause: "another program uses the consumer group, with the new protocol (group.protocol=consumer)",
			Err:   fmt.Errorf("group %s has the type %s and the state %s: each event reaches only one of the programs", group, typeConsumer, in.Group.State),
			Fix:   "set another KAFKA_GROUP_ID, or stop that program: kafka-consumer-groups.sh --describe --members --group " + group + " lists its members",
		}
	}
	if in.Group.Protocol == "" || in.Group.Protocol == protocol || len(in.Group.Members) == 0 {
		return nil
	}
	return explain(fmt.Errorf("group %s: its members use the protocol %s: %w", group, in.Group.Protocol, sarama.ErrInconsistentGroupProtocol))
}

// TopicProblem returns why the topic cannot be read, with the fix; nil when every
// partition can be read.
func (in Inspection) TopicProblem(topic string) error {
	if len(in.Partitions) == 0 {
		return explain(fmt.Errorf("%s: %w", topic, sarama.ErrUnknownTopicOrPartition))
	}
	var down []string
	for _, p := range in.Partitions {
		if p.Leaderless {
			down = append(down, strconv.Itoa(int(p.ID)))
		}
	}
	if len(down) > 0 {
		return outage.Fixable{
			Err: fmt.Errorf("%s: no broker serves partition %s", topic, strings.Join(down, ", ")),
			Fix: "start the brokers that have these partitions",
		}
	}
	return nil
}

package kafka

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/IBM/sarama"
)

// Inspection is what Kafka says of the topic and of the group that reads it.
type Inspection struct {
	Brokers    int
	Partitions []PartitionState // empty: the topic is absent
	Group      GroupState
	GroupErr   error // the group could not be asked about
}

// PartitionState is how far a partition goes and how far the group has read it.
type PartitionState struct {
	ID             int32
	Leaderless     bool // no broker serves it; nothing else is known then
	Oldest, Newest int64
	Committed      int64 // the next record to read; -1 when nothing is committed
}

// Lag is how many records are still to be read.
func (p PartitionState) Lag() int64 { return max(0, p.Newest-max(p.Oldest, p.Committed)) }

// Lost is how many records Kafka removed before the group had read them.
func (p PartitionState) Lost() int64 {
	if p.Committed < 0 {
		return 0
	}
	return max(0, p.Oldest-p.Committed)
}

// Ahead reports that the group has committed what is not there: the topic was
// deleted and made anew.
func (p PartitionState) Ahead() bool { return p.Committed > p.Newest }

// GroupState is a consumer group.
type GroupState struct {
	State   string // Kafka's word: Stable, Empty, PreparingRebalance, …; Dead or "" for one that never was
	Members []Member
}

// Member is a consumer of the group.
type Member struct {
	Host       string
	Partitions []int32
}

// Inspect asks Kafka once and changes nothing. ctx bounds it, whatever hangs.
func Inspect(ctx context.Context, cfg Config) (Inspection, error) {
	conf, err := cfg.sarama()
	if err != nil {
		return Inspection{}, err
	}
	client, err := sarama.NewClient(cfg.Brokers, impatient(ctx, conf))
	if err != nil {
		return Inspection{}, unless(ctx, err)
	}
	defer func() { _ = client.Close() }()
	in := Inspection{Brokers: len(client.Brokers())}
	ids, err := client.Partitions(cfg.Topic)
	switch {
	case errors.Is(err, sarama.ErrUnknownTopicOrPartition):
	case err != nil:
		return in, unless(ctx, err)
	}
	for _, id := range ids {
		state, err := partition(client, cfg.Topic, id)
		if err != nil {
			return in, unless(ctx, err)
		}
		in.Partitions = append(in.Partitions, state)
	}
	if in.GroupErr = in.askGroup(client, cfg); errors.Is(in.GroupErr, sarama.ErrGroupIDNotFound) {
		in.GroupErr = nil // brokers differ in whether a group that never was is an error
	}
	in.GroupErr = explain(in.GroupErr)
	return in, nil
}

// impatient gives up at the first failure: the operator asks again.
func impatient(ctx context.Context, c *sarama.Config) *sarama.Config {
	c.Metadata.Retry.Max = 0
	c.Admin.Retry.Max = 0
	boundBy(ctx, c)
	return c
}

// unless says that the time was over, where that is why it failed, else how to
// mend it.
func unless(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("no answer in time: %w", ctx.Err())
	}
	return explain(err)
}

func partition(client sarama.Client, topic string, id int32) (PartitionState, error) {
	p := PartitionState{ID: id, Committed: -1}
	if _, err := client.Leader(topic, id); err != nil {
		p.Leaderless = true
		return p, nil //nolint:nilerr // it is what was to be found out
	}
	var err error
	if p.Oldest, err = client.GetOffset(topic, id, sarama.OffsetOldest); err != nil {
		return p, err
	}
	p.Newest, err = client.GetOffset(topic, id, sarama.OffsetNewest)
	return p, err
}

// askGroup adds the group's members and what it has committed.
func (in *Inspection) askGroup(client sarama.Client, cfg Config) error {
	admin, err := sarama.NewClusterAdminFromClient(client)
	if err != nil {
		return err
	}
	groups, err := admin.DescribeConsumerGroups([]string{cfg.GroupID})
	if err != nil {
		return err
	}
	for _, g := range groups {
		in.Group.State = g.State
		for _, m := range g.Members {
			in.Group.Members = append(in.Group.Members, member(m, cfg.Topic))
		}
	}
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

// member reads what a member was given, which is nothing while it still joins.
func member(m *sarama.GroupMemberDescription, topic string) Member {
	out := Member{Host: m.ClientHost}
	if given, err := m.GetMemberAssignment(); err == nil && given != nil {
		out.Partitions = given.Topics[topic]
		slices.Sort(out.Partitions)
	}
	return out
}

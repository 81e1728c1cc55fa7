package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// group is what the nodes call their consumer group.
const group = "chaos"

// byID answers the broker that has a number in Kafka.
func (b *brokers) byID(id int32) (*server, error) {
	if id < 1 || int(id) > len(b.all) {
		return nil, fmt.Errorf("there is no broker %d", id)
	}
	return b.all[id-1], nil
}

// controller answers the broker that leads the cluster's metadata. The controller of
// an ordinary metadata answer is any broker that passes requests on.
func (b *brokers) controller(ctx context.Context) (*server, error) {
	ask := kmsg.NewPtrDescribeQuorumRequest()
	topic, partition := kmsg.NewDescribeQuorumRequestTopic(), kmsg.NewDescribeQuorumRequestTopicPartition()
	topic.Topic, topic.Partitions = "__cluster_metadata", []kmsg.DescribeQuorumRequestTopicPartition{partition}
	ask.Topics = append(ask.Topics, topic)
	answer, err := ask.RequestWith(ctx, b.direct)
	if err != nil {
		return nil, fmt.Errorf("ask for the controller: %w", err)
	}
	if len(answer.Topics) != 1 || len(answer.Topics[0].Partitions) != 1 {
		return nil, fmt.Errorf("ask for the controller: error code %d", answer.ErrorCode)
	}
	return b.byID(answer.Topics[0].Partitions[0].LeaderID)
}

// bystander answers a broker that is not the controller.
func (b *brokers) bystander(ctx context.Context) (*server, error) {
	leads, err := b.controller(ctx)
	for _, s := range b.all {
		if s != leads && err == nil {
			return s, nil
		}
	}
	return nil, err
}

// coordinator answers the broker that keeps the nodes' consumer group.
func (b *brokers) coordinator(ctx context.Context) (*server, error) {
	found := kadm.NewClient(b.direct).FindGroupCoordinators(ctx, group)
	if err := found.Error(); err != nil {
		return nil, fmt.Errorf("ask for the group's coordinator: %w", err)
	}
	return b.byID(found[group].NodeID)
}

// settle waits until every partition is on all its brokers again, and led by the
// first of them: a broker that came back leads nothing by itself for minutes.
func (b *brokers) settle(ctx context.Context) error {
	if len(b.all) == 1 {
		return nil
	}
	return awaiting(ctx, "Kafka to settle", func(ctx context.Context) error {
		count, err := b.astray(ctx)
		if err == nil && count > 0 {
			err = fmt.Errorf("%d partitions are not as they were", count)
		}
		return err
	})
}

// astray counts the partitions that lack a copy or are led by another broker than
// they should be, and moves those back that can be.
func (b *brokers) astray(ctx context.Context) (count int, err error) {
	admin := kadm.NewClient(b.direct)
	topics, err := admin.ListTopicsWithInternal(ctx)
	if err != nil {
		return 0, err
	}
	back := make(kadm.TopicsSet)
	topics.EachPartition(func(p kadm.PartitionDetail) {
		switch {
		case p.Err != nil || len(p.ISR) < len(p.Replicas):
			count++
		case p.Leader != p.Replicas[0]:
			count++
			back.Add(p.Topic, p.Partition)
		}
	})
	if len(back) > 0 {
		_, err = admin.ElectLeaders(ctx, kadm.ElectPreferredReplica, back)
	}
	return count, err
}

// moveLeaders makes the second broker of each partition its first, and its leader,
// the group's coordinator among them.
func (b *brokers) moveLeaders(ctx context.Context) error {
	admin := kadm.NewClient(b.direct)
	topics, err := admin.ListTopicsWithInternal(ctx)
	if err != nil {
		return fmt.Errorf("list topics: %w", err)
	}
	var move kadm.AlterPartitionAssignmentsReq
	topics.EachPartition(func(p kadm.PartitionDetail) {
		move.Assign(p.Topic, p.Partition, append(p.Replicas[1:len(p.Replicas):len(p.Replicas)], p.Replicas[0]))
	})
	answers, err := admin.AlterPartitionAssignments(ctx, move)
	if err = errors.Join(err, answers.Error()); err != nil {
		return fmt.Errorf("reassign partitions: %w", err)
	}
	return b.settle(ctx)
}

// visit joins the nodes' group as one more member for a while, which takes partitions
// and reads none of them, and leaves it.
func (b *brokers) visit(ctx context.Context, d time.Duration) error {
	stranger, err := kgo.NewClient(
		kgo.SeedBrokers(b.seeds()...), kgo.ClientID("stranger"), kgo.ConsumerGroup(group), kgo.ConsumeTopics(replyTopic),
		kgo.Balancers(kgo.CooperativeStickyBalancer()), kgo.DisableAutoCommit(),
	)
	if err != nil {
		return err
	}
	defer stranger.Close()
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	for ctx.Err() == nil {
		stranger.PollFetches(ctx)
	}
	return nil
}

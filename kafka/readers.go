package kafka

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// The kinds of groups, as Kafka calls them.
const (
	kindClassic  = "classic"
	kindConsumer = "consumer"
	kindShare    = "share"
	kindStreams  = "streams"
)

// listedGroup is a group as the list of all has it.
type listedGroup struct {
	kind     string // "" is classic, from brokers that know of no others
	protocol string // of a classic one
	state    string // "" from old brokers
}

// hidesReaders tells whether those who commit in the group's name are no members
// of it that say what they read: consumers that assign themselves partitions, and
// members with a protocol of their own.
func (l listedGroup) hidesReaders() bool { return l.kind == kindClassic && l.protocol != "consumer" }

// listGroups asks every broker for its groups.
func listGroups(ctx context.Context, client *kgo.Client) (map[string]listedGroup, error) {
	all := make(map[string]listedGroup)
	for _, shard := range client.RequestSharded(ctx, kmsg.NewPtrListGroupsRequest()) {
		if shard.Err != nil {
			return nil, shard.Err
		}
		answer := shard.Resp.(*kmsg.ListGroupsResponse)
		if err := kerr.ErrorForCode(answer.ErrorCode); err != nil {
			return nil, err
		}
		for _, g := range answer.Groups {
			kind := g.GroupType
			if kind == "" {
				kind = kindClassic
			}
			all[g.Group] = listedGroup{kind, g.ProtocolType, g.GroupState}
		}
	}
	return all, nil
}

// reading is what a group says of itself.
type reading struct {
	gone        bool // there is no such group
	members     int
	rebalancing bool // it does not tell now
	opaque      bool // a member does not tell
	topics      []string
	patterns    []*regexp.Regexp
}

func (a *reading) reads(topic string) bool {
	return slices.Contains(a.topics, topic) ||
		slices.ContainsFunc(a.patterns, func(p *regexp.Regexp) bool { return p.MatchString(topic) })
}

// describeGroups asks groups, given with their kinds, what they read. Those that
// could not be asked are left out.
func describeGroups(ctx context.Context, client *kgo.Client, kinds map[string]string) map[string]reading {
	byKind := make(map[string][]string)
	for name, kind := range kinds {
		byKind[kind] = append(byKind[kind], name)
	}
	told := make(map[string]reading)
	for kind, names := range byKind {
		var ask kmsg.Request
		switch kind {
		case kindClassic:
			ask = &kmsg.DescribeGroupsRequest{Groups: names}
		case kindConsumer:
			ask = &kmsg.ConsumerGroupDescribeRequest{Groups: names}
		case kindShare:
			ask = &kmsg.ShareGroupDescribeRequest{GroupIDs: names}
		case kindStreams:
			ask = &kmsg.StreamsGroupDescribeRequest{Groups: names}
		default:
			continue
		}
		for _, shard := range client.RequestSharded(ctx, ask) {
			if shard.Err == nil {
				readShard(shard.Resp, told)
			}
		}
	}
	return told
}

// readShard takes what one broker has told of its groups.
func readShard(answer kmsg.Response, told map[string]reading) {
	put := func(name string, code int16, read func() reading) {
		switch err := kerr.ErrorForCode(code); {
		case errors.Is(err, kerr.GroupIDNotFound):
			told[name] = reading{gone: true}
		case err == nil:
			told[name] = read()
		}
	}
	switch answer := answer.(type) {
	case *kmsg.DescribeGroupsResponse:
		for _, g := range answer.Groups {
			put(g.Group, g.ErrorCode, func() reading { return readClassic(&g) })
		}
	case *kmsg.ConsumerGroupDescribeResponse:
		for _, g := range answer.Groups {
			put(g.Group, g.ErrorCode, func() reading { return readConsumer(&g) })
		}
	case *kmsg.ShareGroupDescribeResponse:
		for _, g := range answer.Groups {
			put(g.GroupID, g.ErrorCode, func() reading { return readShare(&g) })
		}
	case *kmsg.StreamsGroupDescribeResponse:
		for _, g := range answer.Groups {
			put(g.Group, g.ErrorCode, func() reading { return readStreams(&g) })
		}
	}
}

func readClassic(g *kmsg.DescribeGroupsResponseGroup) (a reading) {
	a.members = len(g.Members)
	switch g.State {
	case "Dead":
		a.gone = true
	case "Stable":
		for _, m := range g.Members {
			var joined kmsg.ConsumerMemberMetadata
			var assigned kmsg.ConsumerMemberAssignment
			if joined.ReadFrom(m.ProtocolMetadata) != nil || len(m.MemberAssignment) > 0 && assigned.ReadFrom(m.MemberAssignment) != nil {
				a.opaque = true
			}
			a.topics = append(a.topics, joined.Topics...)
			for _, t := range assigned.Topics {
				a.topics = append(a.topics, t.Topic)
			}
		}
	case "Empty":
	default:
		a.rebalancing = true
		a.members = max(a.members, 1)
	}
	return a
}

func readConsumer(g *kmsg.ConsumerGroupDescribeResponseGroup) (a reading) {
	a.members = len(g.Members)
	for _, m := range g.Members {
		a.topics = append(a.topics, m.SubscribedTopics...)
		for _, t := range slices.Concat(m.Assignment.TopicPartitions, m.TargetAssignment.TopicPartitions) {
			a.topics = append(a.topics, t.Topic)
		}
		if m.SubscribedTopicRegex == nil || *m.SubscribedTopicRegex == "" {
			continue
		}
		if p, err := regexp.Compile(fmt.Sprintf("^(?:%s)$", *m.SubscribedTopicRegex)); err == nil {
			a.patterns = append(a.patterns, p)
		} else {
			a.opaque = true
		}
	}
	return a
}

func readShare(g *kmsg.ShareGroupDescribeResponseGroup) (a reading) {
	a.members = len(g.Members)
	for _, m := range g.Members {
		a.topics = append(a.topics, m.SubscribedTopicNames...)
	}
	return a
}

func readStreams(g *kmsg.StreamsGroupDescribeResponseGroup) (a reading) {
	a.members = len(g.Members)
	if g.Topology == nil {
		a.opaque = a.members > 0
		return a
	}
	for _, t := range g.Topology.Subtopologies {
		a.topics = append(a.topics, t.SourceTopics...)
	}
	return a
}

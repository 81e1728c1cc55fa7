package kafka

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// RemoveMembers takes members out of a group in their name, so that the group
// need not wait for their sessions to expire. All that died together are to be
// removed together: one that is still a member holds up every classic rebalance.
// The others should be nudged afterwards.
//
// A member whose ID is not known, or not the group's any longer, is found by its
// client id. One that is not in the group is no error. Removing a member that
// is alive costs a rebalance and loses nothing: it joins again. It blocks until
// the group has answered or ctx ends.
func RemoveMembers(ctx context.Context, c Config, group, protocol string, members []Member) error {
	client, err := c.client()
	if err != nil {
		return fmt.Errorf("kafka: %w", err)
	}
	defer client.Close()
	return removal{client, group, protocol}.run(ctx, members)
}

// RemoveMembers is the function of that name for this node's own group, over the
// connections that it has, followed by a Nudge.
func (r *consumer) RemoveMembers(ctx context.Context, members []Member) error {
	client := r.client.Load()
	if client == nil {
		c := r.config
		c.Hooks = nil // metrics are those of one client, which is still to come
		return RemoveMembers(ctx, c, r.options.Group, r.options.Protocol, members)
	}
	defer r.Nudge()
	return removal{client, r.options.Group, r.options.Protocol}.run(ctx, members)
}

type removal struct {
	client   *kgo.Client
	group    string
	protocol string
}

func (r removal) run(ctx context.Context, members []Member) error {
	if len(members) == 0 {
		return nil
	}
	ids, err := r.identify(ctx, members)
	if err != nil {
		return fmt.Errorf("kafka: find members of the group %s: %w", r.group, err)
	}
	unknown, err := r.remove(ctx, ids)
	if err == nil && len(unknown) > 0 {
		err = r.again(ctx, members, unknown)
	}
	if err != nil {
		return fmt.Errorf("kafka: remove members of the group %s: %w", r.group, err)
	}
	return nil
}

// identify answers the members' ids. It asks the group only where one is
// missing.
func (r removal) identify(ctx context.Context, members []Member) (ids []string, err error) {
	nameless := make(map[string]bool)
	for _, m := range members {
		if m.ID != "" {
			ids = append(ids, m.ID)
		} else if m.ClientID != "" {
			nameless[m.ClientID] = true
		}
	}
	if len(nameless) == 0 {
		return ids, nil
	}
	found, err := r.find(ctx, nameless)
	return append(ids, found...), err
}

// again removes members that the group knows by other ids than we do: they have
// joined anew since.
func (r removal) again(ctx context.Context, members []Member, unknown []string) error {
	renamed := make(map[string]bool)
	for _, m := range members {
		if m.ClientID != "" && slices.Contains(unknown, m.ID) {
			renamed[m.ClientID] = true
		}
	}
	if len(renamed) == 0 {
		return nil
	}
	ids, err := r.find(ctx, renamed)
	if err == nil && len(ids) > 0 {
		_, err = r.remove(ctx, ids)
	}
	return err
}

// find answers the ids of the members that have these client ids.
func (r removal) find(ctx context.Context, clients map[string]bool) (ids []string, err error) {
	admin := kadm.NewClient(r.client)
	if r.protocol == Consumer {
		described, err := admin.DescribeConsumerGroups(ctx, r.group)
		for _, m := range described[r.group].Members {
			if clients[m.ClientID] {
				ids = append(ids, m.MemberID)
			}
		}
		return ids, notGone(errors.Join(err, described[r.group].Err))
	}
	described, err := admin.DescribeGroups(ctx, r.group)
	for _, m := range described[r.group].Members {
		if clients[m.ClientID] {
			ids = append(ids, m.MemberID)
		}
	}
	return ids, notGone(errors.Join(err, described[r.group].Err))
}

// notGone is err, unless it says that there is no such group or member.
func notGone(err error) error {
	if errors.Is(err, kerr.GroupIDNotFound) || errors.Is(err, kerr.UnknownMemberID) {
		return nil
	}
	return err
}

// remove removes members by their ids and answers those that the group does not know.
func (r removal) remove(ctx context.Context, ids []string) (unknown []string, err error) {
	if len(ids) == 0 {
		return nil, nil
	}
	if r.protocol == Consumer {
		return r.removeEach(ctx, ids)
	}
	why := "its node is gone"
	ask := kmsg.NewPtrLeaveGroupRequest()
	ask.Group = r.group
	for _, id := range ids {
		m := kmsg.NewLeaveGroupRequestMember()
		m.MemberID, m.Reason = id, &why
		ask.Members = append(ask.Members, m)
	}
	answer, err := ask.RequestWith(ctx, r.client)
	if err != nil {
		return nil, err
	}
	if err := kerr.ErrorForCode(answer.ErrorCode); notGone(err) != nil {
		return nil, err
	}
	for _, m := range answer.Members {
		switch e := kerr.ErrorForCode(m.ErrorCode); {
		case errors.Is(e, kerr.UnknownMemberID):
			unknown = append(unknown, m.MemberID)
		case e != nil:
			err = e
		}
	}
	return unknown, err
}

// removeEach is remove in a server-side group, which takes one member a
// request; they are all under way at once.
func (r removal) removeEach(ctx context.Context, ids []string) (unknown []string, err error) {
	errs := make([]error, len(ids))
	var running sync.WaitGroup
	for i, id := range ids {
		running.Go(func() {
			ask := kmsg.NewPtrConsumerGroupHeartbeatRequest()
			ask.Group, ask.MemberID, ask.MemberEpoch = r.group, id, -1
			answer, err := ask.RequestWith(ctx, r.client)
			if err == nil {
				err = kerr.ErrorForCode(answer.ErrorCode)
			}
			errs[i] = err
		})
	}
	running.Wait()
	for i, e := range errs {
		switch {
		case e != nil && notGone(e) == nil:
			unknown = append(unknown, ids[i])
		case e != nil:
			err = e
		}
	}
	return unknown, err
}

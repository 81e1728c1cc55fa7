package table

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/redis/go-redis/v9"

	"parley/routing"
)

const (
	// chunkEntries and chunkBytes bound what one script appends: Redis serves
	// nobody else meanwhile.
	chunkEntries = 256
	chunkBytes   = 1 << 20
)

// job is what goes one way, to an owner's inbox or into a session's held list.
// It goes in order: where one reply fails, all after it do.
type job struct {
	to      place
	session routing.SessionID // held list; "" for an inbox
	replies []int             // those that wait, by their place in Route's list
	epochs  []string          // of their sessions; inbox only
	cmd     *redis.Cmd        // carries the first sent of them
	sent    int
}

// jobs are those of one call of Route.
type jobs struct {
	all     []*job
	inboxes map[place]*job
	lists   map[list]*job
}

// list is a held list, and the owner that the session must have.
type list struct {
	session routing.SessionID
	owner   place
}

func (j *jobs) relay(to place, reply int) {
	way := place{owner: to.owner, boot: to.boot}
	if j.inboxes == nil {
		j.inboxes = make(map[place]*job)
	}
	if j.inboxes[way] == nil {
		j.inboxes[way] = j.add(&job{to: way})
	}
	at := j.inboxes[way]
	at.replies, at.epochs = append(at.replies, reply), append(at.epochs, to.epoch)
}

func (j *jobs) hold(session routing.SessionID, to place, reply int) {
	if j.lists == nil {
		j.lists = make(map[list]*job)
	}
	way := list{session, to}
	if j.lists[way] == nil {
		j.lists[way] = j.add(&job{to: to, session: session})
	}
	at := j.lists[way]
	at.replies = append(at.replies, reply)
}

func (j *jobs) add(one *job) *job {
	j.all = append(j.all, one)
	return one
}

// carryOut does all jobs, a chunk of each in every round trip.
func (r *Redis) carryOut(ctx context.Context, jobs *jobs, replies []*routing.Reply, verdicts []routing.Verdict) {
	for {
		var cmds []redis.Cmder
		for _, j := range jobs.all {
			if len(j.replies) > 0 {
				cmds = append(cmds, r.chunk(ctx, j, replies))
			}
		}
		if cmds == nil {
			return
		}
		if err := r.exec(ctx, cmds, false); err != nil {
			r.link.failed("relay replies", err)
		}
		for _, j := range jobs.all {
			if len(j.replies) > 0 {
				r.conclude(j, verdicts)
			}
		}
	}
}

// chunk makes the command for the next replies of a job.
func (r *Redis) chunk(ctx context.Context, j *job, replies []*routing.Reply) *redis.Cmd {
	args := make([]any, 0, 5+2*min(len(j.replies), chunkEntries))
	if j.session == "" {
		args = append(args, r.o.Inbox, j.to.boot)
	} else {
		args = append(args, string(j.to.owner), j.to.boot, j.to.epoch, r.o.HeldCount, r.o.HeldBytes)
	}
	j.sent = 0
	for bytes := 0; j.sent < min(len(j.replies), chunkEntries); j.sent++ {
		reply := replies[j.replies[j.sent]]
		size := len(reply.Body) + 256
		if bytes += size; bytes > chunkBytes && j.sent > 0 {
			break
		}
		if j.session == "" {
			args = append(args, j.epochs[j.sent], AppendReply(make([]byte, 0, size), reply, r.clock.there(reply.Consumed)))
		} else {
			args = append(args, appendHeld(make([]byte, 0, size), reply, r.clock.there(reply.Consumed)))
		}
	}
	if j.session == "" {
		j.cmd = call(ctx, pushScript, []string{inboxKey(j.to.owner)}, args...)
	} else {
		j.cmd = call(ctx, holdScript, sessionKeys(j.session), args...)
	}
	return j.cmd
}

// conclude writes the verdicts that a job's command has brought.
func (r *Redis) conclude(j *job, verdicts []routing.Verdict) {
	var n int
	var fate routing.Fate
	var rest routing.Verdict
	if j.session == "" {
		n, rest = r.relayedOf(j)
		fate = routing.Relayed
		r.relayed.Add(uint64(n))
	} else {
		n, rest = r.heldOf(j)
		fate = routing.Held
		r.held.Add(uint64(n))
	}
	for _, i := range j.replies[:n] {
		verdicts[i] = routing.Verdict{Fate: fate}
	}
	if n == j.sent {
		if j.replies = j.replies[n:]; j.session == "" {
			j.epochs = j.epochs[n:]
		}
		return
	}
	for _, i := range j.replies[n:] {
		verdicts[i] = rest
	}
	j.replies = nil
}

// relayedOf answers how many replies push.lua has taken, and the verdict on the
// others.
func (r *Redis) relayedOf(j *job) (n int, rest routing.Verdict) {
	n, err := j.cmd.Int()
	switch {
	case err != nil:
		return 0, failed(fmt.Errorf("relay: %w", err))
	case n < 0:
		return 0, failed(errNoInbox)
	}
	return n, failed(errInboxFull)
}

// heldOf answers how many replies hold.lua has taken, and the verdict on the
// others.
func (r *Redis) heldOf(j *job) (n int, rest routing.Verdict) {
	answer, err := j.cmd.Slice()
	if err == nil && len(answer) == 0 {
		err = errors.New("the script answered nothing")
	}
	if err != nil {
		return 0, failed(fmt.Errorf("hold: %w", err))
	}
	word, _ := answer[0].(int64)
	own := j.to.boot == anyBoot
	switch {
	case word == -1 && own && !r.rebuilding():
		return 0, routing.Verdict{Fate: routing.Dropped, Drop: routing.DropSessionGone}
	case word == -1:
		return 0, r.nobody()
	case word == -3:
		return 0, routing.Verdict{Fate: routing.Dropped, Drop: routing.DropLate}
	case word < 0 && own:
		r.moved(j, answer)
		return 0, routing.Verdict{Fate: routing.Moved}
	case word < 0:
		return 0, failed(errMoved)
	case own && len(answer) > 1:
		all, _ := answer[1].(int64)
		r.standing.holds(j.session, int(all))
	}
	if len(answer) > 2 && answer[2] != int64(0) {
		if answer[2] == int64(2) {
			r.o.Observer.Count(routing.Keeps, routing.KeptAnswered)
		}
		return int(word), routing.Verdict{Fate: routing.Dropped, Drop: routing.DropDuplicate}
	}
	return int(word), routing.Verdict{Fate: routing.Dropped, Drop: routing.DropHeldFull}
}

// moved tells the router that another node has a session, where this node wanted
// to have a reply held under an older epoch.
func (r *Redis) moved(j *job, answer []any) {
	if len(answer) < 3 {
		return
	}
	epoch, _ := answer[1].(int64)
	owner, _ := answer[2].(string)
	was, _ := strconv.ParseUint(j.to.epoch, 10, 64)
	if routing.NodeID(owner) != r.o.Node && uint64(epoch) > was {
		r.seesTaken(j.session, uint64(epoch))
	}
}

package table

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"

	"parley/routing"
)

// notice is something that a node tells another through its inbox.
type notice struct {
	to   routing.NodeID
	boot string
	text string
}

// The kinds of notices.
const (
	noticeTaken = "taken" // "taken <session> <epoch>": the sender owns the session now
	noticeNodes = "nodes" // a node has joined, left or was removed
)

// tell queues a notice, which is sent for as long as it takes. What is lost when
// this process ends first is made up for: see "Take-over" in doc.go.
func (r *Redis) tell(n notice) { r.push(op{kind: opNotice, notice: &n}) }

// tellTaken tells a session's former owner that this node has it now.
func (r *Redis) tellTaken(to routing.NodeID, boot string, session routing.SessionID, epoch uint64) {
	if to != "" && to != r.o.Node {
		r.tell(notice{to, boot, fmt.Sprintf("%s %s %d", noticeTaken, session, epoch)})
	}
}

// tellNodes has all other nodes look who is there.
func (r *Redis) tellNodes(members map[routing.NodeID]string) {
	for node, boot := range members {
		if node != r.o.Node {
			r.tell(notice{node, boot, noticeNodes})
		}
	}
}

func (n *notice) cmd(ctx context.Context) *redis.Cmd {
	return call(ctx, noticeScript, []string{inboxKey(n.to)}, n.boot, n.text)
}

// hear acts on a notice from this node's inbox.
func (r *Redis) hear(text string, to Node) {
	kind, rest, _ := strings.Cut(text, " ")
	switch kind {
	case noticeNodes:
		r.lease.renewNow()
	case noticeTaken:
		session, number, _ := strings.Cut(rest, " ")
		epoch, err := strconv.ParseUint(number, 10, 64)
		if err != nil {
			r.refuse("read notice "+text, err)
			return
		}
		r.takenOver(to, routing.SessionID(session), epoch)
	}
}

// takenOver tells the router that another node has a session. to is nil before Run.
func (r *Redis) takenOver(to Node, session routing.SessionID, epoch uint64) {
	r.standing.lost(session, epoch)
	if to != nil {
		to.TakenOver(session, epoch)
	}
}

// seesTaken is takenOver where a script has found it out.
func (r *Redis) seesTaken(session routing.SessionID, epoch uint64) {
	if to := r.node.Load(); to != nil {
		r.takenOver(*to, session, epoch)
	}
}

package table

import (
	"strconv"
	"strings"
	"sync"

	"parley/routing"
)

// inbox is what this node has read from its inbox and not deleted from it yet.
// It is the Receipt of those replies: an entry's id is the token.
type inbox struct {
	wake chan struct{} // one token: something is settled

	mu      sync.Mutex
	out     map[routing.Token]struct{} // read, and still in Redis
	settled []routing.Token            // those of out that can be deleted
	rewound bool
	reached routing.Token       // all entries up to it have been dealt with
	seen    map[record]struct{} // records that were delivered lately
	ring    []record            // the same, in order
	ringAt  int
}

// record tells a reply from all others, even where a topic was made anew and its
// offsets begin again; and one relay from those before the session last moved: a
// reply that was here, went along with its session and comes back with it is new, and
// so is one that others have taken out of the inbox of a boot that they thought dead.
type record struct {
	at    routing.RecordAt
	id    routing.RequestID
	epoch string
	boot  string // that it was relayed to
}

// seenRecords is how many records an inbox remembers. They come twice only when
// the answer to a relay was lost, and then soon.
const seenRecords = 4096

func (in *inbox) init() {
	in.wake = make(chan struct{}, 1)
	in.out = make(map[routing.Token]struct{})
	in.seen = make(map[record]struct{})
}

// Done lets an entry be deleted.
func (in *inbox) Done(t routing.Token) {
	in.mu.Lock()
	in.settled = append(in.settled, t)
	in.mu.Unlock()
	wake(in.wake)
}

func (in *inbox) len() int {
	in.mu.Lock()
	defer in.mu.Unlock()
	return len(in.out)
}

// rewind makes the reader start from the first entry: Redis may count ids anew.
func (in *inbox) rewind() {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.rewound, in.reached = true, routing.Token{}
}

func (in *inbox) takeRewind() bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	was := in.rewound
	in.rewound = false
	return was
}

// forget makes the inbox as new, for a new boot.
func (in *inbox) forget() {
	in.mu.Lock()
	defer in.mu.Unlock()
	clear(in.out)
	clear(in.seen)
	in.settled, in.ring, in.ringAt, in.rewound, in.reached = nil, nil, 0, true, routing.Token{}
}

// enter notes an entry as read, and answers false if it was before.
func (in *inbox) enter(t routing.Token) bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	if _, twice := in.out[t]; twice {
		return false
	}
	in.out[t] = struct{}{}
	return true
}

// first tells whether a record was not delivered through this inbox before.
func (in *inbox) first(reply *routing.Reply, epoch, boot string) bool {
	if reply.From.Topic == "" {
		return true
	}
	at := record{reply.From, reply.ID, epoch, boot}
	in.mu.Lock()
	defer in.mu.Unlock()
	if _, twice := in.seen[at]; twice {
		return false
	}
	if len(in.ring) < seenRecords {
		in.ring = append(in.ring, at)
	} else {
		delete(in.seen, in.ring[in.ringAt])
		in.ring[in.ringAt] = at
		in.ringAt = (in.ringAt + 1) % seenRecords
	}
	in.seen[at] = struct{}{}
	return true
}

// parseID splits "<ms>-<n>".
func parseID(id string) (routing.Token, bool) {
	ms, n, ok := strings.Cut(id, "-")
	a, err := strconv.ParseInt(ms, 10, 64)
	if err != nil || !ok {
		return routing.Token{}, false
	}
	b, err := strconv.ParseInt(n, 10, 64)
	return routing.Token{A: a, B: b}, err == nil
}

func formatID(t routing.Token) string {
	return strconv.FormatInt(t.A, 10) + "-" + strconv.FormatInt(t.B, 10)
}

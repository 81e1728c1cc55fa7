package table

import (
	"context"

	"parley/routing"
)

// Memory is the table of a single node without Redis. It keeps nothing: the
// router itself knows all sessions that there are, so that a reply for any other
// is for nobody. Sessions cannot be resumed after the node has ended.
type Memory struct{}

var _ routing.Table = (*Memory)(nil)

// NewMemory makes a table for a single node.
func NewMemory() *Memory { return &Memory{} }

// Run blocks until ctx ends. There is nothing to do.
func (*Memory) Run(ctx context.Context, _ Inbox) error {
	<-ctx.Done()
	return nil
}

// Ping answers nil: memory is always there.
func (*Memory) Ping(context.Context) error { return nil }

// Stats answers the zero Stats.
func (*Memory) Stats() Stats { return Stats{} }

func (*Memory) Open(context.Context, routing.SessionRow) error { return nil }
func (*Memory) Announce(routing.SessionRow)                    {}
func (*Memory) End(routing.SessionID)                          {}
func (*Memory) Claim(routing.Row)                              {}
func (*Memory) Release(routing.SessionID, uint64)              {}

// Route calls every reply unknown.
func (*Memory) Route(_ context.Context, replies []*routing.Reply) []routing.Verdict {
	verdicts := make([]routing.Verdict, len(replies))
	for i := range verdicts {
		verdicts[i] = unknown
	}
	return verdicts
}

// unknown is the verdict on a reply whose session is not in the table.
var unknown = routing.Verdict{Fate: routing.Dropped, Drop: routing.DropUnknownRequest}

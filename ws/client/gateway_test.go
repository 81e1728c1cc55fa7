package client_test

import (
	"bytes"
	"context"
	"net/http"
	"sync"
	"testing"
	"time"

	"parley/routing"
	memory "parley/routing/table"
	"parley/ws"
)

// node is a real gateway but for Kafka, which is functions.
type node struct {
	t      testing.TB
	router *routing.Router
	server *ws.Server
	topics *topics
}

// newNode starts a node, which ends with the test. It works in a synctest bubble.
func newNode(t testing.TB, n *network, name string, table *table) *node {
	g := &node{t: t, topics: newTopics(name)}
	g.router = routing.New(routing.Options{
		Node: routing.NodeID(name), Producer: g.topics, Table: table, Services: g.topics.services(), Feeds: []string{"orders.events", "stock.events"}, Whole: []string{"stock.events"},
	})
	g.topics.router = g.router
	g.router.SetHomes(routing.NewHomes(4, []int32{0, 1}))
	g.server = ws.New(ws.Options{Router: g.router})
	web := &http.Server{Handler: g.server}
	l := n.listen(name)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { g.router.Run(ctx) })
	running.Go(func() { _ = web.Serve(l) })
	t.Cleanup(func() {
		if err := g.server.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		g.router.Removed()
		_ = web.Close()
		cancel()
		running.Wait()
	})
	return g
}

// reply answers the newest request of a service that is slow.
func (g *node) reply(id routing.RequestID, body string) {
	g.router.Deliver(g.t.Context(), []*routing.Reply{{ID: id, Final: true, Body: []byte(body)}})
}

// topics is Kafka with its services: each has a function that answers at once.
type topics struct {
	node   string
	router *routing.Router
	serve  map[string]func(*routing.Request) []*routing.Reply

	mu   sync.Mutex
	seen []*routing.Request
}

func newTopics(node string) *topics {
	one := func(r routing.Reply) []*routing.Reply { r.Final = true; return []*routing.Reply{&r} }
	return &topics{node: node, serve: map[string]func(*routing.Request) []*routing.Reply{
		"echo": func(q *routing.Request) []*routing.Reply {
			return one(routing.Reply{Body: q.Call.Body, ContentType: q.Call.ContentType, Headers: q.Call.Headers})
		},
		"silent": func(*routing.Request) []*routing.Reply { return nil },
		"late":   func(*routing.Request) []*routing.Reply { return nil },
		"fail": func(*routing.Request) []*routing.Reply {
			return one(routing.Reply{Body: []byte(`{"left":0}`), Status: 409, Err: &routing.ServiceError{Code: "sold_out", Message: "none left"}})
		},
		"stream": func(*routing.Request) []*routing.Reply {
			return []*routing.Reply{{Body: []byte(`1`)}, {Body: []byte(`two`)}, {Body: []byte(`3`), Final: true}}
		},
	}}
}

func (p *topics) services() (all []*routing.Service) {
	for name := range p.serve {
		all = append(all, &routing.Service{
			Name: name, Topic: name + ".requests", Timeout: 30 * time.Second, MaxTimeout: time.Minute, Partitioner: routing.Murmur2,
		})
	}
	return all
}

func (p *topics) Produce(q *routing.Request) {
	p.mu.Lock()
	p.seen = append(p.seen, q)
	p.mu.Unlock()
	q.Produced(routing.RecordAt{Topic: q.Service.Topic, Partition: 1, Offset: 7}, nil)
	if q.ID == "" {
		return
	}
	replies := p.serve[q.Service.Name](q)
	for _, r := range replies {
		r.ID, r.Consumed, r.ConsumedBy, r.Receipt = q.ID, time.Now(), routing.NodeID(p.node), p
	}
	p.router.Deliver(context.Background(), replies)
}

func (*topics) Done(routing.Token) {}

func (p *topics) last() routing.RequestID {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.seen[len(p.seen)-1].ID
}

func (p *topics) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.seen)
}

// table is what nodes share: sessions, and their open requests.
type table struct {
	*memory.Memory // keeps requests

	mu       sync.Mutex
	sessions map[routing.SessionID]*session
}

type session struct {
	routing.SessionRow
	rows map[uint64]routing.Row
}

func newTable() *table {
	return &table{Memory: memory.NewMemory(), sessions: make(map[routing.SessionID]*session)}
}

func (o *table) Open(_ context.Context, s routing.SessionRow) error { o.Announce(s); return nil }

func (o *table) Announce(s routing.SessionRow) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.sessions[s.ID] = &session{s, make(map[uint64]routing.Row)}
}

func (o *table) Resume(_ context.Context, r routing.Resumption) (got routing.Resumed, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	s := o.sessions[r.ID]
	if s == nil || !bytes.Equal(s.Secret, r.Secret) {
		return got, routing.ErrSessionGone
	}
	s.Epoch++
	got.Epoch = s.Epoch
	for _, row := range s.rows {
		got.Rows = append(got.Rows, row)
	}
	return got, nil
}

func (o *table) End(id routing.SessionID) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.sessions, id)
}

func (o *table) Claim(row routing.Row, _ routing.Claimed) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if s := o.sessions[row.Session]; s != nil {
		s.rows[row.N] = row
	}
	return false
}

func (o *table) Release(id routing.SessionID, n uint64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if s := o.sessions[id]; s != nil {
		delete(s.rows, n)
	}
}

func (*table) CatchUp(context.Context) bool                { return true }
func (*table) HandedOver(routing.SessionID, uint64)        {}
func (*table) Remind(context.Context, []routing.SessionID) {}
func (*table) Inherited(_ context.Context, ids []routing.SessionID) []routing.Legacy {
	return make([]routing.Legacy, len(ids))
}
func (*table) Unhold(routing.RequestID) {}
func (*table) Owns(context.Context, routing.SessionID, uint64) (bool, error) {
	return true, nil
}
func (*table) Fenced(time.Time) bool { return false }

func (*table) Await(_ context.Context, waits []routing.Wait) []error {
	return make([]error, len(waits))
}
func (*table) Unwait(routing.Entity, routing.RequestID) {}

func (*table) Subscribe(_ context.Context, subs []routing.Subscription) []error {
	return make([]error, len(subs))
}
func (*table) Unsubscribe(routing.Subscription) {}
func (*table) Look(context.Context, routing.SessionID) (routing.Looked, error) {
	return routing.Looked{}, nil
}
func (*table) Left(_ routing.SessionID, _, _ uint64) {}

func (*table) Hold(_ context.Context, held []routing.Holding) []routing.Verdict {
	verdicts := make([]routing.Verdict, len(held))
	for i := range verdicts {
		verdicts[i] = routing.Verdict{Fate: routing.Here}
	}
	return verdicts
}

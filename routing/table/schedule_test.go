package table_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"

	"parley/routing"
	"parley/routing/table"
	"parley/routing/tabletest"
)

// gateway is one node of a cluster in this test: its router, its table, and how it
// dies.
type gateway struct {
	router *routing.Router
	wire   *tabletest.Wire
	crash  func()
}

// cluster is three gateways on one Redis, and a service that answers what they
// produce.
type cluster struct {
	t      *testing.T
	addr   string
	random *rand.Rand
	busy   sync.WaitGroup

	mu    sync.Mutex
	nodes map[routing.NodeID]*gateway
	next  int64
	log   map[int64]*consumed // records of the reply topic that are not committed
}

// consumed is a reply's record, and who has consumed it.
type consumed struct {
	reply *routing.Reply
	by    routing.NodeID
}

func (c *cluster) start(name routing.NodeID) {
	g := &gateway{wire: tabletest.NewWire()}
	client := wired(c.addr, 0, g.wire)
	tab := table.NewRedis(client, table.Options{Node: name, Lease: 800 * time.Millisecond})
	g.router = routing.New(routing.Options{
		Node: name, Producer: c, Table: tab, Limits: routing.Limits{Patience: 300 * time.Millisecond, Unacked: 400},
		Services: []*routing.Service{{Name: "orders", Topic: "orders", Timeout: time.Minute, MaxTimeout: time.Minute, Partitioner: routing.Murmur2}},
	})
	g.router.SetHomes(routing.NewHomes(4, []int32{1}))
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = tab.Run(ctx, g.router) })
	running.Go(func() { g.router.Run(ctx) })
	g.crash = sync.OnceFunc(func() {
		g.wire.Cut()
		cancel()
		running.Wait()
		client.Close()
	})
	c.t.Cleanup(g.crash)
	if err := await(c.t.Context(), tab.Leased); err != nil {
		c.t.Fatal(err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.nodes[name] = g
}

// kill ends a node; what it has not committed is consumed again.
func (c *cluster) kill(name routing.NodeID) {
	c.mu.Lock()
	g := c.nodes[name]
	delete(c.nodes, name)
	c.mu.Unlock()
	g.crash()
	c.mu.Lock()
	again := make(map[int64]*routing.Reply)
	for n, r := range c.log {
		if r.by == name {
			again[n] = r.reply
		}
	}
	c.mu.Unlock()
	for n, reply := range again {
		c.consume(n, reply)
	}
}

// any answers some node that lives.
func (c *cluster) any() *gateway {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := c.random.IntN(len(c.nodes))
	for _, name := range []routing.NodeID{"a", "b", "c"} {
		if g := c.nodes[name]; g != nil {
			if i == 0 {
				return g
			}
			i--
		}
	}
	return nil
}

// Produce has the service answer soon, at the end of some node's partition.
func (c *cluster) Produce(q *routing.Request) {
	c.mu.Lock()
	n, delay := c.next, time.Duration(c.random.IntN(300))*time.Millisecond
	c.next++
	c.mu.Unlock()
	reply := &routing.Reply{ID: q.ID, Final: true, Body: []byte(q.ID), From: routing.RecordAt{Topic: "replies", Offset: n}}
	c.busy.Go(func() {
		q.Produced(routing.RecordAt{}, nil)
		time.Sleep(delay)
		c.consume(n, reply)
	})
}

// receipt is one consumption of a record: it counts while its consumer lives.
type receipt struct {
	*cluster
	by routing.NodeID
}

func (r receipt) Done(t routing.Token) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if at := r.log[t.A]; at != nil && at.by == r.by && r.nodes[r.by] != nil {
		delete(r.log, t.A)
	}
}

func (c *cluster) consume(n int64, reply *routing.Reply) {
	g := c.any()
	fresh := &routing.Reply{ID: reply.ID, Final: true, Body: reply.Body, From: reply.From, Consumed: time.Now(), Receipt: receipt{c, g.router.Node()}, Token: routing.Token{A: n}}
	c.mu.Lock()
	c.log[n] = &consumed{reply, g.router.Node()}
	lives := c.nodes[g.router.Node()] == g
	c.mu.Unlock()
	if !lives {
		c.consume(n, reply)
		return
	}
	g.router.Deliver(context.Background(), []*routing.Reply{fresh})
}

// sink is one socket of the client.
type sink struct {
	mu  sync.Mutex
	got []routing.Delivery
}

func (s *sink) Accepted(string, routing.RequestID) {}
func (s *sink) Leave(routing.Leaving)              {}
func (s *sink) Deliver(d routing.Delivery) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.got = append(s.got, d)
}

// visitor is a client that knows what it asked and what it has got.
type visitor struct {
	c         *cluster
	session   *routing.Session
	at        *sink
	sent      map[string]routing.RequestID
	got       map[string]string
	delivered uint64
}

// look takes in what has come.
func (v *visitor) look() {
	v.at.mu.Lock()
	defer v.at.mu.Unlock()
	for _, d := range v.at.got {
		text := fmt.Sprint("error ", d.Err)
		if d.Err == nil {
			text = string(d.Reply.Body)
		}
		if before, twice := v.got[d.ClientID]; twice && before != text {
			v.c.t.Errorf("request %s ended as %s and as %s", d.ClientID, before, text)
		}
		v.got[d.ClientID], v.delivered = text, d.Seq
	}
	v.at.got = nil
}

func (v *visitor) send(id string) {
	rid, err := v.session.Submit(&routing.Call{Door: routing.DoorWS, ClientID: id, Service: "orders"}, nil)
	if err == nil {
		v.sent[id] = rid
	}
}

// back resumes the session on some node.
func (v *visitor) back() {
	time.Sleep(50 * time.Millisecond) // a client's way takes longer than a claim's
	v.look()
	var open []string
	for id := range v.sent {
		if v.got[id] == "" {
			open = append(open, id)
		}
	}
	for range 1000 {
		at := &sink{}
		s, missing, err := v.c.any().router.Resume(context.Background(), routing.ResumeSession{
			ID: v.session.ID(), Secret: v.session.Secret(), Open: open, Sink: at,
		})
		if err == nil {
			v.session, v.at, v.delivered = s, at, 0
			if len(missing.IDs) > 0 {
				v.c.t.Errorf("unknown requests: %v", missing)
			}
			return
		}
		if err.Word == routing.SessionGone {
			v.c.t.Fatalf("the session is gone")
		}
		time.Sleep(10 * time.Millisecond)
	}
	v.c.t.Fatal("the session cannot be resumed")
}

// Routers on real tables: sockets drop, clients come back anywhere, replies are
// consumed by any node, acknowledgements come late, nodes die and return. Each
// request ends once, with its own answer, and nothing is left in Redis.
func TestSchedules(t *testing.T) {
	for seed := range seeds() {
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) { schedule(t, seed) })
	}
}

// seeds is how many schedules are tried: few, unless PARLEY_TEST_SCHEDULES says more.
func seeds() uint64 {
	if n, err := strconv.ParseUint(os.Getenv("PARLEY_TEST_SCHEDULES"), 10, 32); err == nil {
		return n
	}
	return 3
}

func schedule(t *testing.T, seed uint64) {
	random := rand.New(rand.NewPCG(seed, 1))
	server := miniredis.RunT(t)
	c := &cluster{
		t: t, addr: server.Addr(), random: rand.New(rand.NewPCG(seed, 2)),
		nodes: make(map[routing.NodeID]*gateway), log: make(map[int64]*consumed),
	}
	names := []routing.NodeID{"a", "b", "c"}
	for _, name := range names {
		c.start(name)
	}
	v := &visitor{c: c, at: &sink{}, sent: make(map[string]routing.RequestID), got: make(map[string]string)}
	var err *routing.Error
	if v.session, err = c.any().router.Open(t.Context(), routing.OpenSession{Sink: v.at, Acks: true}); err != nil {
		t.Fatal(err)
	}
	for step := range 60 {
		switch random.IntN(12) {
		default:
			v.send(strconv.Itoa(step))
		case 6:
			v.look()
			v.session.Ack(v.at, v.delivered)
		case 7:
			v.session.Detach(v.at)
			time.Sleep(time.Duration(random.IntN(400)) * time.Millisecond)
			v.back()
		case 8, 9:
			v.back()
		case 10:
			time.Sleep(time.Duration(random.IntN(600)) * time.Millisecond)
		case 11:
			if name := names[random.IntN(3)]; random.IntN(2) == 0 {
				time.Sleep(50 * time.Millisecond) // what was claimed is written
				c.kill(name)
				v.back()
				time.Sleep(time.Duration(random.IntN(1500)) * time.Millisecond)
				c.start(name)
			}
		}
	}
	c.busy.Wait()
	for end := time.Now().Add(20 * time.Second); len(v.got) < len(v.sent) && time.Now().Before(end); {
		v.back()
		time.Sleep(300 * time.Millisecond)
		v.look()
	}
	for id, rid := range v.sent {
		if v.got[id] != string(rid) {
			t.Errorf("request %s got %q, want %q", id, v.got[id], rid)
		}
	}
	v.back()
	left := ""
	if err := await(t.Context(), func() bool {
		v.look()
		v.session.Ack(v.at, v.delivered)
		left = ""
		fields, _ := server.HKeys("parley:{" + string(v.session.ID()) + "}")
		for _, field := range fields {
			if field[1] == ':' {
				left += " " + field
			}
		}
		held, _ := server.List("parley:{" + string(v.session.ID()) + "}:held")
		if len(held) > 0 {
			left += fmt.Sprintf(" %d held", len(held))
		}
		return left == ""
	}); err != nil {
		t.Errorf("left in Redis:%s", left)
	}
}

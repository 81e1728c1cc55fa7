package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"parley/ws/client"
)

const (
	keepers   = 6  // callers over HTTP
	keptOpen  = 30 // requests that one of them has open, at most
	keptShare = 20 // a kept request for so many of the sessions' ones
)

// keeper makes requests over HTTP whose outcome is collected later, at any node.
type keeper struct {
	load *load
	urls []string
	http *http.Client
}

// keepAll has callers make kept requests at random moments, each under a key of its own.
func (l *load) keepAll(urls []string) {
	k := &keeper{load: l, urls: urls, http: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: keepers}}}
	mean := float64(keepers*keptShare) / float64(l.o.rate) * float64(time.Second)
	for i := range keepers {
		number := l.history.first + l.o.sessions + i
		l.asking.Go(func() {
			random := rand.New(rand.NewPCG(l.o.seed, uint64(number)))
			room := make(chan struct{}, keptOpen)
			for n := 1; !l.history.full(); n++ {
				select {
				case <-l.stop:
					return
				case <-time.After(time.Duration(random.ExpFloat64() * mean)):
				}
				select {
				case room <- struct{}{}:
				default:
					continue
				}
				q := question{Client: number, N: n, Delay: random.IntN(30), Pad: padding}
				if random.IntN(4) == 0 {
					q.Delay = 300 + random.IntN(2000)
				}
				one := &keptOne{keeper: k, random: rand.New(rand.NewPCG(l.o.seed, random.Uint64())), call: call{number, n}}
				if one.service = []string{"home", "home", "any", "wait"}[random.IntN(4)]; one.service == "wait" {
					q.Key = fmt.Sprintf("%d-%d", number, n)
				}
				one.body, _ = json.Marshal(q)
				l.open.Go(func() {
					defer func() { <-room }()
					one.run()
				})
			}
		})
	}
}

// keptOne is one kept request.
type keptOne struct {
	*keeper
	call
	random  *rand.Rand // run's
	service string
	body    []byte
}

func (k *keptOne) tell(what kind, e event) {
	e.Kind, e.Client, e.N = what, k.Client, k.N
	k.load.history.add(e)
}

// run asks for the request until a node says that it is kept, and every third time two
// nodes at once. Then two collect it: both over HTTP, or one of them over a socket.
func (k *keptOne) run() {
	ctx, cancel := context.WithTimeout(k.load.give, k.load.timeout)
	defer cancel()
	first, twice, attached := k.random.IntN(len(k.urls)), k.random.IntN(3) == 0, k.random.IntN(3) == 0
	ids := make(chan string, 2)
	var asking sync.WaitGroup
	asking.Go(func() { ids <- k.ask(ctx, first) })
	if twice {
		asking.Go(func() { ids <- k.ask(ctx, first+1) })
	}
	asking.Wait()
	close(ids)
	c, _ := k.load.sessionOf(k.random.IntN(max(1, len(k.load.callers))))
	var collecting sync.WaitGroup
	known := map[string]bool{"": true}
	for id := range ids {
		if known[id] {
			continue
		}
		known[id] = true
		collecting.Go(func() { k.collect(ctx, id, first+1) })
		collecting.Go(func() {
			if !attached || c == nil || !k.attach(ctx, c, id) {
				k.collect(ctx, id, first+2)
			}
		})
	}
	collecting.Wait()
}

// ask asks nodes in turn until one keeps the request, and answers its id; "" where none does
// in time.
func (k *keptOne) ask(ctx context.Context, at int) string {
	for ; ctx.Err() == nil; at++ {
		base, node := nodeURL(k.urls, at)
		k.tell(posted, event{Node: node, Timeout: k.load.timeout})
		said, err := k.say(ctx, http.MethodPost, base+"/services/"+k.service)
		switch {
		case k.load.give.Err() != nil:
			return ""
		case err != nil:
			k.tell(refused, event{Node: node, Word: "broken", Certainty: "unknown"})
		case said.status == http.StatusAccepted:
			k.tell(kept, event{Node: node, Request: said.id})
			return said.id
		default:
			k.tell(refused, event{Node: node, Word: said.Code, Certainty: said.Outcome})
		}
		pause(ctx)
	}
	return ""
}

// collect asks one node after another for the outcome, waiting there or not, until there is
// one or the time is over.
func (k *keptOne) collect(ctx context.Context, id string, at int) {
	for ; ctx.Err() == nil; at++ {
		base, node := nodeURL(k.urls, at)
		query := ""
		if at%2 == 0 {
			query = "?wait=3s"
		}
		said, err := k.say(ctx, http.MethodGet, base+"/requests/"+id+query)
		if err == nil && said.isOutcome(id) {
			e := event{Node: node, Word: said.Code, Certainty: said.Outcome}
			if said.status == http.StatusOK {
				e.tell(said.body)
			}
			e.Request = id
			k.tell(collected, e)
			return
		}
		pause(ctx)
	}
}

// attach collects over a socket, and tells whether that went well.
func (k *keptOne) attach(ctx context.Context, c *client.Client, id string) bool {
	reply, err := c.Attach(ctx, id, client.CallOptions{})
	if err != nil {
		return false
	}
	e := event{Node: c.Node()}
	e.tell(reply.Result)
	e.Request, e.Socket = id, 1
	k.tell(collected, e)
	return true
}

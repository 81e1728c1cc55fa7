// Command idle opens sockets that do nothing, in steps, and measures how much
// memory the server takes for each: the slope over the steps, so that what it
// takes anyway does not count. Linux only.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"parley/cmd/parley/bench"
)

// result is what one server took, in bytes a session.
type result struct {
	Name     string  `json:"name"`
	Sessions int     `json:"idle_sessions"`
	RSS      float64 `json:"rss_per_session"`   // resident, as the kernel sees it
	Go       float64 `json:"inuse_per_session"` // heap and stacks in use, as the Go runtime sees it
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	url := flag.String("url", "ws://127.0.0.1:8080/ws", "the server's address")
	door := flag.String("door", bench.Subprotocol, "parley.v1 or plain")
	key := flag.String("key", "", "file of the JWK (oct) that signs a token for each session; empty: they show none")
	pid := flag.Int("pid", 0, "the server's process id")
	pprof := flag.String("pprof", "http://127.0.0.1:9090", "where the server has /debug/pprof")
	sessions := flag.Int("sessions", 5000, "how many sessions to open")
	steps := flag.Int("steps", 5, "in how many steps")
	heap := flag.String("heap", "", "file to keep a heap profile of the server in, with all sessions open")
	name := flag.String("name", "", "what is measured")
	flag.Parse()
	tokens, err := newIssuer(*key)
	if err != nil {
		log.Fatal(err)
	}
	open := func() (bench.Lane, error) {
		gateway := bench.Gateway{URLs: []string{*url}, Service: "echo", Plain: *door == "plain", Token: tokens.next()}
		return gateway.Open(ctx)
	}
	r, err := measure(open, server{pid: *pid, pprof: *pprof, heap: *heap}, *sessions, *steps)
	if err != nil {
		log.Fatal(err)
	}
	r.Name = *name
	json.NewEncoder(os.Stdout).Encode(r)
}

// measure opens the sessions, and closes them in the end.
func measure(open func() (bench.Lane, error), s server, sessions, steps int) (result, error) {
	var reading sync.WaitGroup
	var lanes []bench.Lane
	defer reading.Wait()
	defer func() {
		for _, l := range lanes {
			l.Close()
		}
	}()
	var rss, inuse slope
	for step := range steps + 1 {
		for len(lanes) < sessions*step/steps {
			lane, err := open()
			if err != nil {
				return result{}, fmt.Errorf("session %d: %w", len(lanes), err)
			}
			lanes = append(lanes, lane)
			reading.Go(func() { lane.Receive() }) // answers pings
		}
		m, err := s.memory()
		if err != nil {
			return result{}, err
		}
		if step > 0 { // the first step fills pools and caches
			rss.add(float64(len(lanes)), m.rss)
			inuse.add(float64(len(lanes)), m.inuse)
		}
	}
	if err := s.keepHeap(); err != nil {
		return result{}, err
	}
	return result{Sessions: sessions, RSS: rss.value(), Go: inuse.value()}, nil
}

// settle is how long a server gets, twice, to give back what a handshake took: Parley does
// when the socket has been quiet for up to 4 s.
const settle = 2500 * time.Millisecond

// slope is the slope of the line that fits points best, by least squares.
type slope struct{ n, x, y, xx, xy float64 }

func (s *slope) add(x, y float64) {
	s.n, s.x, s.y, s.xx, s.xy = s.n+1, s.x+x, s.y+y, s.xx+x*x, s.xy+x*y
}

func (s *slope) value() float64 { return (s.n*s.xy - s.x*s.y) / (s.n*s.xx - s.x*s.x) }

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"parley/ws/client"
)

// subscribers is a test in which many follow keys of one topic.
type subscribers struct {
	c       *cluster
	ctx     context.Context
	events  int // of each key
	running sync.WaitGroup
}

// newSubscribers prepares three nodes whose clients may subscribe to events, of which
// each node reads two partitions.
func newSubscribers(t *testing.T, events int) *subscribers {
	c := newCluster(t, map[string]string{"echo": "murmur2"})
	c.createTopic(c.topic("events"), 6, nil)
	c.extra = fmt.Sprintf("subscriptions: {topics: [%[1]s], whole: [%[1]s]}\n", c.topic("events"))
	for _, name := range []string{"a", "b", "c"} {
		c.launch(name)
	}
	c.awaitReady()
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	t.Cleanup(cancel)
	return &subscribers{c: c, ctx: ctx, events: events}
}

// dial connects a client to the last node first.
func (s *subscribers) dial() *client.Client {
	s.c.t.Helper()
	o := client.Options{URLs: []string{s.c.nodes[2].url + "/ws", s.c.nodes[0].url + "/ws", s.c.nodes[1].url + "/ws"}}
	parley, err := client.Dial(s.ctx, o)
	if err != nil {
		s.c.t.Fatal(err)
	}
	s.c.t.Cleanup(func() { _ = parley.Close(context.Background()) })
	return parley
}

// overSocket follows a key with a client, which must get each event once.
func (s *subscribers) overSocket(parley *client.Client, key string) {
	s.c.t.Helper()
	sub, err := parley.Subscribe(s.ctx, s.c.topic("events"), key)
	if err != nil {
		s.c.t.Fatal(err)
	}
	s.running.Go(func() {
		defer sub.Close()
		seen := make(map[int]bool)
		for len(seen) < s.events {
			push, err := sub.Next(s.ctx)
			if err != nil {
				s.c.t.Errorf("%s has %d of %d events: %v", key, len(seen), s.events, err)
				return
			}
			s.saw(key, seen, string(push.Data), push.Missed)
		}
	})
}

// wholeOverSocket follows all keys at once with a client, which must get each event of
// each of them once, or be told how many it does not get.
func (s *subscribers) wholeOverSocket(parley *client.Client, keys []string) {
	s.c.t.Helper()
	sub, err := parley.Subscribe(s.ctx, s.c.topic("events"), "")
	if err != nil {
		s.c.t.Fatal(err)
	}
	s.running.Go(func() {
		defer sub.Close()
		all, partitions := newWhole(keys), make(map[string]bool)
		for left := len(keys) * s.events; left > 0; left-- {
			push, err := sub.Next(s.ctx)
			if err != nil || push.Missed < 0 {
				s.c.t.Errorf("%d of all %d events are missing: %v", left, len(keys)*s.events, err)
				return
			}
			left -= push.Missed // the node has more to push than may wait
			s.saw(push.Key, all[push.Key], string(push.Data), 0)
			partitions[push.Event[:strings.LastIndexByte(push.Event, '/')]] = true
		}
		if len(partitions) != 6 {
			s.c.t.Errorf("all events are in the partitions %v", partitions)
		}
	})
}

// newWhole is what somebody has seen who follows all keys.
func newWhole(keys []string) map[string]map[int]bool {
	all := make(map[string]map[int]bool)
	for _, key := range keys {
		all[key] = make(map[int]bool)
	}
	return all
}

// follow asks a node for the events of a key over HTTP, of all where it is "", behind the
// last that is known.
func (s *subscribers) follow(p *process, key, last string) (*http.Response, error) {
	url := p.url + "/events/" + s.c.topic("events")
	if key != "" {
		url += "?key=" + key
	}
	r, _ := http.NewRequestWithContext(s.ctx, "GET", url, nil)
	if last != "" {
		r.Header.Set("Last-Event-ID", last)
	}
	response, err := http.DefaultClient.Do(r)
	if err == nil && response.StatusCode != http.StatusOK {
		response.Body.Close()
		err = fmt.Errorf("status %d", response.StatusCode)
	}
	return response, err
}

// overHTTP follows a key with server-sent events of a node.
func (s *subscribers) overHTTP(p *process, key string) {
	s.c.t.Helper()
	response, err := s.follow(p, key, "")
	if err != nil {
		s.c.t.Fatal(err)
	}
	s.running.Go(func() {
		defer response.Body.Close()
		seen := make(map[int]bool)
		for lines := bufio.NewScanner(response.Body); len(seen) < s.events && lines.Scan(); {
			if data, is := strings.CutPrefix(lines.Text(), "data: "); is {
				s.saw(key, seen, data, 0)
			}
		}
		if len(seen) < s.events {
			s.c.t.Errorf("%s has %d of %d events over HTTP", key, len(seen), s.events)
		}
	})
}

// saw notes an event of a key, which must come once and before the next.
func (s *subscribers) saw(key string, seen map[int]bool, data string, missed int) {
	n, err := strconv.Atoi(data)
	if err != nil || seen[n] || seen[n+1] || missed != 0 {
		s.c.t.Errorf("%s got %s (seen: %v, and the one behind it: %v), missed %d", key, data, seen[n], seen[n+1], missed)
	}
	seen[n] = true
}

// tell writes an event about each key, again and again.
func (s *subscribers) tell(keys []string, every time.Duration) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for n := range s.events {
		for _, key := range keys {
			s.c.client.Produce(s.ctx, &kgo.Record{Topic: s.c.topic("events"), Key: []byte(key), Value: strconv.AppendInt(nil, int64(n), 10)}, func(_ *kgo.Record, err error) {
				if err != nil {
					s.c.t.Errorf("write: %v", err)
				}
			})
		}
		<-tick.C
	}
}

// The node that holds the sockets of all subscribers, and reads some of the events, is
// killed while they happen: others read on where it had not committed. Its clients go to
// other nodes and get every event once and in order, without subscribing again, be it of a
// key or of the whole topic; so does who follows over HTTP at a node that lives.
func TestSubscribersOutliveTheirNode(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a while")
	}
	s := newSubscribers(t, 200)
	var keys []string
	parley := [3]*client.Client{s.dial(), s.dial(), s.dial()}
	for i := range 16 {
		keys = append(keys, fmt.Sprint("o-", i))
		s.overSocket(parley[i%2], keys[i])
	}
	s.overSocket(parley[0], keys[1]) // two follow the same
	for i := range 4 {
		s.overHTTP(s.c.nodes[i%2], keys[i])
	}
	s.wholeOverSocket(parley[2], keys)
	held := [3]string{parley[0].Session(), parley[1].Session(), parley[2].Session()}
	time.AfterFunc(4*time.Second, func() { s.c.nodes[2].signal(syscall.SIGKILL) })
	s.tell(keys, 50*time.Millisecond)
	s.running.Wait()
	for i, c := range parley {
		if c.Session() != held[i] || c.Node() == s.c.prefix+"-c" {
			t.Errorf("client %d is at %s with the session %s, which was %s", i, c.Node(), c.Session(), held[i])
		}
	}
	s.c.nodes = s.c.nodes[:2]
	s.c.nodes[0].await(t, "rid of all subscriptions", func() bool { return s.c.metric("parley_subscriptions") == 0 })
	t.Logf("%v pushed of %d, %v of them twice", s.c.metric(`parley_events_total{fate="pushed"}`), len(keys)*s.events, s.c.metric(`parley_drops_total{reason="duplicate"}`))
}

// source follows a key, or all, as a browser's EventSource does: cut off, it goes to the
// next node and says which event was its last. Where cut is not 0 it hangs up by itself
// after so many events. saw gets the data of each.
func (s *subscribers) source(key string, events, cut int, saw func(data string)) {
	began := make(chan struct{})
	s.running.Go(func() {
		got, id, last := 0, "", ""
		for turn := 0; got < events && s.ctx.Err() == nil; turn++ {
			response, err := s.follow(s.c.nodes[(turn+2)%3], key, last)
			if err != nil {
				time.Sleep(50 * time.Millisecond) // a browser, which nothing tells when either, waits for three seconds
				continue
			}
			had := got
			for lines := bufio.NewScanner(response.Body); got < events && (cut == 0 || got < had+cut) && lines.Scan(); {
				switch line := lines.Text(); {
				case line == ":" && turn == 0:
					close(began)
				case strings.HasPrefix(line, "event: missed"):
					s.c.t.Errorf("%q is told that it has missed something behind %s", key, last)
				case strings.HasPrefix(line, "id: "):
					id = line[4:]
				case line == "": // else its event may not have come
					last = id
				case strings.HasPrefix(line, "data: "):
					got, last = got+1, id
					saw(line[6:])
				}
			}
			response.Body.Close()
		}
		if got < events {
			s.c.t.Errorf("%q has %d of %d events", key, got, events)
		}
	})
	<-began
}

// wholeSource follows all keys at once, and gets each event of each of them once.
func (s *subscribers) wholeSource(keys []string, cut int) {
	all := newWhole(keys)
	s.source("", len(keys)*s.events, cut, func(data string) {
		var e struct {
			Key  string
			Data json.Number
		}
		if err := json.Unmarshal([]byte(data), &e); err != nil || all[e.Key] == nil {
			s.c.t.Errorf("of all came %s: %v", data, err)
			return
		}
		s.saw(e.Key, all[e.Key], e.Data.String(), 0)
	})
}

// Who follows over HTTP is cut off, by the death of its node or by its own network, and
// goes on at another node where it was, in a key or in all of the topic: each event comes
// once, and none is missed.
func TestEventSourcesGoOn(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a while")
	}
	s := newSubscribers(t, 150)
	var keys []string
	for i := range 12 {
		key, seen := fmt.Sprint("o-", i), make(map[int]bool)
		keys = append(keys, key)
		s.source(key, s.events, []int{0, 40, 17}[i%3], func(data string) { s.saw(key, seen, data, 0) })
	}
	s.wholeSource(keys, 0)
	s.wholeSource(keys, 150)
	time.AfterFunc(3*time.Second, func() { s.c.nodes[2].signal(syscall.SIGKILL) })
	s.tell(keys, 50*time.Millisecond)
	s.running.Wait()
	all := s.c.nodes
	s.c.nodes = all[:2]
	whole, other := s.c.metric(`parley_replays_total{result="whole"}`), 0.0
	for _, how := range []string{"beyond", "lost", "busy", "unavailable"} {
		other += s.c.metric(`parley_replays_total{result="` + how + `"}`)
	}
	if t.Logf("%v times what was missed was read again", whole); whole < 14 || other != 0 {
		t.Errorf("%v times whole, %v times not", whole, other)
	}
}

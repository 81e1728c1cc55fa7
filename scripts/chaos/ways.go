package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"
)

// way is a path of recovery that a run must have taken, or it has proven nothing
// about it. It is counted by a series of the nodes' metrics, by a message in their
// logs, or in the histories.
type way struct {
	name   string
	series string
	log    string // a regular expression
	event  func(before *stay, e *event) bool
	times  func(events []event) int // how often in a history
	short  bool                     // a short run takes it too
}

// stay is a client's last time on a node, and why its socket was lost.
type stay struct{ node, left string }

var ways = []way{
	{name: "replies relayed to another node", series: `parley_replies_total{path="relay"}`, short: true},
	{name: "replies held for a session without a node", series: `parley_replies_total{path="held"}`},
	{name: "replies that came again and were dropped", series: `parley_drops_total{reason="duplicate"}`},
	{name: "replies in dead nodes' inboxes, routed again", series: "parley_table_rerouted_total"},
	{name: "nodes seen to be dead by others", log: `"msg":"node is gone without leaving"`, short: true},
	{name: "nodes fenced: they learned that they had been taken for dead", log: `"msg":"this node was taken for dead`},
	{name: "nodes that wrote their sessions anew into an empty Redis", log: `"msg":"Redis had forgotten this node`, short: true},
	{name: "nodes that noticed another Redis, which may know less", log: `"msg":"another Redis answers than before`},
	{name: "nodes that killed themselves at a point of their code", log: `"msg":"killed at a point"`},
	{name: "replies read again since a while ago", log: `"msg":"replies are read again".*"since"`},
	{name: "sessions resumed on the same node", event: func(before *stay, e *event) bool { return e.Kind == resumed && before.node == e.Node }, short: true},
	{name: "sessions resumed on another node", event: func(before *stay, e *event) bool { return e.Kind == resumed && before.node != e.Node }, short: true},
	{name: "sessions resumed after 4413: too much was unacknowledged, and was held", event: func(before *stay, e *event) bool {
		return e.Kind == resumed && strings.HasPrefix(before.left, "4413 ")
	}},
	{name: "kept requests collected at another node than took them", times: collectedElsewhere, short: true},
	{name: "keyed requests asked for again at another node, as the first broke off", times: keyedElsewhere},
	{name: "event waits answered at another node than they were asked at", times: answeredElsewhere, short: true},
	{name: "subscriptions that another node took over, with their session", times: takenOver, short: true},
	{name: "subscriptions over HTTP that went on at another node", times: wentOn, short: true},
}

// tally counts how often each way was taken.
type tally struct {
	nodes []*node

	mu    sync.Mutex
	seen  map[*node]map[string]float64 // the last value of each series
	sum   map[string]float64           // of all that was counted, across restarts
	taken map[string]int               // in histories, by way
}

func newTally(nodes []*node) *tally {
	return &tally{nodes: nodes, seen: make(map[*node]map[string]float64), sum: make(map[string]float64), taken: make(map[string]int)}
}

// run reads the nodes' metrics every half second until ctx ends. A node that is
// killed takes with it what it counted since.
func (t *tally) run(ctx context.Context) {
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for {
		for _, n := range t.nodes {
			if now, err := n.metrics(ctx); err == nil {
				t.add(n, now)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (t *tally) add(n *node, now map[string]float64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for series, value := range now {
		before := t.seen[n][series]
		if value < before {
			before = 0 // it was started anew
		}
		t.sum[series] += value - before
	}
	t.seen[n] = now
}

// addHistory counts what clients have seen.
func (t *tally) addHistory(events []event) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, w := range ways {
		if w.times != nil {
			t.taken[w.name] += w.times(events)
		}
	}
	last := make(map[int]*stay)
	for i := range events {
		e := &events[i]
		before := last[e.Client]
		if before != nil && e.Kind == lost {
			before.left = e.Word
		}
		if e.Kind != opened && e.Kind != resumed {
			continue
		}
		if before != nil {
			for _, w := range ways {
				if w.event != nil && w.event(before, e) {
					t.taken[w.name]++
				}
			}
		}
		last[e.Client] = &stay{node: e.Node}
	}
}

// report writes how often each way was taken, and answers those that were not,
// though they should have been: in a short run, where not every fault is done, some.
func (t *tally) report(out io.Writer, short bool) (never []string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	fmt.Fprint(out, "\n| way of recovery | taken |\n|---|---|\n")
	for _, w := range ways {
		count := t.taken[w.name]
		switch {
		case w.series != "":
			count = int(t.sum[w.series])
		case w.log != "":
			for _, n := range t.nodes {
				text, _ := os.ReadFile(n.logFile)
				count += len(regexp.MustCompile(w.log).FindAll(text, -1))
			}
		}
		fmt.Fprintf(out, "| %s | %d |\n", w.name, count)
		if count == 0 && (w.short || !short) {
			never = append(never, w.name)
		}
	}
	return never
}

// metrics reads the node's counters.
func (n *node) metrics(ctx context.Context) (map[string]float64, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+n.admin+"/metrics", nil)
	if err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	all := make(map[string]float64)
	for lines := bufio.NewScanner(response.Body); lines.Scan(); {
		end := strings.LastIndexByte(lines.Text(), ' ')
		if end < 0 || lines.Text()[0] == '#' {
			continue
		}
		if v, err := strconv.ParseFloat(lines.Text()[end+1:], 64); err == nil {
			all[lines.Text()[:end]] = v
		}
	}
	return all, nil
}

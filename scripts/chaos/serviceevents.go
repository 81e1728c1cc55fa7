package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"

	"parley/routing"
)

// What events say of what they are about. The last two are an answer.
const (
	noted     = "NOTED"
	checked   = "CHECKED"
	validated = "VALIDATED"
	failed    = "FAILED"
)

// note is the payload of an event that answers nobody: the number-th about its key.
type note struct {
	Key    string `json:"key"`
	Number int    `json:"number"`
	State  string `json:"state"`
	Pad    string `json:"pad,omitempty"`
}

// events are what happens because of a request that an event answers, in order: up to
// three checks, then what answers it, which is the one at answers, and for every second
// request another that would answer it too, but comes too late.
func (q *question) events(request string) (records []*kgo.Record, answers int) {
	answers = 1 + q.N%3
	for n := range answers + 1 + q.N%2 {
		about := answer{Owner: call{q.Client, q.N}, Request: request, Part: n, State: checked}
		switch {
		case n == answers:
			about.State, about.Pad = validated, strings.Repeat(q.Pad, max(1, q.Large))
		case n > answers:
			about.State = failed
		}
		records = append(records, eventOf(q.Key, about))
	}
	return records, answers
}

// eventOf is an event, in the partition where all about its key are.
func eventOf(key string, about any) *kgo.Record {
	body, _ := json.Marshal(about)
	return &kgo.Record{Topic: eventTopic, Partition: routing.Murmur2.Partition([]byte(key), eventPartitions), Key: []byte(key), Value: body}
}

// tell writes the number-th event about a key, and tells the history as the client. One in
// five would answer a request, if any waited for it.
func (s *services) tell(h *history, client int, key string, number int) {
	about := note{Key: key, Number: number, State: noted, Pad: padding}
	if number%5 == 0 {
		about.State = validated
	}
	e := event{Kind: writing, Client: client, Key: key, Number: number}
	h.add(e)
	s.client.Produce(context.Background(), eventOf(key, about), func(r *kgo.Record, err error) {
		if err == nil {
			e.Kind, e.Record = written, placeOf(r)
			h.add(e)
		}
	})
}

// placeOf is a record's place as clients are told it.
func placeOf(r *kgo.Record) string { return fmt.Sprintf("%s/%d/%d", r.Topic, r.Partition, r.Offset) }

package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"parley/routing"
)

// EventService is a service that is answered by events: the outcome of a request is
// the first event about what it names of which a condition is true.
type EventService struct {
	Name  string
	Topic string // of the events; the record's key is what an event is about
	Until *Condition
}

// Waits knows who waits for events. A table is one.
type Waits interface {
	// Waiting answers which requests wait for an event about each entity, in their
	// order. It blocks for a round trip.
	Waiting(ctx context.Context, about []routing.Entity) ([][]routing.RequestID, error)
	// Unwait forgets a wait, soon. It does not block.
	Unwait(about routing.Entity, id routing.RequestID)
}

// Feeds knows who has subscribed to events. A table is one.
type Feeds interface {
	// Subscribers answers which sessions have subscribed to each feed, in their order.
	// It blocks for a round trip or two.
	Subscribers(ctx context.Context, feeds []routing.Feed) ([][]routing.SessionID, error)
}

// EventSink takes the events that answer requests, and pushes. routing.Router is one.
type EventSink interface {
	Deliver(ctx context.Context, replies []*routing.Reply)
	// CatchUp is called before the first events of partitions that came are delivered.
	// It may block, for a moment.
	CatchUp(ctx context.Context)
}

// EventsOptions are what Events is made of, besides where Kafka is: what a member of
// a group has (Topic and Sink apart), and what it reads events for.
type EventsOptions struct {
	RepliesOptions
	Services []EventService
	Waits    Waits
	Topics   []string // that sessions may subscribe to, those of services among them
	Whole    []string // of these, topics of which they may have all events
	Feeds    Feeds
	To       EventSink
}

// Events reads topics of events as a member of the gateway's group for them, one for
// any number of clients, and turns those that somebody waits for, or has subscribed
// to, into replies. Its methods may be called from any goroutine.
//
// Of an event of which no condition is true nothing is kept, and nobody is asked. For
// the others, Waits is asked once a poll. The offset of an event that answers is
// committed when all whom it answers have it safely, and its waits are removed then,
// not before: a node that dies in between leaves both to the next owner.
//
// A group without commits starts a little before this process: a topic of events may
// be old and large, and no request waits for what happened before it was made.
type Events struct {
	*consumer
	o       EventsOptions
	flights flights
	about   map[string][]*EventService // by topic
	feeds   map[string]bool            // topics that sessions may subscribe to
	whole   map[string]bool            // of these, those of which they may have all events

	// Belongs to Run.
	view  eventView
	found []*found
	tells []told
	told  map[oddity]bool // that have been logged
}

// told is an event of a topic that sessions may have subscribed to.
type told struct {
	record *kgo.Record
	at     time.Time
	p      *partition
	token  routing.Token
	from   *eventReceipt // nil where it answers nobody
}

// found is an event of which a condition is true, for one service.
type found struct {
	about  routing.Entity
	record *kgo.Record
	at     time.Time // when it was polled
	from   *eventReceipt
}

// eventsBefore is how much older than this process an event may be that a group
// without commits reads: longer than clocks differ, and than a node takes to start.
const eventsBefore = time.Minute

// NewEvents checks its options. It does not connect.
func NewEvents(c Config, o EventsOptions) (*Events, error) {
	if o.Group == "" || o.To == nil || len(o.Services) > 0 && o.Waits == nil || len(o.Topics) > 0 && o.Feeds == nil || len(o.Services)+len(o.Topics) == 0 {
		return nil, errors.New("kafka: events need a group, a sink, and services and waits, or topics and feeds")
	}
	e := &Events{o: o, about: make(map[string][]*EventService), feeds: make(map[string]bool), whole: make(map[string]bool), told: make(map[oddity]bool), flights: newFlights()}
	var topics []string
	for i := range o.Services {
		s := &o.Services[i]
		if s.Topic == "" || s.Until == nil {
			return nil, fmt.Errorf("kafka: events of %s need a topic and a condition", s.Name)
		}
		if e.about[s.Topic] == nil {
			topics = append(topics, s.Topic)
		}
		e.about[s.Topic] = append(e.about[s.Topic], s)
	}
	for _, topic := range o.Topics {
		if e.about[topic] == nil && !e.feeds[topic] {
			topics = append(topics, topic)
		}
		e.feeds[topic] = true
	}
	for _, topic := range o.Whole {
		e.whole[topic] = true
	}
	var err error
	e.consumer, err = newConsumer(c, o.RepliesOptions, e, topics...)
	if err != nil {
		return nil, err
	}
	e.noun, e.since = "events", time.Now().Add(-eventsBefore)
	return e, nil
}

// read looks whether any service's condition is true of an event.
func (e *Events) read(record *kgo.Record, p *partition, token routing.Token, now time.Time, _ int) {
	e.view.show(record)
	var from *eventReceipt
	for _, s := range e.about[record.Topic] {
		if !e.holds(s, record) {
			continue
		}
		if from == nil {
			from = &eventReceipt{events: e, p: p, token: token}
		}
		e.found = append(e.found, &found{routing.Entity{Service: s.Name, Key: string(record.Key)}, record, now, from})
		from.left++
	}
	switch {
	case e.feeds[record.Topic]:
		if from != nil {
			from.left++
		}
		e.tells = append(e.tells, told{record, now, p, token, from})
	case from == nil:
		p.Done(token)
	}
}

// holds tells whether a service's condition is true of the event in view. One that
// cannot be told is counted, and as good as false.
func (e *Events) holds(s *EventService, record *kgo.Record) bool {
	ok, err := s.Until.holds(&e.view)
	switch {
	case err == nil && ok, defectAnswerAnyEvent:
		return true
	case err == nil:
		e.count(routing.EventUnrelated)
	case errors.Is(err, errNotJSON):
		e.strange(s, record, routing.EventNotJSON, err)
	default:
		e.strange(s, record, routing.EventStrange, err)
	}
	return false
}

// oddity is a way in which a service's events are strange.
type oddity struct {
	service string
	what    routing.EventFate
}

// strange tells of an event that a condition cannot be asked about: of the first of its
// kind to everybody, since the condition may be wrong.
func (e *Events) strange(s *EventService, record *kgo.Record, what routing.EventFate, err error) {
	e.count(what)
	level, kind := slog.LevelInfo, oddity{s.Name, what}
	if e.told[kind] {
		level = slog.LevelDebug
	}
	e.told[kind] = true
	e.log.Log(context.Background(), level, "event passed over", "reason", string(what), "service", s.Name,
		"topic", record.Topic, "partition", record.Partition, "offset", record.Offset, "err", err)
}

func (e *Events) count(what routing.EventFate) {
	if e.options.Observer != nil {
		e.options.Observer.Count(routing.Events, string(what))
	}
}

const (
	waitsAgain    = 10 * time.Millisecond // the pause before the table is asked again
	waitsAgainMax = 500 * time.Millisecond
)

// deliver answers the requests that wait for what was found. While the table is away
// it waits, and so do the events, in Kafka.
func (e *Events) deliver(ctx context.Context) {
	if len(e.found)+len(e.tells) == 0 {
		return
	}
	defer func() {
		clear(e.found)
		clear(e.tells)
		e.found, e.tells = e.found[:0], e.tells[:0]
	}()
	waiting, ok := e.waiting(ctx)
	if !ok {
		return // the next owner reads them again
	}
	var replies []*routing.Reply
	for i, f := range e.found {
		replies = e.answer(replies, f, waiting[i])
	}
	pushes, ok := e.pushes(ctx)
	if replies = append(replies, pushes...); ok && len(replies) > 0 {
		if e.came.CompareAndSwap(true, false) {
			e.o.To.CatchUp(ctx)
		}
		e.o.To.Deliver(ctx, replies)
	}
}

// waiting asks who waits for what was found, until it is told.
func (e *Events) waiting(ctx context.Context) (waiting [][]routing.RequestID, ok bool) {
	if len(e.found) == 0 {
		return nil, true
	}
	about := make([]routing.Entity, len(e.found))
	for i, f := range e.found {
		about[i] = f.about
	}
	ok = e.until(ctx, func() (err error) {
		waiting, err = e.o.Waits.Waiting(ctx, about)
		return err
	})
	return waiting, ok
}

// until asks the table until it answers, and tells false if ctx ended first.
func (e *Events) until(ctx context.Context, ask func() error) bool {
	for pause := waitsAgain; ; pause = min(2*pause, waitsAgainMax) {
		err := ask()
		if err == nil {
			return true
		}
		if pause == waitsAgain {
			e.log.Warn("events wait for the table", "group", e.options.Group, "err", err)
		}
		select {
		case <-ctx.Done():
			return false
		case <-time.After(pause):
		}
	}
}

// answer makes replies of an event that was found, one for each request.
func (e *Events) answer(replies []*routing.Reply, f *found, waiting []routing.RequestID) []*routing.Reply {
	at := place64{place{f.record.Topic, f.record.Partition}, f.record.Offset}
	answered := 0
	for _, id := range waiting {
		if !e.flights.start(id, at) {
			continue // an earlier event answers it
		}
		reply := new(routing.Reply)
		_ = decodeReply(f.record, reply) // the request is named by the wait, not by the record
		reply.ID, reply.Final = id, true
		reply.Consumed, reply.ConsumedBy = f.at, e.options.Node
		reply.Receipt, reply.Token = f.from.wait(f.about, id)
		replies = append(replies, reply)
		answered++
	}
	if answered > 0 {
		e.count(routing.EventAnswered)
	} else {
		e.count(routing.EventUnawaited)
	}
	f.from.settle()
	return replies
}

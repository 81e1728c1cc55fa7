package web

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/gorilla/mux"

	"parley/routing"
)

const (
	feedsPath = "/events/"
	// feedReturn is the longest that a client waits which comes back from a node that
	// drains, so that all do not come at once.
	feedReturn = 8 * time.Second
)

var (
	errDrains    = errors.New("this node is going away")
	errNoHistory = errors.New("events are not read again here")
	errWhole     = errors.New("an event's place says nothing of a topic's other partitions")
)

// History reads events again for subscribers that were away.
type History interface {
	// Since answers what has happened to a feed after one of its events, for a client
	// that has subscribed already. It blocks, for a bounded time. After an error it is
	// not known what has happened.
	Since(ctx context.Context, feed routing.Feed, after routing.RecordAt) (routing.Backlog, error)
}

// noHistory reads nothing again.
type noHistory struct{}

func (noHistory) Since(context.Context, routing.Feed, routing.RecordAt) (routing.Backlog, error) {
	return routing.Backlog{}, errNoHistory
}

// pushed is the sink of a session that is there for one subscription. What waits to be
// written is bounded by the session.
type pushed struct {
	*flow
	left chan routing.Leaving
}

func newPushed() *pushed { return &pushed{newFlow(), make(chan routing.Leaving, 1)} }

// Leave implements routing.Sink.
func (p *pushed) Leave(why routing.Leaving) {
	select {
	case p.left <- why:
	default:
	}
}

// serveFeed answers with the events of a topic about a key, as they happen. The session
// that is subscribed lives as long as the connection.
func (s *Server) serveFeed(w http.ResponseWriter, r *http.Request) {
	feed, e := readFeed(r)
	switch {
	case e != nil:
		s.refuse(w, r, 0, e)
		return
	case !s.calls.enter():
		s.refuse(w, r, 0, goingAway())
		return
	}
	defer s.calls.leave()
	to := newPushed()
	session, e := s.router.Open(r.Context(), routing.OpenSession{Caller: s.caller(r), Sink: to})
	if e != nil {
		s.logProblem(r, e, "")
		s.writeProblem(w, 0, e, "")
		return
	}
	defer session.Close()
	if e, left := s.subscribe(r.Context(), session, feed); left {
		return
	} else if e != nil {
		s.refuse(w, r, 0, e)
		return
	}
	out := feeding{w: w, keys: feed.Key == ""}
	err := out.begin()
	if last := r.Header.Get("Last-Event-ID"); err == nil && last != "" {
		err = s.catchUp(r.Context(), feed, last, &out)
	}
	if err == nil {
		err = s.feed(r, session, to, &out)
	}
	s.log.Info("feed ended", "topic", feed.Topic, "session", string(session.ID()), "err", err)
}

// readFeed reads what a request subscribes to.
func readFeed(r *http.Request) (feed routing.Feed, e *routing.Error) {
	topic, err := url.PathUnescape(mux.Vars(r)["topic"])
	query, errQuery := url.ParseQuery(r.URL.RawQuery)
	if err != nil || errQuery != nil || query.Has("key") && query.Get("key") == "" {
		return feed, invalidParams("say which events: %s{topic}?key=…", feedsPath)
	}
	return routing.Feed{Topic: topic, Key: query.Get("key")}, nil
}

// subscribe waits until the gateway knows of a subscription, or the client has left.
func (s *Server) subscribe(ctx context.Context, session *routing.Session, feed routing.Feed) (e *routing.Error, left bool) {
	done := make(chan *routing.Error, 1)
	if e := session.Subscribe(feed, func(e *routing.Error) { done <- e }); e != nil {
		return e, false
	}
	select {
	case e = <-done:
		return e, false
	case <-s.ending.Done():
		return goingAway(), false
	case <-ctx.Done():
		return nil, true
	}
}

// catchUp writes what a client has missed that comes back and says which event was its
// last. Where that is not to be had it is told that it may have missed something, and
// nobody knows how much. It has subscribed before: what happens meanwhile waits for it.
func (s *Server) catchUp(ctx context.Context, feed routing.Feed, last string, out *feeding) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(s.draining, cancel)()
	after, err := routing.ParseRecordAt(last)
	var missed routing.Backlog
	switch {
	case err != nil:
	case feed.Key == "":
		err = errWhole
	default:
		missed, err = s.history.Since(ctx, feed, after)
	}
	switch {
	case err == nil:
		defer missed.Release()
		return out.writePast(&missed, after)
	case ctx.Err() != nil: // it has left, or is to come back to another node
		return nil
	}
	s.log.Info("a subscriber that comes back has missed events", "topic", feed.Topic, "last", clip(last), "err", err)
	return out.say(string(appendMissed(nil, -1)))
}

// feed writes events until somebody leaves, and answers who.
func (s *Server) feed(r *http.Request, session *routing.Session, to *pushed, out *feeding) error {
	silence := time.NewTimer(s.keepAlive)
	defer silence.Stop()
	expired, stop := s.expiry(r)
	defer stop()
	for {
		var err error
		select {
		case <-to.came:
			err = out.writeAll(session, to)
		case <-silence.C:
			err = out.say(":\n\n")
		case <-r.Context().Done():
			return context.Cause(r.Context())
		case <-s.draining.Done():
			_ = out.say(fmt.Sprintf("retry: %d\n\n", rand.N(feedReturn).Milliseconds()))
			return errDrains
		case <-expired:
			return errExpired
		case why := <-to.left:
			s.observer.Count(routing.Refusals, string(why))
			return fmt.Errorf("the session has left: %s", why)
		}
		if err != nil {
			return err
		}
		silence.Reset(s.keepAlive)
	}
}

// feeding is a response of events that no request asked for.
type feeding struct {
	w     http.ResponseWriter
	batch []routing.Delivery
	buf   []byte
	has   routing.RecordAt // the client has what stands before it in its partition
	keys  bool             // events of all keys: each comes with its own
}

// begin writes the status and the headers.
func (o *feeding) begin() error {
	h := o.w.Header()
	h["Content-Type"] = []string{typeEvents}
	h["Cache-Control"] = []string{"no-store"}
	h["X-Accel-Buffering"] = []string{"no"} // a proxy in front is not to wait for more
	h["X-Content-Type-Options"] = nosniff
	h["Content-Security-Policy"] = sandbox
	return o.say(":\n\n")
}

// writePast writes and flushes what has happened after an event that the client has.
func (o *feeding) writePast(missed *routing.Backlog, after routing.RecordAt) error {
	o.has = routing.RecordAt{Topic: after.Topic, Partition: after.Partition, Offset: missed.End}
	o.buf = o.buf[:0]
	for _, e := range missed.Events {
		o.buf = appendEvent(o.buf, e.At, e.Body)
	}
	if len(o.buf) == 0 {
		return nil
	}
	return o.write(o.buf)
}

// knows tells whether the client has an event that is pushed: it was read again too.
func (o *feeding) knows(at routing.RecordAt) bool {
	return at.Partition == o.has.Partition && at.Offset < o.has.Offset
}

// writeAll writes and flushes what has come.
func (o *feeding) writeAll(session *routing.Session, to *pushed) error {
	o.batch, _ = to.take(o.batch)
	defer func() { clear(o.batch) }()
	if len(o.batch) == 0 {
		return nil
	}
	o.buf = o.buf[:0]
	for i := range o.batch {
		d := &o.batch[i]
		if d.Push.Missed > 0 {
			o.buf = appendMissed(o.buf, d.Push.Missed)
		}
		if !o.knows(d.Reply.From) {
			o.buf = o.appendPushed(o.buf, d)
		}
	}
	if len(o.buf) > 0 {
		if err := o.write(o.buf); err != nil {
			return err
		}
	}
	session.Wrote(to, o.batch[len(o.batch)-1].Seq)
	return nil
}

func (o *feeding) say(text string) error { return o.write([]byte(text)) }

// write writes, and sends it on its way.
func (o *feeding) write(text []byte) error {
	boundWrite(o.w)
	if _, err := o.w.Write(text); err != nil {
		return fmt.Errorf("write events: %w", err)
	}
	if err := flush(o.w); err != nil {
		return fmt.Errorf("write events: %w", err)
	}
	return nil
}

// appendEvent appends an event. It has no name, so that a browser calls onmessage. Its
// id says where it stands, which is all that a client needs to go on from there.
func appendEvent(dst []byte, at routing.RecordAt, body []byte) []byte {
	dst = append(append(dst, "id: "...), at.String()...)
	dst = append(dst, "\ndata: "...)
	return append(appendOneLine(dst, body), "\n\n"...)
}

// appendPushed appends an event that is pushed. One of all of a topic's is an object with
// its key and its data.
func (o *feeding) appendPushed(dst []byte, d *routing.Delivery) []byte {
	if !o.keys {
		return appendEvent(dst, d.Reply.From, d.Reply.Body)
	}
	key, _ := json.Marshal(d.Push.Feed.Key) // any text is a JSON string
	body := append(append([]byte(`{"key":`), key...), `,"data":`...)
	return appendEvent(dst, d.Reply.From, append(appendOneLine(body, d.Reply.Body), '}'))
}

// appendMissed says how many events were dropped before the next.
func appendMissed(dst []byte, n int) []byte {
	dst = append(dst, "event: missed\ndata: "...)
	return append(strconv.AppendInt(dst, int64(n), 10), "\n\n"...)
}

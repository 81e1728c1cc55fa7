package web

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
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
)

// History reads events again for subscribers that were away. Its methods block, for a
// bounded time.
type History interface {
	// Since answers what has happened to a feed since a client was at a position that has
	// subscribed already. After an error it is not known what has happened; it is
	// routing.ErrNoPosition where the topic has no such position.
	Since(ctx context.Context, feed routing.Feed, from routing.Position) (routing.Backlog, error)
	// Ends answers where the partitions of a topic end.
	Ends(ctx context.Context, topic string) (routing.Position, error)
}

// noHistory reads nothing again.
type noHistory struct{}

func (noHistory) Since(context.Context, routing.Feed, routing.Position) (routing.Backlog, error) {
	return routing.Backlog{}, errNoHistory
}

func (noHistory) Ends(context.Context, string) (routing.Position, error) { return nil, errNoHistory }

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
	out := feeding{w: w, feed: feed}
	if feed.Key == "" && session.MayFollow(feed) == nil {
		out.next = s.start(r.Context(), feed.Topic)
	}
	if e, left := s.subscribe(r.Context(), session, feed); left {
		return
	} else if e != nil {
		s.refuse(w, r, 0, e)
		return
	}
	err := out.begin()
	if last := r.Header.Get("Last-Event-ID"); err == nil && last != "" {
		err = s.catchUp(r.Context(), last, &out)
	}
	if err == nil {
		err = out.sayPosition()
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
func (s *Server) catchUp(ctx context.Context, last string, out *feeding) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(s.draining, cancel)()
	var missed routing.Backlog
	from, err := readPosition(out.feed, last)
	if err == nil {
		missed, err = s.history.Since(ctx, out.feed, from)
	}
	switch {
	case err == nil:
		defer missed.Release()
		return out.writePast(&missed, from)
	case ctx.Err() != nil: // it has left, or is to come back to another node
		return nil
	}
	if !errors.Is(err, routing.ErrNoPosition) {
		out.has = from // or what it has may be pushed to it again, by a partition's next owner
	}
	s.log.Info("a subscriber that comes back has missed events", "topic", out.feed.Topic, "last", clip(last), "err", err)
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
	feed  routing.Feed // of all keys: each event comes with its own
	batch []routing.Delivery
	buf   []byte
	has   routing.Position // the client has what stands before it
	next  routing.Position // where the client is, as the ids of all of a topic say; or nil
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

// writePast writes and flushes what has happened since the client was at a position.
func (o *feeding) writePast(missed *routing.Backlog, from routing.Position) error {
	o.has = missed.Ends
	if o.feed.Key == "" && len(o.has) <= maxPositions {
		o.next = make(routing.Position, len(o.has))
		for partition := range o.has {
			o.next[partition] = from[partition]
		}
	}
	o.buf = o.buf[:0]
	for _, e := range missed.Events {
		o.buf = o.appendEvent(o.buf, e.At, e.Key, e.Body)
	}
	if o.next != nil {
		o.next = maps.Clone(missed.Ends)
	}
	if len(o.buf) == 0 {
		return nil
	}
	return o.write(o.buf)
}

// sayPosition tells the client of all of a topic where it is before anything happens: an
// id without an event.
func (o *feeding) sayPosition() error {
	if o.next == nil {
		return nil
	}
	id := append(append([]byte("id: "), o.feed.Topic...), appendPosition(nil, o.next)...)
	return o.write(append(id, "\n\n"...))
}

// knows tells whether the client has an event that is pushed: it was read again too.
func (o *feeding) knows(at routing.RecordAt) bool {
	return at.Offset < o.has[at.Partition]
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
			o.buf = o.appendEvent(o.buf, d.Reply.From, d.Push.Feed.Key, d.Reply.Body)
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

// appendEvent appends an event. It has no name, so that a browser calls onmessage. Its id
// says where it stands, and of all of a topic where the client is then in each partition:
// all that this needs to go on from there. One of all of a topic's is an object with its
// key and its data.
func (o *feeding) appendEvent(dst []byte, at routing.RecordAt, key string, body []byte) []byte {
	dst = append(append(dst, "id: "...), at.String()...)
	if o.next != nil {
		o.next[at.Partition] = max(o.next[at.Partition], at.Offset+1)
		dst = appendPosition(dst, o.next)
	}
	dst = append(dst, "\ndata: "...)
	if o.feed.Key != "" {
		return append(appendOneLine(dst, body), "\n\n"...)
	}
	name, _ := json.Marshal(key) // any text is a JSON string
	dst = append(append(append(dst, `{"key":`...), name...), `,"data":`...)
	return append(appendOneLine(dst, body), "}\n\n"...)
}

// appendMissed says how many events were dropped before the next.
func appendMissed(dst []byte, n int) []byte {
	dst = append(dst, "event: missed\ndata: "...)
	return append(strconv.AppendInt(dst, int64(n), 10), "\n\n"...)
}

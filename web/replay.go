package web

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"parley/routing"
)

// replay streams the answer to a kept request, whoever made it and wherever, from the
// part behind the one that the caller says it has seen last, to its end. A caller that
// is cut off comes back with that part's id, to any node.
func (s *Server) replay(w http.ResponseWriter, r *http.Request, asked routing.Collection, form form) {
	next, e := nextPart(r.Header.Get("Last-Event-ID"), asked.ID)
	switch {
	case e != nil:
		s.refuse(w, r, 0, e)
		return
	case next < 0:
		w.WriteHeader(http.StatusNoContent) // as HTML has it: do not come back
		return
	}
	ctx, cancel := s.whileValid(r)
	defer cancel()
	defer context.AfterFunc(s.draining, cancel)() // it comes back, to another node
	out := streaming{server: s, w: w, form: form, id: asked.ID, again: next > 0}
	order := order{next: next}
	for {
		c, e := s.await(ctx, asked)
		switch {
		case context.Cause(ctx) == errExpired:
			s.expireReplay(w, r, &out)
			return
		case ctx.Err() != nil:
			return
		case e != nil || c.State == routing.Gone:
			s.endReplay(w, r, &out, c.State, e)
			return
		}
		asked.From += len(c.Replies)
		if ended, err := out.writeBatch(order.take(asked.ID, &c), time.Now()); ended || err != nil {
			return
		}
		if len(c.Replies) == 0 && out.comment() != nil {
			return
		}
	}
}

// await waits for more of a request, or for as long as a stream may be silent.
func (s *Server) await(ctx context.Context, asked routing.Collection) (routing.Collected, *routing.Error) {
	ctx, cancel := context.WithTimeout(ctx, s.keepAlive)
	defer cancel()
	return s.router.Await(ctx, asked)
}

// endReplay ends a stream of which there is no more to be had: with a response of its
// own, as long as none has begun.
func (s *Server) endReplay(w http.ResponseWriter, r *http.Request, out *streaming, standing routing.Standing, e *routing.Error) {
	switch {
	case !out.begun && e != nil:
		s.refuse(w, r, 0, e)
		return
	case !out.begun:
		s.writeResult(w, r, standing, new(parked), routing.Delivery{ID: out.id})
		return
	case e == nil:
		e = &routing.Error{Word: routing.UnknownRequest, Message: "the request is not kept any longer", Outcome: routing.Unknown}
	}
	_, _ = out.writeBatch([]routing.Delivery{{ID: out.id, Err: e}}, time.Now()) // a caller that has left can come back
}

// expireReplay ends a stream whose caller's token has expired: its request goes on, and
// another token gets the rest.
func (s *Server) expireReplay(w http.ResponseWriter, r *http.Request, out *streaming) {
	if !out.begun {
		s.refuseExpired(w, r, out.id)
		return
	}
	_, _ = out.writeBatch([]routing.Delivery{{ID: out.id, Err: hasExpired()}}, time.Now()) // a caller that has left can come back
}

// nextPart reads what part a caller needs next: the first unless it names an event of
// this request, none (-1) where it has seen the end.
func nextPart(last string, id routing.RequestID) (int, *routing.Error) {
	if last == "" {
		return 0, nil
	}
	of, n := splitEventID(last)
	number, err := strconv.ParseUint(n, 10, 30)
	switch {
	case of != id || err != nil && n != endMark:
		return 0, invalidRequest("last-event-id %q is no event of this request", clip(last))
	case n == endMark:
		return -1, nil
	}
	return int(number) + 1, nil
}

// splitEventID takes an event's id apart.
func splitEventID(last string) (id routing.RequestID, n string) {
	at := strings.LastIndexByte(last, '/')
	if at < 0 {
		return "", last
	}
	return routing.RequestID(last[:at]), last[at+1:]
}

// order makes a stream of replies as they were held: those that say their number come
// in its order, each once; the others as they stand.
type order struct {
	next  int // number of the part that comes next
	seen  int // replies
	ahead map[int]*routing.Reply
}

// take answers what can be written now.
func (o *order) take(id routing.RequestID, c *routing.Collected) (ready []routing.Delivery) {
	for _, reply := range c.Replies {
		n := o.seen
		if o.seen++; reply.Place > 0 {
			n = reply.Place - 1
		}
		switch {
		case n > o.next:
			if o.ahead == nil {
				o.ahead = make(map[int]*routing.Reply)
			}
			o.ahead[n] = reply
			continue
		case n < o.next && !reply.Final:
			continue // the caller has it
		}
		for ready = o.add(ready, id, reply, c); o.ahead[o.next] != nil; {
			reply := o.ahead[o.next]
			delete(o.ahead, o.next)
			ready = o.add(ready, id, reply, c)
		}
	}
	if last := len(ready) - 1; c.State == routing.Over && (last < 0 || ready[last].Part) {
		ready = append(ready, o.end(id, c))
	}
	return ready
}

func (o *order) add(ready []routing.Delivery, id routing.RequestID, reply *routing.Reply, c *routing.Collected) []routing.Delivery {
	d := routing.Delivery{ID: id, N: o.next, Part: !reply.Final, Reply: reply}
	if o.next++; reply.Final {
		_, d.Err = c.Outcome()
	}
	return append(ready, d)
}

// end is the outcome of a request whose final reply was not reached: there is none, or
// a part before it is missing.
func (o *order) end(id routing.RequestID, c *routing.Collected) routing.Delivery {
	reply, e := c.Outcome()
	if reply != nil || e == nil {
		e = &routing.Error{Word: routing.Internal, Outcome: routing.Done, Message: fmt.Sprintf("part %d of the service's answer is missing", o.next)}
	}
	return routing.Delivery{ID: id, N: o.next, Err: e}
}

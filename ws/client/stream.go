package client

import (
	"context"
	"iter"
	"strconv"
	"time"
)

// window is for how many parts a stream is ready that its caller has not taken yet.
const window = 32

// Stream makes a request of a service that answers in parts, and yields them as they
// come, in order, each once; the last one, Final, is the service's final reply. An
// error, an *[Error] or ctx.Err(), comes instead of it. Whoever leaves the loop early
// cancels the request.
//
//	for part, err := range c.Stream(ctx, "orders", params, client.CallOptions{}) {
//		if err != nil {
//			return err
//		}
//		…
//	}
//
// The gateway sends no more than the loop is ready for (CallOptions.Window): a slow
// loop loses nothing, and holds up neither the service nor other calls. A Timeout is
// for the service to answer. The sequence can be ranged over once.
func (c *Client) Stream(ctx context.Context, service string, params []byte, o CallOptions) iter.Seq2[Part, error] {
	return func(yield func(Part, error) bool) {
		if err := c.stream(ctx, service, params, o, yield); err != nil {
			yield(Part{}, err)
		}
	}
}

// stream answers the error that is still to be yielded.
func (c *Client) stream(ctx context.Context, service string, params []byte, o CallOptions, yield func(Part, error) bool) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if o.credit = o.Window; o.credit <= 0 {
		o.credit = window
	}
	k := &call{id: c.lastID.Add(1), o: o, woken: make(chan struct{}, 1), ready: uint64(o.credit), given: uint64(o.credit)}
	var e *Error
	if k.frame, e = appendRequest(make([]byte, 0, frameRoom+len(params)), k.id, service, params, &o); e != nil {
		return e
	}
	if e = c.submit(k); e != nil {
		return e
	}
	defer c.abandon(k)
	late := time.NewTimer(time.Hour)
	defer late.Stop()
	for {
		part, more, ended := c.takePart(k)
		c.tellAccepted(k) // the gateway has said so before it sent what was taken
		switch {
		case more:
			if !yield(part, nil) {
				return nil
			}
			c.tookPart(k)
			continue
		case ended && k.err != nil:
			return k.err
		case ended:
			yield(Part{N: int(k.parts), Data: k.reply.Result, Meta: k.reply.Meta, Final: true}, nil)
			return nil
		}
		if late.Stop(); o.Timeout > 0 {
			late.Reset(o.Timeout + grace)
		}
		select {
		case <-k.woken:
		case <-ctx.Done():
			return ctx.Err()
		case <-late.C:
			if o.Timeout > 0 {
				c.giveUp(k, "timeout", "no answer in time")
			}
		}
	}
}

// takePart takes the oldest part that has come; without one it tells whether the
// outcome has.
func (c *Client) takePart(k *call) (part Part, more, ended bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(k.news) == 0 {
		return Part{}, false, k.settled
	}
	part = k.news[0]
	k.news[0] = Part{}
	k.news = k.news[1:]
	return part, true, false
}

// tookPart notes that the caller is ready for one more part.
func (c *Client) tookPart(k *call) {
	c.mu.Lock()
	defer c.mu.Unlock()
	k.ready++
	if k.ready-k.given > uint64(k.o.credit)/2 {
		c.creditLocked(k)
	}
}

// creditLocked tells the gateway for how many more parts a call is ready. Where there
// is no socket, the next hello says so.
func (c *Client) creditLocked(k *call) {
	if l := c.link; l != nil && l.ready && l.leave == staying && k.sent && !k.settled && k.ready > k.given {
		l.controlLocked(item{text: appendCredit(nil, k.id, k.ready-k.given)})
		k.given = k.ready
		l.kick()
	}
}

// creditAll tells what could not be told while there was no socket.
func (c *Client) creditAll() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, k := range c.open {
		if k.o.credit > 0 {
			c.creditLocked(k)
		}
	}
}

// tellAccepted tells a stream's caller that its request is safe, once.
func (c *Client) tellAccepted(k *call) {
	c.mu.Lock()
	tell := k.request != "" && !k.told && k.o.OnAccepted != nil
	k.told = k.told || tell
	request := k.request
	c.mu.Unlock()
	if tell {
		k.o.OnAccepted(request)
	}
}

// streamAt is what the client says of a stream when it comes back.
type streamAt struct {
	id, next uint64
	credit   int64 // negative where it takes parts as they come
}

// streamsLocked says it of those among its requests that are answered in parts.
func (c *Client) streamsLocked(open []uint64) (all []streamAt) {
	for _, id := range open {
		switch k := c.open[id]; {
		case k.o.credit > 0:
			all = append(all, streamAt{id, k.parts, int64(k.ready - min(k.parts, k.ready))})
			k.given = k.ready
		case k.parts > 0:
			all = append(all, streamAt{id, k.parts, -1})
		}
	}
	return all
}

func appendCredit(dst []byte, id, n uint64) []byte {
	dst = strconv.AppendUint(append(dst, head+`"method":"$/credit","params":{"id":`...), id, 10)
	dst = strconv.AppendUint(append(dst, `,"n":`...), n, 10)
	return append(dst, "}}"...)
}

func appendStreams(dst []byte, all []streamAt) []byte {
	for i, at := range all {
		sep := `,{"id":`
		if i == 0 {
			sep = `,"streams":[{"id":`
		}
		dst = strconv.AppendUint(append(dst, sep...), at.id, 10)
		dst = strconv.AppendUint(append(dst, `,"next":`...), at.next, 10)
		if at.credit >= 0 {
			dst = strconv.AppendInt(append(dst, `,"credit":`...), at.credit, 10)
		}
		dst = append(dst, '}')
	}
	if len(all) > 0 {
		dst = append(dst, ']')
	}
	return dst
}

package main

import (
	"fmt"
	"time"
)

// kind is what happened.
type kind string

// What a history tells of, in the order in which it usually happens.
const (
	sent     kind = "sent"     // a client has handed a request to its socket, or will when it has one
	accepted kind = "accepted" // a client was told that a request is in Kafka
	consumed kind = "consumed" // a service has read a request
	replied  kind = "replied"  // Kafka has acknowledged a service's reply
	arrived  kind = "arrived"  // a frame with a part of an answer has arrived at a client, new or not
	part     kind = "part"     // the client's caller has been given a part
	pushed   kind = "pushed"   // a frame with an outcome has arrived at a client, new or not
	acked    kind = "acked"    // a client has acknowledged all up to N
	outcome  kind = "outcome"  // the client's caller has been given the outcome
	opened   kind = "opened"   // a client has a new session
	resumed  kind = "resumed"  // a client has its session back
	lost     kind = "lost"     // a client has lost its socket

	// Of a request that is kept, to be collected later (loadkept.go):
	posted    kind = "posted"    // a caller asks a node for it
	refused   kind = "refused"   // the node did not take it, as far as the caller knows
	kept      kind = "kept"      // the node did: it said where the outcome will be
	collected kind = "collected" // somebody was told the outcome at some node, or that it is gone

	// Of subscriptions (loadfeeds.go):
	writing      kind = "writing"      // an event is about to be written
	written      kind = "written"      // Kafka has it
	subscribed   kind = "subscribed"   // a subscription is confirmed
	surfaced     kind = "surfaced"     // its subscriber was given an event
	unsubscribed kind = "unsubscribed" // it has ended, and its subscriber knows

	forgot kind = "forgot" // Redis may have lost what it was told in the Timeout before
	away   kind = "away"   // for the Timeout before, no broker was there
)

// event is one line of a history. What does not apply is empty.
type event struct {
	At      time.Duration `json:"at"` // since the history began
	Kind    kind          `json:"kind"`
	Client  int           `json:"client"`
	N       int           `json:"n,omitempty"`       // the client's number of the request, from 1; seq where acked
	Request string        `json:"request,omitempty"` // Parley's id of it
	Session string        `json:"session,omitempty"`
	Node    string        `json:"node,omitempty"`

	// Of a sent request: how long its outcome may take, and whether its service
	// answers at once.
	Timeout time.Duration `json:"timeout,omitempty"`
	Prompt  bool          `json:"prompt,omitempty"`
	// Of a consumed request: until when its client waits, as its service was told.
	Deadline time.Duration `json:"deadline,omitempty"`
	// Of an outcome that is an error: its word, and what it says became of the
	// request. Of a lost socket: why.
	Word      string `json:"word,omitempty"`
	Certainty string `json:"certainty,omitempty"`
	// Of a reply, as its client got it: whose it says it is. And a hash of it, which
	// consumed has too: of the reply that the service is going to write.
	Owner call   `json:"owner,omitzero"`
	Hash  uint32 `json:"hash,omitempty"`
	// Of a part: its number, from 0. Of a consumed request: the hashes of the parts
	// that its service is going to write before the reply.
	Part  int      `json:"part,omitempty"`
	Parts []uint32 `json:"parts,omitempty"`
	// Of a frame: over which of its client's sockets it came, from 1. So of what is about a
	// subscription over HTTP, whose sockets are connections.
	Socket int `json:"socket,omitempty"`

	// Of an event that is not a reply, and a subscription: what it is about, its number
	// among those, from 1, and its place in Kafka. Of a surfaced one: how many before it its
	// subscriber was told to have missed. A sent request has a key where an event answers it.
	Key    string `json:"key,omitempty"`
	Number int    `json:"number,omitempty"`
	Record string `json:"record,omitempty"`
	Missed int    `json:"missed,omitempty"`
}

// call names a request from a client's point of view. The zero value is nobody's.
type call struct {
	Client int `json:"client"`
	N      int `json:"n"`
}

func (e *event) call() call { return call{e.Client, e.N} }

func (c call) String() string {
	if c.N == 0 {
		return fmt.Sprintf("client %d", c.Client)
	}
	return fmt.Sprintf("request %d of client %d", c.N, c.Client)
}

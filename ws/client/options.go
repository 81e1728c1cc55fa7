package client

import (
	"context"
	"log/slog"
	"net/http"
	"time"
)

// Options are what a client needs to know. Only URLs is required.
type Options struct {
	// URLs are the nodes' /ws, or that of a load balancer: ws, wss, http or https.
	// Dial tries them in turn.
	URLs []string

	// Token makes the JWT that goes with each new socket. It is asked anew for every
	// one, by the goroutine that connects, for which Close waits; an error counts as a
	// lost socket. Where the gateway refuses a token (4401: it has expired) it is asked
	// once more; where it refuses that too the client ends, and what is open fails with
	// unauthorized. Default: none is sent.
	Token func(context.Context) (string, error)

	Header     http.Header  // of the handshake
	HTTPClient *http.Client // makes the handshake: http.DefaultClient. Its Timeout bounds it, besides Welcome

	// Accepted asks the gateway to say when a request is safe in Kafka, which
	// CallOptions.OnAccepted and Reply.Request need: one more message a call.
	Accepted bool

	Waiting int // calls that may wait while there is no socket, or none that is sure to live: 256

	AckAfter time.Duration // the longest that a message waits for its acknowledgement: 250 ms
	AckEvery int           // messages that are acknowledged at once: 32

	BackoffFirst   time.Duration // the ceiling of the first random wait, tries at once aside: 500 ms
	BackoffLongest time.Duration // of all of them: 20 s
	BackoffCrowded time.Duration // more, where the gateway has too much to do: 10 s
	Steady         time.Duration // after so long the next loss is a first one again: 30 s

	Welcome time.Duration // from the handshake's beginning to the gateway's welcome: 10 s
	Quiet   time.Duration // without a byte from the gateway, before asking whether it is there: 30 s
	Pong    time.Duration // to answer that: 10 s
	// Doubt is for how long a call may be written without a byte from the gateway since
	// then, before it is asked likewise. Further calls wait until it says something: 500 ms.
	Doubt time.Duration

	Log *slog.Logger // lost sockets and what else a person may want to know: none

	// Events is told all that happens, in order, by the client's goroutines: it must
	// be fast and must not call the client.
	Events func(Event)
}

func (o Options) withDefaults() Options {
	for _, d := range []struct {
		at   *time.Duration
		than time.Duration
	}{
		{&o.AckAfter, 250 * time.Millisecond},
		{&o.BackoffFirst, 500 * time.Millisecond}, {&o.BackoffLongest, 20 * time.Second}, {&o.BackoffCrowded, 10 * time.Second},
		{&o.Steady, 30 * time.Second}, {&o.Welcome, 10 * time.Second}, {&o.Quiet, 30 * time.Second}, {&o.Pong, 10 * time.Second},
		{&o.Doubt, 500 * time.Millisecond},
	} {
		if *d.at <= 0 {
			*d.at = d.than
		}
	}
	if o.Waiting <= 0 {
		o.Waiting = 256
	}
	if o.AckEvery <= 0 {
		o.AckEvery = 32
	}
	if o.HTTPClient == nil {
		o.HTTPClient = http.DefaultClient
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

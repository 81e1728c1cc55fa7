package main

import (
	"encoding/json"
	"strconv"
	"sync"

	"parley/ws/client"
)

// witness writes what passes over one client's sockets into the history. It reads
// the frames themselves, and so does not depend on what the client makes of them.
type witness struct {
	history *history
	client  int

	mu      sync.Mutex
	calls   map[string]int // n by JSON-RPC id
	sockets int            // that have said welcome
}

func newWitness(h *history, client int) *witness {
	return &witness{history: h, client: client, calls: make(map[string]int)}
}

// frame is what a witness understands of a JSON-RPC message.
type frame struct {
	ID     json.RawMessage `json:"id"`
	Method string          `json:"method"`
	Params struct {
		ID      json.RawMessage `json:"id"`      // $/accepted, $/reply
		Request string          `json:"request"` // $/accepted
		Seq     int             `json:"seq"`     // $/ack
		N       int             `json:"n"`       // a request of ours; the part's number in $/reply
		Data    json.RawMessage `json:"data"`    // $/reply
	} `json:"params"`
	Result json.RawMessage `json:"result"`
	Error  *struct {
		Data struct {
			Code    string `json:"code"`
			Outcome string `json:"outcome"`
		} `json:"data"`
	} `json:"error"`
}

// see is the Events hook of a client.
func (w *witness) see(e client.Event) {
	switch e.Kind {
	case client.EventWelcome:
		w.mu.Lock()
		w.sockets++
		w.mu.Unlock()
		what := opened
		if e.Resumed {
			what = resumed
		}
		w.history.add(event{Kind: what, Client: w.client, Session: e.Session, Node: e.Node})
	case client.EventClose:
		w.history.add(event{Kind: lost, Client: w.client, Word: strconv.Itoa(e.Code) + " " + e.Reason})
	case client.EventSent:
		w.seeSent(e.Frame)
	case client.EventReceived:
		w.seeReceived(e.Frame)
	}
}

func (w *witness) seeSent(text []byte) {
	var f frame
	if json.Unmarshal(text, &f) != nil {
		return
	}
	switch {
	case f.Method == "$/ack":
		w.history.add(event{Kind: acked, Client: w.client, N: f.Params.Seq})
	case f.Params.N > 0:
		w.mu.Lock()
		w.calls[string(f.ID)] = f.Params.N
		w.mu.Unlock()
	}
}

func (w *witness) seeReceived(text []byte) {
	var f frame
	if json.Unmarshal(text, &f) != nil {
		return
	}
	switch {
	case f.Method == "$/accepted":
		w.history.add(event{Kind: accepted, Client: w.client, N: w.call(f.Params.ID), Request: f.Params.Request})
	case f.Method == "$/reply":
		e := event{Kind: arrived, Client: w.client, N: w.call(f.Params.ID), Part: f.Params.N, Socket: w.socket()}
		e.tell(f.Params.Data)
		w.history.add(e)
	case f.Method == "" && f.ID != nil:
		e := event{Kind: pushed, Client: w.client, N: w.call(f.ID), Socket: w.socket()}
		if f.Error != nil {
			e.Word, e.Certainty = f.Error.Data.Code, f.Error.Data.Outcome
		} else {
			e.tell(f.Result)
		}
		w.history.add(e)
	}
}

func (w *witness) call(id json.RawMessage) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.calls[string(id)]
}

func (w *witness) socket() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.sockets
}

// tell writes down a reply as a client has got it.
func (e *event) tell(result []byte) {
	var a answer
	json.Unmarshal(result, &a) // what is no answer of ours is nobody's
	e.Owner, e.Request, e.Hash = a.Owner, a.Request, hashOf(result)
}

package main

import (
	"bufio"
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// readerSilence is how long a reader takes a silent connection for a live one. A
// gateway that has nothing to tell says so every 15 s.
const readerSilence = 17 * time.Second

// listen follows a feed over HTTP, at one node after another, and tells the history what
// comes.
func (f *feeds) listen(number, i int, urls []string) {
	h := f.load.history
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	r := &reader{feeds: f, transport: transport, i: i}
	for connection := 1; ; connection++ {
		base, node := nodeURL(urls, number+connection)
		e := event{Client: number, Key: f.key(i), Socket: connection, Node: node}
		err := r.hear(base, e)
		if f.load.give.Err() != nil {
			return
		}
		e.Kind, e.Word = unsubscribed, wordOf(err)
		h.add(e)
		if err == nil {
			return
		}
		select {
		case <-time.After(200 * time.Millisecond):
		case <-f.load.give.Done():
			return
		}
	}
}

// reader is who follows a feed over HTTP, as a browser's EventSource does.
type reader struct {
	*feeds
	transport *http.Transport
	i         int
	last      string // the id of its last event, with which it comes back
	missed    int    // that it was told to have missed since
}

// hear reads one connection: nil when the last event has come.
func (r *reader) hear(base string, e event) error {
	ctx, cancel := context.WithCancel(r.load.give)
	defer cancel()
	silence := time.AfterFunc(readerSilence, cancel)
	defer silence.Stop()
	request, _ := http.NewRequestWithContext(ctx, http.MethodGet, base+"/events/"+eventTopic+"?key="+e.Key, nil)
	if r.last != "" {
		request.Header.Set("Last-Event-ID", r.last)
	}
	response, err := r.transport.RoundTrip(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return errors.New(response.Status)
	}
	e.Kind, e.Record = subscribed, r.last
	r.load.history.add(e)
	missing := false
	for lines := bufio.NewScanner(response.Body); lines.Scan(); {
		silence.Reset(readerSilence)
		switch name, value, _ := strings.Cut(lines.Text(), ": "); {
		case name == "event":
			missing = true
		case name == "id":
			r.last = value
		case name == "data" && missing:
			r.missed, _ = strconv.Atoi(value)
			missing = false
		case name == "data" && r.given(e, value):
			return nil
		}
	}
	return errors.New("the connection has ended")
}

// given tells the history of an event that has come, and whether it is the last.
func (r *reader) given(e event, data string) bool {
	e.Kind, e.Record, e.Missed = surfaced, r.last, r.missed
	e.note([]byte(data))
	r.load.history.add(e)
	r.missed = 0
	return r.over(r.i, e.Number)
}

package web

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"parley/routing"
)

// inParts makes services answer with these bodies, the last one final.
func inParts(bodies ...string) func(*routing.Request) []*routing.Reply {
	return func(*routing.Request) (replies []*routing.Reply) {
		for i, body := range bodies {
			replies = append(replies, &routing.Reply{
				Body: []byte(body), Final: i == len(bodies)-1, Place: i + 1, Status: 206, Headers: []routing.Header{{Key: "x-n", Value: fmt.Append(nil, i)}},
			})
		}
		return replies
	}
}

// The same answer in each form: an array, lines, events. Status and headers are those
// of the first part.
func TestForms(t *testing.T) {
	g := newGateway(t, nil)
	g.topic.answer = inParts("{\"a\":\n1}", "raw\xff", "", "true")
	for accept, want := range map[string]string{
		"*/*":                  `[{"a":` + "\n" + `1},{"$bytes":"cmF3/w=="},null,true]`,
		"application/x-ndjson": `{"a": 1}` + "\n" + `{"$bytes":"cmF3/w=="}` + "\nnull\ntrue\n",
		"text/event-stream": "event: part\nid: ID/0\ndata: {\"a\": 1}\n\nevent: part\nid: ID/1\ndata: {\"$bytes\":\"cmF3/w==\"}\n\n" +
			"event: part\nid: ID/2\ndata: null\n\nevent: result\nid: ID/end\ndata: true\n\n",
	} {
		w := g.do("POST", "/services/echo", nil, "Accept: "+accept)
		id := w.Header().Get("Parley-Request-Id")
		if got := strings.ReplaceAll(w.Body.String(), id, "ID"); got != want || w.Code != 206 || id == "" {
			t.Errorf("%s: %d %q\nwant %q", accept, w.Code, got, want)
		}
		first := "0"
		if accept == "*/*" {
			first = "3" // an array has those of the reply that ends it
		}
		if got := w.Header().Get("X-N"); got != first {
			t.Errorf("%s: x-n %q", accept, got)
		}
		if got := w.Header().Get("Content-Type"); accept != "*/*" && got != accept {
			t.Errorf("content type %q", got)
		}
	}
	g.noneOpen(t)
}

// An answer in one piece is a stream of one; an error before any part is a response
// of its own, one behind them stands in the stream, unmistakable.
func TestStreamEnds(t *testing.T) {
	g := newGateway(t, nil)
	if w := g.do("POST", "/services/echo", strings.NewReader("1"), "Accept: application/x-ndjson"); w.Body.String() != "1\n" {
		t.Errorf("one piece: %q", w.Body)
	}
	if w := g.do("POST", "/services/echo", nil, "Accept: application/x-ndjson"); w.Body.String() != "" || w.Code != 200 {
		t.Errorf("an empty one: %d %q", w.Code, w.Body)
	}
	g.topic.answer = always(routing.Reply{Status: 409, Err: &routing.ServiceError{Code: "sold_out", Message: "none left"}})
	if p := problemOf(t, g.do("POST", "/services/echo", nil, "Accept: text/event-stream")); p.Status != 409 || p.Service.Code != "sold_out" {
		t.Errorf("an error at once: %+v", p)
	}
	g.topic.answer = func(*routing.Request) []*routing.Reply {
		return []*routing.Reply{{Body: []byte("1")}, {Final: true, Err: &routing.ServiceError{Message: "broken"}}}
	}
	w := g.do("POST", "/services/echo", nil, "Accept: application/x-ndjson")
	line, last, _ := strings.Cut(w.Body.String(), "\n")
	var end struct {
		Error problem `json:"$error"`
	}
	if err := json.Unmarshal([]byte(last), &end); err != nil || line != "1" || end.Error.Code != routing.FromService || end.Error.Outcome != routing.Done {
		t.Errorf("an error behind a part: %v, %q", err, w.Body)
	}
	w = g.do("POST", "/services/echo", nil, "Accept: text/event-stream")
	if got := w.Body.String(); !strings.Contains(got, "\n\nevent: error\nid: ") || !strings.Contains(got, `/end`+"\n"+`data: {"type":"urn:parley:problem:service_error"`) {
		t.Errorf("as an event: %q", got)
	}
	g.noneOpen(t)
}

// An array has its limits; nothing of a longer stream is left behind.
func TestArrayIsBounded(t *testing.T) {
	g := newGateway(t, func(o *Options) { o.ArrayParts, o.ArrayBytes = 3, 100 })
	for name, answer := range map[string]func(*routing.Request) []*routing.Reply{
		"count": inParts("1", "2", "3", "4", "5"),
		"bytes": inParts(strings.Repeat("1", 60), strings.Repeat("1", 60), "1"),
	} {
		g.topic.answer = answer
		p := problemOf(t, g.do("POST", "/services/echo", nil))
		if p.Code != routing.TooLarge || p.Outcome != routing.Done || !strings.Contains(p.Detail, typeLines) {
			t.Errorf("%s: %+v", name, p)
		}
	}
	g.noneOpen(t)
}

// Each part leaves as it comes, and a silent stream of events says something now and
// then, be it before its first part.
func TestStreamLeavesAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t, nil)
		g.topic.answer = nil
		r, _ := http.NewRequest("GET", "/services/echo?x=1", nil)
		r.Header.Set("Accept", "text/event-stream")
		from, done := g.slowly(r)
		lines := bufio.NewReader(from)
		read := func(n int) string {
			var all bytes.Buffer
			for range n {
				line, err := lines.ReadString('\n')
				if err != nil {
					t.Fatal(err)
				}
				all.WriteString(line)
			}
			return all.String()
		}
		began := time.Now()
		if got := read(2); got != ":\n\n" || time.Since(began) != 15*time.Second {
			t.Errorf("silence: %q after %v", got, time.Since(began))
		}
		q := g.topic.last()
		for n := range 2 {
			go g.topic.reply(q, &routing.Reply{Place: n + 1, Body: fmt.Append(nil, n)})
			if got, want := read(4), fmt.Sprintf("event: part\nid: %s/%d\ndata: %d\n\n", q.ID, n, n); got != want {
				t.Errorf("part: %q, want %q", got, want)
			}
		}
		go g.topic.reply(q, &routing.Reply{Place: 3, Final: true, Body: []byte("9")})
		if got := read(4); !strings.HasPrefix(got, "event: result\n") {
			t.Errorf("result: %q", got)
		}
		<-done
	})
}

// slowly makes a request whose response leaves the gateway only as it is read; done is
// closed when all of it has.
func (g *gateway) slowly(r *http.Request) (from *io.PipeReader, done <-chan bool) {
	from, to := io.Pipe()
	ended := make(chan bool)
	go func() {
		defer close(ended)
		g.Handler().ServeHTTP(&piped{header: http.Header{}, to: to}, r)
		to.Close()
	}()
	return from, ended
}

// piped is a response whose writes go to a pipe.
type piped struct {
	header http.Header
	to     io.Writer
}

func (p *piped) Header() http.Header         { return p.header }
func (p *piped) WriteHeader(int)             {}
func (p *piped) Write(b []byte) (int, error) { return p.to.Write(b) }
func (p *piped) Flush()                      {}

// A client that reads slowly gets everything, and the gateway keeps no more of it than
// it may; of a stream that never ends one that does not read at all has its request
// ended, by name.
func TestSlowReaderOfStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t, nil)
		g.topic.answer = nil
		r, _ := http.NewRequest("GET", "/services/echo", nil)
		r.Header.Set("Accept", "application/x-ndjson")
		from, _ := g.slowly(r)
		synctest.Wait()
		q := g.topic.last()
		for n := range 500 {
			g.router.Deliver(t.Context(), []*routing.Reply{{ID: q.ID, Place: n + 1, Body: fmt.Append(nil, n), Final: n == 499}})
		}
		time.Sleep(time.Minute) // longer than the request may take: its answer is there
		lines := bufio.NewScanner(from)
		for n := range 500 {
			if !lines.Scan() || lines.Text() != fmt.Sprint(n) {
				t.Fatalf("line %d is %q", n, lines.Text())
			}
		}
		if lines.Scan() {
			t.Errorf("one more: %q", lines.Text())
		}
	})
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t, nil)
		g.topic.answer = nil
		r, _ := http.NewRequest("GET", "/services/echo", nil)
		r.Header.Set("Accept", "application/x-ndjson")
		from, _ := g.slowly(r)
		synctest.Wait()
		q := g.topic.last()
		for n := range 500 {
			g.router.Deliver(t.Context(), []*routing.Reply{{ID: q.ID, Place: n + 1, Body: bytes.Repeat([]byte("1"), 100_000)}})
		}
		if open := g.router.OpenRequests(); open != 0 {
			t.Errorf("%d open", open)
		}
		all, _ := io.ReadAll(from)
		if n := bytes.Count(all, []byte("\n")); n > 200 || !bytes.Contains(all, []byte(`{"$error":{"type":"urn:parley:problem:overloaded"`)) {
			t.Errorf("%d lines, the last %q", n, all[max(0, len(all)-300):])
		}
	})
}

// A client that leaves in the middle frees all that its stream holds.
func TestStreamIsLeft(t *testing.T) {
	g := newGateway(t, nil)
	g.topic.answer = func(*routing.Request) []*routing.Reply { return []*routing.Reply{{Body: []byte("1")}} }
	url, client := g.listen(t)
	for _, accept := range []string{typeEvents, typeLines} {
		r, _ := http.NewRequest("POST", url+"/services/echo", nil)
		r.Header.Set("Accept", accept)
		answer, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		if line, err := bufio.NewReader(answer.Body).ReadString('\n'); err != nil || line == "" {
			t.Fatalf("%q, %v", line, err)
		}
		answer.Body.Close()
		g.noneOpen(t)
	}
	g.eventually(t, "it is logged", func() bool { return strings.Count(g.log.String(), "stream abandoned") == 2 })
}

// A browser that comes back for a stream by itself does not make the request again.
func TestBrowserComesBack(t *testing.T) {
	g := newGateway(t, nil)
	if w := g.do("GET", "/services/echo", nil, "Accept: text/event-stream", "Last-Event-ID: x.1/end"); w.Code != 204 {
		t.Errorf("after the end: %d", w.Code)
	}
	unknown := strings.Repeat("x", 22) + ".1"
	if p := problemOf(t, g.do("GET", "/services/echo", nil, "Accept: text/event-stream", "Last-Event-ID: "+unknown+"/3")); p.Status != 410 || p.Code != routing.UnknownRequest {
		t.Errorf("in the middle: %+v", p)
	}
	if g.topic.last() != nil {
		t.Error("a request was made")
	}
}

// The form is the one that the client likes best; what it does not ask for in so many
// words it does not get.
func TestStreamForm(t *testing.T) {
	for accept, want := range map[string]form{
		"": nil, "*/*": nil, "text/html,*/*;q=0.8": nil, "application/json": nil, "text/*": nil,
		"text/event-stream": events{}, "Text/Event-Stream; charset=utf-8": events{}, "application/x-ndjson": lines{},
		"application/json, text/event-stream": nil, "text/event-stream, application/json": events{},
		"application/x-ndjson;q=0.5, text/event-stream;q=0.9": events{}, "text/event-stream;q=0": nil, "text/event-stream;q=x": nil,
	} {
		if got := streamForm([]string{accept}); got != want {
			t.Errorf("%q: %T, want %T", accept, got, want)
		}
	}
}

// Whatever Accept says, it is read; a q out of range counts for nothing.
func FuzzStreamForm(f *testing.F) {
	f.Add("text/event-stream;q=0.5, application/x-ndjson")
	f.Add(";;q=,=;,")
	f.Fuzz(func(t *testing.T, accept string) {
		if form := streamForm([]string{accept}); form != nil && !strings.Contains(strings.ToLower(accept), form.contentType()) {
			t.Fatalf("%q asks for %s", accept, form.contentType())
		}
	})
}

// Whatever a part has in it, an event stays one event, and a line one line.
func FuzzForms(f *testing.F) {
	f.Add([]byte("{\"a\":\r\n1}"))
	f.Add([]byte("data: x\n\n"))
	f.Fuzz(func(t *testing.T, body []byte) {
		d := &routing.Delivery{ID: "s.1", N: 3, Part: true, Reply: &routing.Reply{Body: body}}
		event := string(events{}.part(nil, d))
		head := "event: part\nid: s.1/3\ndata: "
		data, ok := strings.CutPrefix(event, head)
		if !ok || strings.Count(event, "\n") != 4 || strings.ContainsAny(event, "\r") || !json.Valid([]byte(strings.TrimSpace(data))) {
			t.Fatalf("%q becomes %q", body, event)
		}
		if line := string(lines{}.part(nil, d)); line != strings.TrimSuffix(data, "\n") {
			t.Fatalf("%q becomes %q", body, line)
		}
	})
}

package kafka

import (
	"sync"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"parley/routing"
)

func untilOf(t *testing.T, text string) (*Until, *tally) {
	t.Helper()
	c, err := CompileCondition(text)
	if err != nil {
		t.Fatal(err)
	}
	seen := &tally{}
	return NewUntil(c, "states", "done", seen, testLog(t)), seen
}

// A condition is asked of value, key and headers of an event, and what it cannot be asked
// of is counted, once an event, and is as good as false.
func TestUntil(t *testing.T) {
	u, seen := untilOf(t, `event.state == "DONE" && key == "a" && headers["kind"] == "x" && headers["content-type"] == "text/plain"`)
	e := func(body string) *routing.Event {
		return &routing.Event{Key: "a", Body: []byte(body), ContentType: "text/plain", Headers: []routing.Header{{Key: "kind", Value: []byte("x")}}}
	}
	done := e(`{"state":"DONE"}`)
	for range 2 {
		if !u.Holds(done) || u.Holds(e(`{"state":"NEW"}`)) {
			t.Error("it is not what it is")
		}
	}
	poison := []*routing.Event{e("{"), e(""), e(`[]`), e(`{"state":{"deep":1}}`), e(`{}`)}
	for _, e := range poison {
		for range 2 {
			if u.Holds(e) {
				t.Errorf("%q is done", e.Body)
			}
		}
	}
	if bad, strange := seen.get("not_json"), seen.get("condition_failed"); bad != 2 || strange != 2 {
		t.Errorf("%d are no JSON, %d strange", bad, strange)
	}
}

// Ten thousand wait for one key. All see the event that they wait for, and the condition
// is asked once an event and not by each of them.
func TestTenThousandWaitForOneKey(t *testing.T) {
	u, seen := untilOf(t, `event.state == "DONE"`)
	n := newNewest(ViewOptions{Keys: 10, Bytes: 1 << 20, Watchers: 10_000})
	n.loaded()
	var ready, all sync.WaitGroup
	for range 10_000 {
		ready.Add(1)
		all.Go(func() {
			for first := true; ; first = false {
				changed := make(chan struct{})
				_, err := n.watch("k", func() { close(changed) })
				if err != nil {
					t.Error(err)
					return
				}
				if first {
					ready.Done()
				}
				if e, _ := n.latest("k"); e != nil && u.Holds(e) {
					return
				}
				<-changed
			}
		})
	}
	ready.Wait()
	if _, err := n.watch("k", func() {}); err == nil || err.Word != routing.Overloaded {
		t.Errorf("one more: %v", err)
	}
	for i, body := range []string{"poison", `{"state":"DONE"}`} {
		n.put(&kgo.Record{Key: []byte("k"), Value: []byte(body), Offset: int64(i)})
	}
	all.Wait()
	if asked := seen.get("not_json"); asked > 1 {
		t.Errorf("asked %d times of one event", asked)
	}
}

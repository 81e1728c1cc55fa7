package ws

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"parley/routing"
)

// states is a view of one key, whose events a test writes.
type states struct {
	mu      sync.Mutex
	event   *routing.Event
	waiting []func()
}

func (v *states) Latest(string) (*routing.Event, *routing.Error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.event, nil
}

func (v *states) Watch(_ string, changed func()) (func(), *routing.Error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.waiting = append(v.waiting, changed)
	return func() {}, nil
}

func (v *states) put(body string, offset int64) {
	v.mu.Lock()
	v.event = &routing.Event{Key: "k", Body: []byte(body), At: routing.RecordAt{Partition: 2, Offset: offset}}
	waiting := v.waiting
	v.waiting = nil
	v.mu.Unlock()
	for _, changed := range waiting {
		changed()
	}
}

// Clients of both doors wait for a view's next event, or for one of which a condition is
// true, by meta: what they get has the tag to wait for the one after it.
func TestViewWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := new(states)
		done := map[string]routing.Condition{"done": {Holds: func(e *routing.Event) bool { return string(e.Body) == `"done"` }}}
		r := newRig(t, Options{}, &routing.Service{Name: "states", View: v, Timeout: 30 * time.Second, MaxTimeout: time.Minute, Partitioner: routing.Murmur2, Until: done})
		ask := func(c *client, id int, meta string) {
			c.say(fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"states","meta":{"key":"k",%s}}`, id, meta))
			synctest.Wait()
		}
		plain, v1 := r.dial(""), r.greeted()
		for i, c := range []*client{plain, v1} {
			ask(c, 1, `"wait":5000`)
			time.Sleep(time.Second)
			v.put(`"new"`, int64(3*i+1))
			tag := fmt.Sprintf(`\"2-%d\"`, 3*i+1)
			seq := []string{"", `,"seq":1`}[i]
			same(t, "first", c.hear(), `{"jsonrpc":"2.0","id":1,"result":"new"`+seq+`,"meta":{"headers":{"etag":"`+tag+`"}}}`)
			ask(c, 2, `"wait":2000,"etag":"`+tag+`"`)
			began := time.Now()
			seq = strings.ReplaceAll(seq, "1", "2")
			same(t, "same", c.hear(), `{"jsonrpc":"2.0","id":2,"result":null`+seq+`,"meta":{"unchanged":true,"headers":{"etag":"`+tag+`"}}}`)
			same(t, "after", time.Since(began), 2*time.Second)
			ask(c, 3, `"until":"done"`)
			v.put(`"half"`, int64(3*i+2))
			time.Sleep(20 * time.Second)
			v.put(`"done"`, int64(3*i+3))
			if got := c.hear(); !strings.Contains(got, `"result":"done"`) {
				t.Errorf("until: %s", got)
			}
			ask(c, 4, `"until":"done","wait":1`)
			if got := c.hear(); !strings.Contains(got, `"result":"done"`) {
				t.Errorf("is done: %s", got)
			}
			v.put(`"new"`, int64(3*i+4))
			ask(c, 5, `"until":"done","wait":1`)
			if got := c.hear(); !strings.Contains(got, `"timeout","outcome":"not_sent","retry":true`) {
				t.Errorf("not in time: %s", got)
			}
			v.mu.Lock()
			v.event = nil
			v.mu.Unlock()
		}
		for meta, why := range map[string]string{
			`"wait":0`: "meta.wait must be", `"wait":60001`: "meta.wait must be", `"wait":"5"`: "meta.wait must be", `"wait":1,"wait":1`: "occurs twice",
			`"until":7`: "meta.until must be", `"until":"paid"`: `has no condition \"paid\"`, `"etag":7`: "meta.etag must be",
		} {
			ask(plain, 6, meta)
			if got := plain.hear(); !strings.Contains(got, "invalid_params") || !strings.Contains(got, why) {
				t.Errorf("%s: %s", meta, got)
			}
		}
		plain = r.dial("")
		for _, meta := range []string{`"wait":5`, `"until":"x"`, `"etag":"x"`} {
			if got := plain.ask(`{"jsonrpc":"2.0","id":1,"method":"echo","params":1,"meta":{` + meta + `}}`); !strings.Contains(got, "invalid_params") {
				t.Errorf("%s of a service that is no view: %s", meta, got)
			}
		}
	})
}

// A node that drains has a plain client wait for no view: it is told at once that it may
// ask elsewhere, and let go. One that can resume waits on where it resumes.
func TestDrainEndsViewWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := new(states)
		r := newRig(t, Options{}, &routing.Service{Name: "states", View: v, Timeout: 30 * time.Second, MaxTimeout: time.Minute, Partitioner: routing.Murmur2})
		plain, v1 := r.dial(""), r.greeted()
		for _, c := range []*client{plain, v1} {
			c.say(`{"jsonrpc":"2.0","id":1,"method":"states","meta":{"key":"k","wait":60000}}`)
		}
		plain.say(`[{"jsonrpc":"2.0","id":2,"method":"states","meta":{"key":"k","wait":60000}}]`)
		synctest.Wait()
		began := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		drained := make(chan error, 1)
		go func() { drained <- r.server.Shutdown(ctx) }()
		said := map[bool]string{}
		for range 2 {
			got := plain.hear()
			said[strings.HasPrefix(got, "[")] = strings.Trim(got, "[]")
		}
		for batch, id := range map[bool]string{false: "1", true: "2"} {
			same(t, "told", said[batch], `{"jsonrpc":"2.0","id":`+id+`,"error":{"code":-32003,"message":"this node is going away","data":{"code":"unavailable","outcome":"not_sent","retry":true}}}`)
		}
		code, _ := plain.closed()
		same(t, "close code", code, 1012)
		same(t, "after", time.Since(began), drainLook)
		same(t, "told to go", strings.Contains(v1.hear(), "goaway"), true)
		v.put(`"new"`, 1)
		same(t, "before it goes", strings.Contains(v1.hear(), `"result":"new"`), true)
		code, _ = v1.closed()
		same(t, "close code", code, 1012)
		if err := <-drained; err != nil {
			t.Error(err)
		}
	})
}

package ws

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"parley/routing"
)

// welcomed is what a client remembers of its session.
type welcomed struct {
	Session, Secret string
	Resumed         bool
}

// hello says hello with these params on a new socket, and answers the welcome.
func (r *rig) hello(params string) (*client, welcomed) {
	r.t.Helper()
	c := r.dial("parley.v1")
	c.say(`{"jsonrpc":"2.0","method":"$/hello","params":` + params + `}`)
	m := parse(r.t, c.hear())
	same(r.t, "answer to hello", m.Method, "$/welcome")
	var w welcomed
	parseInto(r.t, m.Params, &w)
	return c, w
}

func (w welcomed) resume(open string) string {
	return fmt.Sprintf(`{"resume":{"session":%q,"secret":%q,"open":[%s]}}`, w.Session, w.Secret, open)
}

// A client loses its socket and comes back: the welcome says that its session goes
// on, then comes what it has not acknowledged, numbered anew, then what is new. Ids
// that the session does not know are told, and that they never arrived.
func TestResume(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		c, w := r.hello(`{}`)
		same(t, "a new session", w.Resumed, false)
		c.ask(`{"jsonrpc":"2.0","id":1,"method":"echo","params":1}`)
		c.ask(`{"jsonrpc":"2.0","id":"two","method":"echo","params":2}`)
		c.say(`{"jsonrpc":"2.0","method":"$/ack","params":{"seq":1}}`)
		synctest.Wait()
		_ = c.ws.CloseNow()
		synctest.Wait()

		c, again := r.hello(w.resume(`"two",3,"three"`))
		same(t, "resumed", again, welcomed{w.Session, w.Secret, true})
		same(t, "delivered again", c.hear(), `{"jsonrpc":"2.0","id":"two","result":2,"seq":1}`)
		for _, id := range []string{`3`, `"three"`} {
			m := parse(t, c.hear())
			same(t, "unknown id", string(m.ID), id)
			same(t, "unknown id", m.Error.Data.Code+" "+m.Error.Data.Outcome, "unknown_request not_sent")
		}
		same(t, "then", c.ask(`{"jsonrpc":"2.0","id":4,"method":"echo"}`), `{"jsonrpc":"2.0","id":4,"result":null,"seq":2}`)
	})
}

// The answer comes while no socket is there, and waits for the client.
func TestResumeBringsWhatCameMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		c, w := r.hello(`{}`)
		c.say(`{"jsonrpc":"2.0","id":1,"method":"silent"}`)
		synctest.Wait()
		_ = c.ws.CloseNow()
		synctest.Wait()
		r.router.Deliver(t.Context(), []*routing.Reply{{ID: r.topics.last().ID, Final: true, Body: []byte(`"late"`)}})
		c, _ = r.hello(w.resume(`1`))
		same(t, "delivered", c.hear(), `{"jsonrpc":"2.0","id":1,"result":"late","seq":1}`)
	})
}

// The first of two sockets with one session is closed, with the code that keeps
// it from coming back.
func TestTakeOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		first, w := r.hello(`{}`)
		second, again := r.hello(w.resume(``))
		same(t, "resumed", again.Resumed, true)
		code, _ := first.closed()
		same(t, "close code of the first", code, 4409)
		synctest.Wait()
		same(t, "answer to the second", second.ask(`{"jsonrpc":"2.0","id":1,"method":"echo"}`), `{"jsonrpc":"2.0","id":1,"result":null,"seq":1}`)
		same(t, "sessions", r.router.Sessions(), 1)
	})
}

// Who cannot show the secret gets a new session, and learns what is gone.
func TestResumeWithoutRight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		c, w := r.hello(`{}`)
		thief := w
		thief.Secret = strings.Repeat("A", 22)
		other, got := r.hello(thief.resume(`7`))
		same(t, "resumed", got.Resumed, false)
		same(t, "the same session", got.Session == w.Session, false)
		same(t, "listed id", parse(t, other.hear()).Error.Data.Code, "session_gone")
		same(t, "the owner goes on", c.ask(`{"jsonrpc":"2.0","id":1,"method":"echo"}`), `{"jsonrpc":"2.0","id":1,"result":null,"seq":1}`)
	})
}

// With the table away nobody loses a session: the client is sent to try again.
func TestResumeWhileTheTableIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		c, w := r.hello(`{}`)
		_ = c.ws.CloseNow()
		synctest.Wait()
		r.table.mu.Lock()
		r.table.away = errors.New("away")
		r.table.mu.Unlock()
		c = r.dial("parley.v1")
		c.say(`{"jsonrpc":"2.0","method":"$/hello","params":` + w.resume(``) + `}`)
		code, n := c.closed()
		same(t, "close code", code, 1012)
		same(t, "messages", n, 0)
		r.table.mu.Lock()
		r.table.away = nil
		r.table.mu.Unlock()
		_, again := r.hello(w.resume(``))
		same(t, "resumed afterwards", again.Resumed, true)
	})
}

// A client that says bye is not waited for.
func TestByeEndsTheSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		c, w := r.hello(`{}`)
		c.say(`{"jsonrpc":"2.0","method":"$/bye"}`)
		code, _ := c.closed()
		same(t, "close code", code, 1000)
		synctest.Wait()
		same(t, "sessions", r.router.Sessions(), 0)
		_, again := r.hello(w.resume(``))
		same(t, "resumed", again.Resumed, false)
	})
}

// A node that drains tells those that can resume to go, closes plain clients once
// they have their answers, and waits for the rest until its time is up.
func TestDrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		moves, stays := r.greeted(), r.greeted()
		idle, busy := r.dial(""), r.dial("")
		busy.say(`{"jsonrpc":"2.0","id":1,"method":"silent"}`)
		synctest.Wait()
		began := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		drained := make(chan error, 1)
		go func() { drained <- r.server.Shutdown(ctx) }()
		same(t, "told to go", moves.hear(), `{"jsonrpc":"2.0","method":"$/goaway","params":{"reconnect":[0,8000],"deadline":18000}}`)
		same(t, "told to go", strings.Contains(stays.hear(), "goaway"), true)
		code, _ := idle.closed()
		same(t, "idle", code, 1012)
		_ = moves.ws.CloseNow()

		time.Sleep(5 * time.Second)
		r.router.Deliver(t.Context(), []*routing.Reply{{ID: r.topics.last().ID, Final: true, Body: []byte(`"yes"`)}})
		same(t, "still answered", busy.hear(), `{"jsonrpc":"2.0","id":1,"result":"yes"}`)
		code, _ = busy.closed()
		same(t, "busy", code, 1012)

		code, _ = stays.closed()
		same(t, "who does not go", code, 1012)
		same(t, "after", time.Since(began).Round(time.Second), 18*time.Second)
		if err := <-drained; err != nil {
			t.Error(err)
		}
	})
}

// A socket that has lived long enough is told to go, and closed only when its
// client does not; a plain client, which cannot come back, is not told.
func TestAgeGivesNotice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{MaxAge: time.Minute, Ping: time.Hour})
		began := time.Now()
		c, plain := r.greeted(), r.dial("")
		ended := make(chan string, 1)
		go func() { code, n := plain.closed(); ended <- fmt.Sprint(int(code), " after ", n) }()
		same(t, "told", c.hear(), `{"jsonrpc":"2.0","method":"$/goaway","params":{"reconnect":[0,5000],"deadline":10000}}`)
		if after := time.Since(began); after < 54*time.Second || after > time.Minute {
			t.Errorf("told after %v", after)
		}
		same(t, "still served", c.ask(`{"jsonrpc":"2.0","id":1,"method":"echo"}`), `{"jsonrpc":"2.0","id":1,"result":null,"seq":1}`)
		told := time.Now()
		code, _ := c.closed()
		same(t, "close code", code, 1012)
		same(t, "after", time.Since(told), 10*time.Second)
		same(t, "plain", <-ended, "1012 after 0")
	})
}

package routing

import (
	"testing"
	"testing/synctest"
)

// staff is the rule that lets one subject.
func staff(asked *int) *Rule {
	return NewRule(func(c *Caller) bool {
		*asked++
		return c.Name() == "ann"
	})
}

// A rule is asked once for a caller, however often that calls, and tells a caller that
// is not allowed from one that has not said who it is.
func TestRule(t *testing.T) {
	asked := 0
	rule := staff(&asked)
	ann, eve := &Caller{Subject: "ann"}, &Caller{Subject: "eve"}
	for range 3 {
		want(t, "ann", rule.Refuse(ann, "orders"), nil)
		want(t, "eve", rule.Refuse(eve, "orders").Word, Forbidden)
		want(t, "nobody", rule.Refuse(nil, "orders").Word, Unauthorized)
	}
	want(t, "asked", asked, 3) // for nobody when it was made
	want(t, "no rule", (*Rule)(nil).Allows(nil), true)
	want(t, "known", Known.Allows(eve) && !Known.Allows(nil), true)
}

// Who is to have a session is asked about by all rules at once, and its claims are not
// kept for it.
func TestServedCallerKeepsNoClaims(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Limits{})
		clerks := NewRule(func(c *Caller) bool { return c != nil && string(c.Claims) == "clerk" })
		b.Service("orders").Allow = clerks
		b.feeds["orders.events"] = clerks
		clerk, guest := &Caller{Subject: "ann", Claims: []byte("clerk")}, &Caller{Subject: "eve", Claims: []byte("guest")}
		want(t, "served", b.Serves(clerk), true)
		want(t, "claims", len(clerk.Claims)+cap(clerk.Claims), 0)
		want(t, "may still", clerks.Allows(clerk), true)
		b.Serves(guest)
		want(t, "may not", clerks.Allows(guest), false)
		want(t, "nobody", clerks.Allows(nil), false)
	})
}

// A call that its caller may not make is not sent, and is counted by its word; who calls
// for another than the session's own caller is judged by that one.
func TestForbiddenCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, asked := newBench(t, Limits{}), 0
		b.Service("orders").Allow = staff(&asked)
		s, _ := b.Open(t.Context(), OpenSession{Sink: &client{}, Caller: &Caller{Subject: "eve"}})
		_, err := s.Submit(call("1"), nil)
		if err == nil || err.Word != Forbidden || err.Outcome != NotSent {
			t.Errorf("got %v", err)
		}
		_, err = b.Keep(t.Context(), keyed("", "k", "x"), &Caller{Subject: "eve"})
		want(t, "kept", err.Word, Forbidden)
		want(t, "refused", b.counted.get("refused forbidden"), 2)
		want(t, "sent", len(b.topic.written), 0)
		c := call("2")
		c.Caller = &Caller{Subject: "ann"}
		_, err = s.Submit(c, nil)
		want(t, "in ann's name", err, nil)
		want(t, "its subject", b.topic.last().Subject, "ann")
	})
}

// Who comes back with a token that may do less loses the subscriptions that it may not
// have any longer.
func TestForbiddenFeed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		a, _ := w.start(t, "a", &topic{ack: true}, Limits{})
		may := map[*Caller]bool{}
		a.feeds["orders.events"] = NewRule(func(c *Caller) bool { return may[c] })
		ann, less := &Caller{Subject: "ann"}, &Caller{Subject: "ann"}
		may[ann] = true
		s, _ := a.Open(t.Context(), OpenSession{Sink: &client{}, Acks: true, Caller: ann})
		want(t, "subscribed", subscribed(t, s, orderEvents), nil)
		_, _, err := a.Resume(t.Context(), ResumeSession{ID: s.id, Secret: s.secret, Caller: less, Sink: &client{}})
		want(t, "resumed", err, nil)
		want(t, "subscriptions", a.Subscriptions(), 0)
		want(t, "again", subscribed(t, s, orderEvents).Word, Forbidden)
	})
}

// Where a service has a rule it costs a request nothing: it has been decided.
func TestRuleAllocates(t *testing.T) {
	asked := 0
	rule, ann := staff(&asked), &Caller{Subject: "ann"}
	if n := testing.AllocsPerRun(100, func() { rule.Refuse(ann, "orders") }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

package tabletest

import (
	"context"
	"slices"
	"testing"
	"time"

	"parley/routing"
	"parley/routing/table"
)

var feeds = []story{
	// Who has subscribed is found by any node, until they end it or their session ends.
	{name: "subscribe", tell: func(t *testing.T, h Harness) {
		n := h.start(t, table.Options{Node: "a"})
		s, other := newSession(), newSession()
		must(t, n.Open(t.Context(), s))
		must(t, n.Open(t.Context(), other))
		one, two := routing.Feed{Topic: "orders.events", Key: "o 1"}, routing.Feed{Topic: "stock", Key: "o 1"}
		for _, err := range n.Subscribe(t.Context(), []routing.Subscription{{Session: s.ID, Feed: one}, {Session: other.ID, Feed: one}, {Session: s.ID, Feed: two}}) {
			must(t, err)
		}
		found := subscribers(t, n, routing.Feed{Topic: "nobody's", Key: "x"}, one, two)
		want(t, "nobody", len(found[0]), 0)
		want(t, "both", len(found[1]), 2)
		want(t, "s", found[2][0], s.ID)
		n.Unsubscribe(routing.Subscription{Session: s.ID, Feed: one})
		eventually(t, "one is left", func() bool {
			return slices.Equal(subscribers(t, n, one)[0], []routing.SessionID{other.ID})
		})
		n.Unsubscribe(routing.Subscription{Session: other.ID, Feed: one})
		eventually(t, "nobody is left", func() bool { return len(subscribers(t, n, one)[0]) == 0 })
		if h.Client != nil {
			eventually(t, "nor a key", func() bool { return h.Client.Exists(t.Context(), "parley:{s:orders.events}").Val() == 0 })
		}
	}},
	// All of a topic is a feed of its own, beside those of its keys.
	{name: "subscribe to all", tell: func(t *testing.T, h Harness) {
		n := h.start(t, table.Options{Node: "a"})
		s, other := newSession(), newSession()
		must(t, n.Open(t.Context(), s))
		must(t, n.Open(t.Context(), other))
		all, one := routing.Feed{Topic: "orders.events"}, routing.Feed{Topic: "orders.events", Key: "o-1"}
		for _, err := range n.Subscribe(t.Context(), []routing.Subscription{{Session: s.ID, Feed: all}, {Session: other.ID, Feed: one}}) {
			must(t, err)
		}
		found := subscribers(t, n, one, all, routing.Feed{Topic: "stock"})
		want(t, "of one", found[0][0], other.ID)
		want(t, "of all", found[1][0], s.ID)
		want(t, "how many", len(found[0])+len(found[1])+len(found[2]), 2)
		if h.Client != nil {
			b := h.start(t, table.Options{Node: "b"})
			got, err := b.Resume(t.Context(), resumption(s))
			must(t, err)
			want(t, "taken along", got.Feeds[0], all)
		}
		n.Unsubscribe(routing.Subscription{Session: s.ID, Feed: all})
		eventually(t, "nobody has all", func() bool { return len(subscribers(t, n, all)[0]) == 0 })
		want(t, "of one", len(subscribers(t, n, one)[0]), 1)
	}},
	// A session takes its subscriptions along.
	{name: "resume subscribed", shared: true, tell: func(t *testing.T, h Harness) {
		a, b := h.start(t, table.Options{Node: "a"}), h.start(t, table.Options{Node: "b"})
		s, feed := newSession(), routing.Feed{Topic: "orders.events", Key: "k: x y"}
		must(t, a.Open(t.Context(), s))
		must(t, a.Subscribe(t.Context(), []routing.Subscription{{Session: s.ID, Feed: feed}})[0])
		got, err := b.Resume(t.Context(), routing.Resumption{ID: s.ID, Subject: s.Subject, Secret: s.Secret})
		must(t, err)
		if !slices.Equal(got.Feeds, []routing.Feed{feed}) || len(got.Rows) != 0 {
			t.Errorf("got %+v", got)
		}
		want(t, "subscribers", subscribers(t, a, feed)[0][0], s.ID)
	}},
	// Redis lost everything: living nodes write subscriptions anew.
	{name: "subscriptions emptied", shared: true, tell: func(t *testing.T, h Harness) {
		n := h.start(t, table.Options{Node: "a", Lease: 200 * time.Millisecond})
		s, feed := newSession(), routing.Feed{Topic: "orders.events", Key: "o-1"}
		must(t, n.Open(t.Context(), s))
		must(t, n.Subscribe(t.Context(), []routing.Subscription{{Session: s.ID, Feed: feed}})[0])
		s.Feeds = []routing.Feed{feed}
		n.mail.hold(s)
		must(t, h.Client.FlushDB(t.Context()).Err())
		eventually(t, "it is back", func() bool {
			found, err := n.feeds().Subscribers(t.Context(), []routing.Feed{feed})
			return err == nil && len(found[0]) == 1
		})
	}},
	// With Redis away a subscription is refused soon.
	{name: "subscribe away", shared: true, tell: func(t *testing.T, h Harness) {
		n := h.start(t, table.Options{Node: "a", Timeout: 300 * time.Millisecond})
		s, feed := newSession(), routing.Feed{Topic: "orders.events", Key: "o-1"}
		must(t, n.Open(t.Context(), s))
		h.Cut()
		defer h.Heal()
		if err := n.Subscribe(t.Context(), []routing.Subscription{{Session: s.ID, Feed: feed}})[0]; err == nil {
			t.Error("it says that it is there")
		}
		if _, err := n.feeds().Subscribers(t.Context(), []routing.Feed{feed}); err == nil {
			t.Error("it says that nobody has")
		}
	}},
}

// teller is a table as a consumer of events uses it.
type teller interface {
	Subscribers(ctx context.Context, feeds []routing.Feed) ([][]routing.SessionID, error)
}

func (n *running) feeds() teller { return n.Node.(teller) }

func subscribers(t *testing.T, n *running, feeds ...routing.Feed) [][]routing.SessionID {
	t.Helper()
	found, err := n.feeds().Subscribers(t.Context(), feeds)
	must(t, err)
	return found
}

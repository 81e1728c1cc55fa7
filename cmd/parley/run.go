package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"parley/kafka"
	"parley/routing"
	"parley/web"
)

// task is a part of a node at work.
type task struct {
	cancel context.CancelFunc
	done   chan struct{}
}

// start runs a part of the node. One that fails before it is stopped ends the node.
func (n *node) start(name string, run func(context.Context) error) *task {
	ctx, cancel := context.WithCancel(context.Background())
	t := &task{cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(t.done)
		if err := run(ctx); err != nil && ctx.Err() == nil {
			n.fail(fmt.Errorf("%s: %w", name, err))
		}
	}()
	return t
}

// stop ends the part and waits for its end.
func (t *task) stop() {
	t.cancel()
	<-t.done
}

// run serves until ctx ends, lets what is open end within Config.Shutdown, and
// returns when everything that it started has ended. The error is of the part
// that could not go on.
func (n *node) run(ctx context.Context) error {
	ctx, n.fail = context.WithCancelCause(ctx)
	defer n.fail(nil)
	defer n.close()

	operators := n.serveOperators()
	table := n.start("table", func(ctx context.Context) error { return n.table.Run(ctx, n.router) })
	router := n.start("router", func(ctx context.Context) error { n.router.Run(ctx); return nil })
	replies := n.start("replies", n.consume)
	views := n.start("views", n.readViews)
	failover := n.start("failover", n.failover.run)
	present := n.start("responders", n.present.Run)
	tokens := n.start("tokens", n.verify)
	clients := n.serveClients()
	n.log.Info("node runs", "listen", n.clients.Addr().String(), "admin", n.cfg.Admin, "kafka", n.cfg.Kafka.Brokers, "redis", n.redis != nil)

	<-ctx.Done()
	n.log.Info("node ends", "open", n.router.OpenRequests(), "sockets", n.sockets.Sockets())
	limit, cancel := context.WithTimeout(context.Background(), time.Duration(n.cfg.Shutdown))
	defer cancel()
	n.drain(limit, clients)
	n.router.Flush(limit)
	routing.Pass(routing.PointDrained)
	// From the edge inwards: what is still consumed is relayed, what is relayed
	// is written, and only then does the node leave.
	replies.stop()
	views.stop()
	failover.stop() // after it has told the others
	n.producer.Close(limit)
	present.stop()
	tokens.stop()
	router.stop()
	table.stop()
	n.end(limit, operators)
	n.servers.Wait()
	if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
		return cause
	}
	return nil
}

// drain takes nothing new, lets what is open end, and closes the doors.
func (n *node) drain(limit context.Context, clients *http.Server) {
	var doors sync.WaitGroup
	doors.Go(func() { n.edge.Shutdown(limit) })
	doors.Go(func() { n.sockets.Shutdown(limit) })
	doors.Go(func() { n.end(limit, clients) })
	doors.Wait()
}

// end stops a server; what has not ended by the limit is cut off.
func (n *node) end(limit context.Context, s *http.Server) {
	if s == nil {
		return
	}
	if err := s.Shutdown(limit); err != nil {
		n.log.Warn("connections were cut off", "address", s.Addr, "err", err)
		s.Close()
	}
}

// consume makes sure that the topics are there, and then consumes replies and events.
func (n *node) consume(ctx context.Context) error {
	if err := untilKafka(ctx, n.log, n.ensureTopics); err != nil {
		return err
	}
	return n.read(ctx)
}

// verify keeps the keys of tokens up to date, where callers are asked who they are.
func (n *node) verify(ctx context.Context) error {
	if n.auth == nil {
		return nil
	}
	return n.auth.Run(ctx)
}

// ensureTopics makes sure that all topics are there, and names all that are not. It may
// be called by several at once.
func (n *node) ensureTopics(ctx context.Context) error {
	limits, err := kafka.EnsureTopics(ctx, n.broker, n.cfg.Kafka.CreateTopics, n.topics())
	if err == nil {
		n.producer.SetLimits(limits)
	}
	return err
}

// topics are those that the node needs, each once. That of a view is compacted, whatever
// else it is for.
func (n *node) topics() (all []kafka.Topic) {
	k := n.cfg.Kafka
	seen := make(map[string]bool)
	add := func(t kafka.Topic) {
		if t.Name != "" && !seen[t.Name] {
			seen[t.Name], t.Replication = true, int16(k.Replication)
			all = append(all, t)
		}
	}
	record := int(n.cfg.Sessions.Frame) + recordOverhead
	add(kafka.Topic{Name: k.ReplyTopic, Partitions: int32(k.ReplyPartitions), Retention: time.Duration(k.ReplyRetention), RecordBytes: record})
	for topic := range n.views {
		add(kafka.Topic{Name: topic, Compact: true})
	}
	for _, s := range n.router.Services() {
		add(kafka.Topic{Name: s.Topic, RecordBytes: record})
		add(kafka.Topic{Name: n.cfg.Services[s.Name].Answer.Events.Topic})
	}
	for _, topic := range n.cfg.Subscriptions.Topics {
		add(kafka.Topic{Name: topic})
	}
	return all
}

// recordOverhead is how much larger than its payload a record may be: a client's
// headers (8 KiB), Parley's own, path and query.
const recordOverhead = 64 << 10

// untilKafka tries until Kafka can be reached. It answers the error of a Kafka
// that was reached and said no, or of ctx.
func untilKafka(ctx context.Context, log *slog.Logger, try func(context.Context) error) error {
	var missing *kafka.MissingTopicsError
	for pause := 250 * time.Millisecond; ; pause = min(2*pause, 5*time.Second) {
		attempt, cancel := context.WithTimeout(ctx, 10*time.Second)
		err := try(attempt)
		cancel()
		switch {
		case err == nil:
			return nil
		case errors.As(err, &missing):
			return err
		}
		log.Warn("Kafka is not ready: trying again", "err", err, "in", pause)
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// serveClients serves the doors in the background.
func (n *node) serveClients() *http.Server {
	s := web.HTTPServer(n.cfg.Listen, n.edge.Handler(), n.log)
	s.TLSConfig = n.tls
	n.serve("clients", s, n.clients)
	return s
}

// serveOperators serves metrics and profiles in the background; nil where the
// configuration wants none.
func (n *node) serveOperators() *http.Server {
	if n.operators == nil {
		return nil
	}
	s := web.HTTPServer(n.cfg.Admin, n.edge.Operators(n.metrics), n.log)
	n.serve("operators", s, n.operators)
	return s
}

func (n *node) serve(name string, s *http.Server, l net.Listener) {
	n.servers.Go(func() {
		serve := func() error { return s.Serve(l) }
		if s.TLSConfig != nil {
			serve = func() error { return s.ServeTLS(l, "", "") }
		}
		if err := serve(); !errors.Is(err, http.ErrServerClosed) {
			n.fail(fmt.Errorf("serve %s: %w", name, err))
		}
	})
}

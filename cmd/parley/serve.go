package main

import (
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/plugin/kprom"

	"parley/kafka"
	"parley/routing"
	"parley/routing/table"
	"parley/web"
	"parley/web/auth"
	"parley/ws"
)

// runServe is `parley serve`.
func runServe(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	cfg, code, ok := configured("serve", args, stdout, stderr)
	if !ok {
		return code
	}
	ctx, cancel := whileParent(ctx)
	defer cancel()
	log := loggerTo(stderr, cfg.Log)
	n, err := newNode(cfg, log)
	if err == nil {
		err = n.run(ctx)
	}
	if err != nil {
		log.Error("node ends", "node", cfg.Node, "err", err)
		return exitError
	}
	return exitOK
}

// runConfig is `parley config`.
func runConfig(_ context.Context, args []string, stdout, stderr io.Writer) int {
	cfg, code, ok := configured("config", args, stdout, stderr)
	if !ok {
		return code
	}
	if err := printConfig(stdout, cfg); err != nil {
		fmt.Fprintln(stderr, "parley config:", err)
		return exitError
	}
	return exitOK
}

// configured reads a command's configuration. ok is false when the command ends
// here: help was asked for, or something is wrong, all of which has been told.
func configured(command string, args []string, stdout, stderr io.Writer) (cfg Config, code int, ok bool) {
	cfg, err := loadConfig(command, args, os.Environ(), stdout)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return cfg, exitOK, false
	case err != nil:
		fmt.Fprintf(stderr, "parley %s: the configuration has mistakes:\n%v\n", command, err)
		return cfg, exitError, false
	}
	return cfg, exitOK, true
}

// loggerTo makes the logger that a command writes to its standard error.
func loggerTo(stderr io.Writer, c LogConfig) *slog.Logger {
	f, isFile := stderr.(*os.File)
	return newLogger(c, stderr, isFile && isTerminal(f))
}

// node is one gateway process: everything that the packages offer, joined.
type node struct {
	cfg  Config
	log  *slog.Logger
	boot string // tells this process from earlier ones of the node

	clients   net.Listener
	operators net.Listener // nil for none
	tls       *tls.Config  // for clients; nil for none

	redis    redis.UniversalClient // nil where the table is in memory
	broker   kafka.Config
	metrics  *web.Metrics
	auth     *auth.Verifier // nil where nobody is asked who it is
	table    sharedTable
	producer *kafka.Producer
	present  *kafka.Responders
	router   *routing.Router
	replies  *kafka.Replies
	views    views
	events   *kafka.Events  // nil where no service is answered by events
	history  *kafka.History // nil where there is nothing to subscribe to
	sockets  *ws.Server
	edge     *web.Server
	failover *failover

	servers sync.WaitGroup
	fail    context.CancelCauseFunc // ends run; set by it
}

// sharedTable is what a node needs of either table.
type sharedTable interface {
	routing.Table
	kafka.Waits
	kafka.Feeds
	Run(ctx context.Context, to table.Node) error
	Ping(ctx context.Context) error
	SharedTime(t time.Time) time.Time
	Stats() table.Stats
}

// newNode opens the node's addresses and joins its parts; nothing runs yet, and
// neither Kafka nor Redis need be there. After an error nothing is left open.
func newNode(cfg Config, log *slog.Logger) (_ *node, err error) {
	n := &node{cfg: cfg, log: log.With("node", cfg.Node), boot: strconv.FormatInt(time.Now().UnixMilli(), 36)}
	defer func() {
		if err != nil {
			n.close()
		}
	}()
	for _, part := range []func() error{n.listen, n.joinTable, n.joinAuth, n.joinKafka, n.joinHistory, n.joinDoors} {
		if err := part(); err != nil {
			return nil, err
		}
	}
	return n, nil
}

// close frees what newNode took.
func (n *node) close() {
	for _, l := range []net.Listener{n.clients, n.operators} {
		if l != nil {
			l.Close() // a second time it answers an error that means nothing
		}
	}
	if n.producer != nil {
		n.producer.Close(context.Background())
	}
	if n.history != nil {
		n.history.Close()
	}
	if n.redis != nil {
		n.redis.Close()
	}
}

func (n *node) listen() (err error) {
	if n.tls, err = n.cfg.TLS.config(); err != nil {
		return fmt.Errorf("configure TLS: %w", err)
	}
	if n.clients, err = net.Listen("tcp", n.cfg.Listen); err != nil {
		return fmt.Errorf("listen for clients: %w", err)
	}
	if n.cfg.Admin == "" {
		return nil
	}
	if n.operators, err = net.Listen("tcp", n.cfg.Admin); err != nil {
		return fmt.Errorf("listen for operators: %w", err)
	}
	return nil
}

func (n *node) joinTable() (err error) {
	n.metrics, n.failover = web.NewMetrics(n.gauges()), newFailover(n)
	if n.redis, err = n.cfg.Redis.client(); err != nil {
		return fmt.Errorf("configure Redis: %w", err)
	}
	if n.redis == nil {
		n.table = table.NewMemory()
		return nil
	}
	n.watchTable()
	n.table = table.NewRedis(n.redis, table.Options{
		Node: routing.NodeID(n.cfg.Node), Lease: time.Duration(n.cfg.Redis.Lease), Resume: time.Duration(n.cfg.Sessions.Resume),
		Member: n.memberID(), Watcher: n.failover, Observer: n.metrics, Log: n.log,
	})
	return nil
}

// memberID is the client id of this process in the consumer group, by which others
// find it there should it die.
func (n *node) memberID() string { return n.cfg.Node + "-" + n.boot }

// gauges are read at each scrape, when all parts are there.
func (n *node) gauges() web.Gauges {
	return web.Gauges{
		OpenRequests:       func() int { return n.router.OpenRequests() },
		Sessions:           func() int { return n.router.Sessions() },
		Sockets:            func() int { return n.sockets.Sockets() },
		HeldReplies:        func() int { return n.table.Stats().Holding },
		Waiters:            func() int { return n.router.Waiting() },
		EventWaits:         func() int { return n.router.AwaitingEvents() },
		Subscriptions:      func() int { return n.router.Subscriptions() },
		OwnedPartitions:    func() int { owned, _, _ := n.replies.Stats(); return owned },
		UncommittedReplies: func() int { _, uncommitted, _ := n.replies.Stats(); return uncommitted },
		UncommittedAge:     func() time.Duration { _, _, oldest := n.replies.Stats(); return oldest },
	}
}

func (n *node) joinKafka() (err error) {
	k := n.cfg.Kafka
	if n.broker, err = k.connection(n.log); err != nil {
		return fmt.Errorf("configure Kafka: %w", err)
	}
	n.producer, err = kafka.NewProducer(n.watched("producer"), kafka.ProducerOptions{
		ReplyTopic: k.ReplyTopic, Buffered: k.BufferedRecords, DeliveryTimeout: time.Duration(k.DeliveryTimeout), SharedTime: n.table.SharedTime,
	})
	if err != nil {
		return fmt.Errorf("configure the producer: %w", err)
	}
	n.joinResponders()
	services, err := n.services()
	if err != nil {
		return err
	}
	n.router = routing.New(routing.Options{
		Node: routing.NodeID(n.cfg.Node), Services: services, Producer: n.producer, Table: n.table, Observer: n.metrics, Log: n.log,
		Responders: n.present, Feeds: n.cfg.Subscriptions.Topics, Whole: n.cfg.Subscriptions.Whole, FeedRules: n.feedRules(),
		Limits: routing.Limits{
			OpenRequests: n.cfg.Sessions.OpenRequests, InFlight: n.cfg.Limits.InFlight, Sessions: n.cfg.Limits.Sessions, Reply: int(n.cfg.Sessions.Frame),
			Resume: time.Duration(n.cfg.Sessions.Resume), Unacked: int(n.cfg.Sessions.SendQueue),
			Stream: int(n.cfg.Streams.Waiting), Gap: time.Duration(n.cfg.Streams.Gap), FeedGap: time.Duration(n.cfg.Subscriptions.Gap),
			Keep: time.Duration(n.cfg.Results.Keep), Kept: n.cfg.Results.Max, Waiters: n.cfg.Results.Waiters, Join: time.Duration(k.DeliveryTimeout) + 5*time.Second, Feeds: n.cfg.Subscriptions.Max,
		},
	})
	n.replies, err = kafka.NewReplies(n.watched("consumer"), kafka.RepliesOptions{
		Group: k.Group, Protocol: k.GroupProtocol, Topic: k.ReplyTopic, Node: n.router.Node(), Boot: n.boot, Sink: n.router, Observer: n.metrics, Tell: n.failover.Tell,
		SharedTime: n.table.SharedTime,
	})
	if err != nil {
		return fmt.Errorf("configure the reply consumer: %w", err)
	}
	n.router.SetBrake(n)
	return n.joinEvents()
}

// watched is where Kafka is, for a client whose own metrics are to be seen.
func (n *node) watched(client string) kafka.Config {
	c := n.broker
	c.Hooks = []kgo.Hook{kprom.NewMetrics("parley_kafka_"+client, kprom.Registerer(n.metrics.Registry()))}
	return c
}

func (n *node) services() (all []*routing.Service, err error) {
	for name, s := range n.cfg.Services {
		request, _ := s.Schema.Request.compile() // the configuration's check has done it before
		reply, _ := s.Schema.Reply.compile()
		service := &routing.Service{
			Description: s.Description, Request: request.text, Reply: reply.text, Check: request.check(),
			Name: name, Topic: s.Topic, Timeout: time.Duration(s.Timeout), MaxTimeout: time.Duration(s.MaxTimeout),
			Dialect: s.Dialect, Partitioner: routing.Partitioner(s.Partitioner), Wait: s.Wait, Cancel: s.Cancel, Allow: n.rule(s.Allow), Entity: s.Answer.Events.entity(), Events: s.Answer.Events.Topic,
		}
		if s.Answer.View.Topic != "" {
			if service.View, err = n.addView(s.Answer.View.Topic); err != nil {
				return nil, fmt.Errorf("service %s: %w", name, err)
			}
			service.Topic, service.Until = "", n.untils(name, s.Answer.View.Until)
		}
		all = append(all, service)
	}
	return all, nil
}

func (n *node) joinDoors() (err error) {
	s := n.cfg.Sessions
	// A page that another node served may call this one.
	origins := slices.Concat(n.cfg.Origins, n.cfg.Nodes)
	sockets := ws.Options{
		Router: n.router, Origins: origins, Reserved: kafka.ReservedHeader, Log: n.log, Observer: n.metrics,
		Frame: int64(s.Frame), SendQueue: int(s.SendQueue), HelloTimeout: time.Duration(s.HelloTimeout),
		MaxAge: time.Duration(s.MaxAge), Ping: time.Duration(s.Ping), Resume: time.Duration(s.Resume), OpenRequests: s.OpenRequests, Cookie: n.cfg.Auth.Cookie,
	}
	if n.auth != nil {
		sockets.Auth = n.auth
	}
	n.sockets = ws.New(sockets)
	forward := make(map[string][]string)
	for name, service := range n.cfg.Services {
		forward[name] = service.ForwardHeaders
	}
	options := web.Options{
		Router: n.router, Socket: n.sockets, Forward: forward, Reserved: kafka.ReservedHeader, Body: int64(s.Frame), Origins: origins,
		ArrayParts: n.cfg.Streams.ArrayParts, ArrayBytes: int64(n.cfg.Streams.ArrayBytes), KeepAlive: time.Duration(n.cfg.Streams.KeepAlive),
		Page: n.page(), Ready: n.checks(), History: n.past(), ReplyTopic: n.cfg.Kafka.ReplyTopic, Log: n.log, Observer: n.metrics, Cookie: n.cfg.Auth.Cookie,
	}
	if n.auth != nil {
		options.Auth = n.auth
	}
	n.edge, err = web.New(options)
	return err
}

// page is what the demo page is told, nil where it is off.
func (n *node) page() *web.PageOptions {
	if !n.cfg.Page {
		return nil
	}
	page := &web.PageOptions{Control: os.Getenv(devControlVariable)}
	for _, url := range n.cfg.Nodes {
		page.Nodes = append(page.Nodes, web.PageNode{URL: url})
	}
	return page
}

// checks are what a node must have before it gets traffic.
func (n *node) checks() []web.Check {
	return []web.Check{
		{Name: "kafka", Err: n.producer.Ping},
		{Name: "partitions", Err: func(context.Context) error {
			if !n.replies.Assigned() {
				return errors.New("the consumer group has not told yet which partitions are this node's")
			}
			return nil
		}},
		{Name: "events", Err: n.eventsReady},
		{Name: "table", Err: n.table.Ping},
		{Name: "views", Err: n.views.loaded},
		{Name: "keys", Err: func(ctx context.Context) error {
			if n.auth == nil {
				return nil
			}
			return n.auth.Ready(ctx)
		}},
	}
}

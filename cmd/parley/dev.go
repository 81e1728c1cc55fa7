package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"parley/kafka"
)

// devOptions are the flags of `parley dev`.
type devOptions struct {
	listen   string // addresses of the nodes, by comma
	admin    string // addresses for their operators, by comma; "" for none
	dataDir  string
	kafka    string // addresses of real brokers, by comma; "" for the embedded one
	redis    string // URL of a real server; "" for the embedded one
	origins  string // of web pages of the user's that may call, by comma
	logLevel string
}

// parseDev reads the flags of `parley dev`.
func parseDev(args []string, stderr io.Writer) (o devOptions, err error) {
	flags := flag.NewFlagSet("parley dev", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&o.listen, "listen", ":8080,:8081", "an `address` for each node, by comma")
	flags.StringVar(&o.admin, "admin", "", "an `address` for each node's operators (/metrics, pprof), by comma")
	flags.StringVar(&o.dataDir, "data-dir", "", "`folder` that keeps Kafka's data between runs")
	flags.StringVar(&o.kafka, "kafka", "", "`brokers` to use instead of the embedded Kafka, host:port by comma")
	flags.StringVar(&o.redis, "redis", "", "`URL` of a Redis to use instead of the embedded one")
	flags.StringVar(&o.origins, "origins", "", "`origins` of web pages of yours that may call, by comma, such as http://localhost:3000")
	flags.StringVar(&o.logLevel, "log.level", "warn", "debug, info, warn or error")
	flags.Usage = func() {
		fmt.Fprint(stderr, "Usage: parley dev [flags]\n\nEverything in one process: Kafka, Redis, gateway nodes, demo services and page.\n\n")
		flags.PrintDefaults()
	}
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	switch {
	case flags.NArg() > 0:
		return o, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	case o.dataDir != "" && o.kafka != "":
		return o, errors.New("--data-dir is for the embedded Kafka: it cannot be given with --kafka")
	case o.admin != "" && len(splitList(o.admin)) != len(splitList(o.listen)):
		return o, errors.New("--admin and --listen must name as many addresses")
	case len(splitList(o.listen)) == 0:
		return o, errors.New("--listen must name an address")
	}
	check := &checker{from: map[string]string{"origins": "--origins"}}
	for _, origin := range splitList(o.origins) {
		check.origin("origins", origin)
	}
	return o, check.problems.errOrNil()
}

// runDev is `parley dev`.
func runDev(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o, err := parseDev(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return exitOK
	}
	if err != nil {
		fmt.Fprintln(stderr, "parley dev:", err)
		return exitUsage
	}
	log := loggerTo(stderr, LogConfig{Level: o.logLevel, Format: "text"})
	if err := dev(ctx, o, log, stdout); err != nil {
		fmt.Fprintln(stderr, "parley dev:", err)
		return exitError
	}
	return exitOK
}

// dev runs everything until ctx ends.
func dev(ctx context.Context, o devOptions, log *slog.Logger, stdout io.Writer) error {
	servers, err := startServers(o)
	if err != nil {
		return err
	}
	defer servers.close()
	nodes, err := devNodes(o, servers, log)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	shop, err := newDemo(demoTopics(), log, kgo.SeedBrokers(servers.brokers...))
	if err != nil {
		return err
	}
	var running sync.WaitGroup
	defer running.Wait()
	for _, n := range nodes {
		running.Go(func() {
			if err := n.run(ctx); err != nil {
				cancel(fmt.Errorf("node %s: %w", n.cfg.Node, err))
			}
		})
	}
	// The services end after the nodes, so that a node's last requests are
	// still answered.
	shopCtx, stopShop := context.WithCancel(context.Background())
	shopEnded := make(chan struct{})
	go func() { defer close(shopEnded); shop.run(shopCtx) }()
	defer func() { running.Wait(); stopShop(); <-shopEnded }()

	if err := ready(ctx, nodes); err == nil {
		fmt.Fprint(stdout, greeting(nodes, servers))
	}
	<-ctx.Done()
	if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
		return cause
	}
	return nil
}

// servers are the Kafka and the Redis that `parley dev` works on.
type servers struct {
	brokers []string
	redis   string // URL
	kfake   *kfake.Cluster
	mini    *miniredis.Miniredis
}

func startServers(o devOptions) (s *servers, err error) {
	s = &servers{brokers: splitList(o.kafka), redis: o.redis}
	if o.kafka == "" {
		opts := []kfake.Opt{kfake.NumBrokers(1), kfake.BrokerConfigs(map[string]string{"message.max.bytes": "8388608"})}
		if o.dataDir != "" {
			opts = append(opts, kfake.DataDir(o.dataDir))
		}
		if s.kfake, err = kfake.NewCluster(opts...); err != nil {
			return nil, fmt.Errorf("start the embedded Kafka: %w", err)
		}
		s.brokers = s.kfake.ListenAddrs()
	}
	if o.redis == "" {
		if s.mini, err = miniredis.Run(); err != nil {
			s.close()
			return nil, fmt.Errorf("start the embedded Redis: %w", err)
		}
		s.mini.ClockTTL(true)
		s.redis = "redis://" + s.mini.Addr() + "/0"
	}
	return s, nil
}

func (s *servers) close() {
	if s.kfake != nil {
		s.kfake.Close()
	}
	if s.mini != nil {
		s.mini.Close()
	}
}

// kind says whether a server is embedded.
func kind(embedded bool) string {
	if embedded {
		return "embedded"
	}
	return "given"
}

// demoTopics are the request topics of the demo services, by name.
func demoTopics() map[string]string {
	topics := make(map[string]string)
	for name := range demoServices() {
		topics[name] = defaultService(name).Topic
	}
	return topics
}

// devNodes makes the nodes; nothing runs yet. After an error nothing is left open.
func devNodes(o devOptions, s *servers, log *slog.Logger) (nodes []*node, err error) {
	listen, admin := splitList(o.listen), splitList(o.admin)
	var pages []string
	origins := splitList(o.origins)
	for _, address := range listen {
		page := pageURL(address)
		pages = append(pages, page)
		origins = append(origins, page, strings.Replace(page, "localhost", "127.0.0.1", 1)) // a browser may call this machine by either name
	}
	for i, address := range listen {
		cfg := defaultConfig()
		cfg.Node, cfg.Listen, cfg.Admin = string(rune('a'+i%26)), address, ""
		if len(admin) > 0 {
			cfg.Admin = admin[i]
		}
		cfg.Kafka.Brokers, cfg.Redis.URL = s.brokers, SecretURL(s.redis)
		cfg.Nodes, cfg.Origins = slices.Delete(slices.Clone(pages), i, i+1), origins
		cfg.Shutdown = Duration(5 * time.Second)
		cfg.Services = make(map[string]ServiceConfig)
		for name := range demoServices() {
			cfg.Services[name] = defaultService(name)
		}
		n, err := newNode(cfg, log)
		if err != nil {
			for _, made := range nodes {
				made.close()
			}
			return nil, err
		}
		nodes = append(nodes, n)
	}
	return nodes, nil
}

// pageURL is where a person finds what listens on an address.
func pageURL(address string) string {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return "http://" + address
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "localhost"
	}
	return "http://" + net.JoinHostPort(host, port)
}

// ready waits until all nodes are.
func ready(ctx context.Context, nodes []*node) error {
	poll := time.NewTicker(20 * time.Millisecond)
	defer poll.Stop()
	for _, n := range nodes {
		for !n.ready(ctx) {
			select {
			case <-poll.C:
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
	}
	return nil
}

// greeting tells a person what runs, and what to type.
func greeting(nodes []*node, s *servers) string {
	var b strings.Builder
	page := pageURL(nodes[0].cfg.Listen)
	fmt.Fprintf(&b, "Parley runs: Kafka (%s) at %s, Redis (%s) at %s\n\n",
		kind(s.kfake != nil), strings.Join(s.brokers, ","), kind(s.mini != nil), SecretURL(s.redis))
	for _, n := range nodes {
		fmt.Fprintf(&b, "  node %s  %s\n", n.cfg.Node, pageURL(n.cfg.Listen))
	}
	fmt.Fprintf(&b, `
page   %s/
wscat  npx wscat -c %s/ws
       > {"jsonrpc":"2.0","id":1,"method":"customer","params":{"customer":"c-1"}}
curl   curl -s %s/services/customer -H 'content-type: application/json' -d '{"customer":"c-1"}'

Ctrl-C ends it.
`, page, strings.Replace(page, "http", "ws", 1), page)
	return b.String()
}

// runDemo is `parley demo`: the demo services on a Kafka of the user's.
func runDemo(ctx context.Context, args []string, _, stderr io.Writer) int {
	flags := flag.NewFlagSet("parley demo", flag.ContinueOnError)
	flags.SetOutput(stderr)
	brokers := flags.String("kafka", "127.0.0.1:9092", "`brokers`, host:port by comma")
	flags.Usage = func() {
		fmt.Fprint(stderr, "Usage: parley demo [flags]\n\nThe demo services orders, basket, customer and echo on <name>.requests.\n\n")
		flags.PrintDefaults()
	}
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return exitOK
		}
		return exitUsage
	}
	log := loggerTo(stderr, LogConfig{Level: "info", Format: "auto"})
	if err := demoAlone(ctx, splitList(*brokers), log); err != nil {
		fmt.Fprintln(stderr, "parley demo:", err)
		return exitError
	}
	return exitOK
}

func demoAlone(ctx context.Context, brokers []string, log *slog.Logger) error {
	var topics []kafka.Topic
	for _, name := range demoTopics() {
		topics = append(topics, kafka.Topic{Name: name})
	}
	if err := untilKafka(ctx, log, func(ctx context.Context) error {
		_, err := kafka.EnsureTopics(ctx, kafka.Config{Brokers: brokers, ClientID: "parley-demo"}, true, topics)
		return err
	}); err != nil {
		return err
	}
	shop, err := newDemo(demoTopics(), log, kgo.SeedBrokers(brokers...))
	if err != nil {
		return err
	}
	log.Info("demo services run", "kafka", brokers)
	shop.run(ctx)
	return nil
}

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"strings"
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
		fmt.Fprint(stderr, "Usage: parley dev [flags]\n\nEverything at once: Kafka, Redis, gateway nodes, demo services and page. Each node is a\nprocess of its own, so that the page can kill one.\n\n")
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
	if err := dev(ctx, o, log, stdout, stderr); err != nil {
		fmt.Fprintln(stderr, "parley dev:", err)
		return exitError
	}
	return exitOK
}

// dev runs everything until ctx ends.
func dev(ctx context.Context, o devOptions, log *slog.Logger, stdout, stderr io.Writer) error {
	servers, err := startServers(o)
	if err != nil {
		return err
	}
	defer servers.close()
	nodes, err := newFleet(o, servers, log, stderr)
	if err != nil {
		return err
	}
	control, err := newControl(nodes)
	if err != nil {
		return err
	}
	defer control.close()
	nodes.tell(devControlVariable, control.url())
	answering, err := startServices(servers.brokers, log)
	if err != nil {
		return err
	}
	// They end after the nodes, so that a node's last requests are still answered.
	defer answering.stop()

	defer nodes.end()
	if err := nodes.startAll(ctx); err != nil {
		if ctx.Err() != nil {
			return nil // ended before it had begun
		}
		return err
	}
	fmt.Fprint(stdout, greeting(nodes, servers, answering.at))
	<-ctx.Done()
	return nil
}

// greeting tells a person what runs, and what to type.
func greeting(nodes *fleet, s *servers, prices string) string {
	var b strings.Builder
	page := nodes.nodes[0].url
	fmt.Fprintf(&b, "Parley runs: Kafka (%s) at %s, Redis (%s) at %s\n\n",
		kind(s.kfake != nil), strings.Join(s.brokers, ","), kind(s.mini != nil), SecretURL(s.redis))
	for _, n := range nodes.nodes {
		fmt.Fprintf(&b, "  node %s  %s\n", n.id, n.url)
	}
	fmt.Fprintf(&b, `
page   %s/
wscat  npx wscat -c %s/ws
       > {"jsonrpc":"2.0","id":1,"method":"customer","params":{"customer":"c-1"}}
curl   curl -s %s/services/customer -H 'content-type: application/json' -d '{"customer":"c-1"}'
worker curl -s %s/services/prices/tea    (an HTTP service, at %s)

Each node is a process of its own: kill one from the page and see the answer arrive all the same.
Ctrl-C ends it.
`, page, strings.Replace(page, "http", "ws", 1), page, page, prices)
	return b.String()
}

package bench

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"
)

const usage = `Puts load on a gateway, checks every answer, and writes how long they took.

  parley bench --rate 1000 --sockets 50 --duration 10s
  parley bench --closed --sockets 500

With --rate, requests are due at fixed moments and latency counts from there, so
that a stall shows the wait of everybody. With --closed, each socket sends the
next request when an answer comes, which shows throughput. Exit code 1 when
anything was lost or wrong.

`

// Run is the command `parley bench`. It blocks until the load is over or ctx
// ends, and answers the exit code: 0 when every request got its own answer, 1
// when not, 2 when the arguments are wrong.
func Run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("parley bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		fmt.Fprint(stderr, usage)
		flags.PrintDefaults()
	}
	gateway, options := &Gateway{}, &Options{}
	urls := flags.String("url", "ws://127.0.0.1:8080/ws", "the gateway's `address`; several by comma")
	door := flags.String("door", Subprotocol, "parley.v1, with acknowledgement; or plain")
	flags.StringVar(&gateway.Service, "service", "echo", "`name` of a service that answers with what it was sent")
	flags.StringVar(&gateway.Token, "token", "", "token for $/hello")
	options.Define(flags)
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return 0
		}
		return 2
	}
	gateway.URLs, gateway.Plain = strings.Split(*urls, ","), *door == "plain"
	if *door != Subprotocol && *door != "plain" {
		fmt.Fprintf(stderr, "parley bench: door %q: parley.v1 or plain\n", *door)
		return 2
	}
	return options.Run(ctx, flags, gateway, stdout, stderr)
}

// Options are the flags that every load generator has, whatever it measures.
type Options struct {
	load   Load
	closed bool
	watch  string
	name   string
	json   bool
}

// Define adds the options to a command's flags.
func (o *Options) Define(flags *flag.FlagSet) {
	flags.Float64Var(&o.load.Rate, "rate", 1000, "requests a second, open loop")
	flags.BoolVar(&o.closed, "closed", false, "closed loop: as fast as answers come")
	flags.IntVar(&o.load.Outstanding, "outstanding", 1, "requests a socket has open, closed loop")
	flags.IntVar(&o.load.Lanes, "sockets", 50, "sockets")
	flags.IntVar(&o.load.Payload, "payload", 100, "`bytes` of a request's payload")
	flags.DurationVar(&o.load.Duration, "duration", 10*time.Second, "time that is measured")
	flags.DurationVar(&o.load.Warmup, "warmup", time.Second, "time before it that is not")
	flags.DurationVar(&o.load.Drain, "drain", 5*time.Second, "time to wait for the last answers")
	flags.StringVar(&o.watch, "watch", "", "processes whose CPU time to measure, `name=pid`; several by comma")
	flags.StringVar(&o.name, "name", "", "what is measured, for the JSON")
	flags.BoolVar(&o.json, "json", false, "write one line of JSON")
}

// Run drives what t opens by parsed options, writes the result, and answers
// the exit code.
func (o *Options) Run(ctx context.Context, flags *flag.FlagSet, t Transport, stdout, stderr io.Writer) int {
	say := func(err error) { fmt.Fprintf(stderr, "%s: %v\n", flags.Name(), err) }
	if flags.NArg() > 0 {
		say(fmt.Errorf("unknown argument %q", flags.Arg(0)))
		return 2
	}
	if o.closed {
		o.load.Rate = 0
	} else if o.load.Rate == 0 {
		say(errors.New("rate 0: more than 0, or --closed"))
		return 2
	}
	var err error
	if o.load.Watch, err = parseWatch(o.watch); err == nil {
		err = o.load.Validate()
	}
	if err != nil {
		say(err)
		return 2
	}
	result, err := Drive(ctx, t, o.load)
	if err != nil {
		say(err)
		return 1
	}
	result.Name = o.name
	write := result.WriteText
	if o.json {
		write = result.WriteJSON
	}
	if err := write(stdout); err != nil {
		say(err)
		return 1
	}
	if result.Failed() {
		return 1
	}
	return 0
}

// parseWatch reads "gateway=123,service=124", and adds the load generator
// itself.
func parseWatch(s string) (map[string]int, error) {
	watch := make(map[string]int)
	if s != "" {
		watch["load"] = os.Getpid()
	}
	for part := range strings.SplitSeq(s, ",") {
		if part == "" {
			continue // a list that begins or ends with a comma is no mistake of a person
		}
		name, number, _ := strings.Cut(part, "=")
		pid, err := strconv.Atoi(number)
		if err != nil || pid < 1 {
			return nil, fmt.Errorf("watch %q: name=pid", part)
		}
		watch[name] = pid
	}
	return watch, nil
}

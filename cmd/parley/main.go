// Command parley is a gateway that gives browsers and HTTP clients
// request/reply over Kafka. `parley help` lists what it does.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"strings"
	"syscall"

	"parley/cmd/parley/bench"
)

// Exit codes.
const (
	exitOK    = 0
	exitError = 1 // it could not do its work
	exitUsage = 2 // it was not told properly what to do
)

// command is one of parley's subcommands. It works until it is done or ctx ends,
// and answers an exit code.
type command struct {
	name, summary string
	run           func(ctx context.Context, args []string, stdout, stderr io.Writer) int
}

func commands() []command {
	return []command{
		{"dev", "everything embedded: Kafka, Redis, two nodes, demo services and page", runDev},
		{"serve", "one node: parley serve --config parley.yaml", runServe},
		{"worker", "HTTP services behind topics: parley worker --service orders --forward http://localhost:3000", runWorker},
		{"config", "the effective configuration, secrets masked", runConfig},
		{"demo", "the demo services alone, on a Kafka of yours", runDemo},
		{"bench", "load against a gateway, percentiles out", bench.Run},
		{"version", "version, commit and Go version", runVersion},
	}
}

func main() {
	// The first signal asks for an orderly end; unregistering then gives the
	// second its usual effect, an end at once.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	os.Exit(dispatch(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// dispatch runs the command that args name.
func dispatch(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	if len(args) == 0 {
		usage(stderr)
		return exitUsage
	}
	switch args[0] {
	case "help", "-h", "-help", "--help":
		usage(stdout)
		return exitOK
	case "-version", "--version":
		return runVersion(ctx, nil, stdout, stderr)
	}
	for _, c := range commands() {
		if c.name == args[0] {
			return c.run(ctx, args[1:], stdout, stderr)
		}
	}
	fmt.Fprintf(stderr, "parley: there is no command %q\n\n", args[0])
	usage(stderr)
	return exitUsage
}

func usage(w io.Writer) {
	fmt.Fprint(w, "Parley gives browsers and HTTP clients request/reply over Kafka.\n\nUsage: parley <command> [flags]\n\n")
	for _, c := range commands() {
		fmt.Fprintf(w, "  %-9s%s\n", c.name, c.summary)
	}
	fmt.Fprint(w, "\n`parley <command> -h` lists a command's flags.\n")
}

// version is set by the linker for releases.
var version = "dev"

func runVersion(_ context.Context, _ []string, stdout, _ io.Writer) int {
	fmt.Fprintf(stdout, "parley %s%s %s %s/%s\n", version, commit(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return exitOK
}

// commit is what the Go tool noted of the source's state, "" where it noted nothing.
func commit() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	var revision, modified string
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			revision = s.Value[:min(12, len(s.Value))]
		case "vcs.modified":
			modified = strings.Replace(strings.Replace(s.Value, "true", "+changes", 1), "false", "", 1)
		}
	}
	if revision == "" {
		return ""
	}
	return " (" + revision + modified + ")"
}

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
)

// fleet is the gateway nodes of `parley dev`, each a process of its own.
type fleet struct {
	nodes   []*child
	origins []string // by which browsers come to the nodes
}

// devShutdown is how long a node of `parley dev` may take to end.
const devShutdown = 5 * time.Second

// newFleet prepares the nodes; none runs yet. Their addresses are tried, so that
// one that is taken is told by name and before anything else happens.
func newFleet(o devOptions, s *servers, log *slog.Logger, stderr io.Writer) (*fleet, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program, to start nodes: %w", err)
	}
	f := &fleet{}
	listen, admin := splitList(o.listen), splitList(o.admin)
	if listen, err = freeAddresses(listen); err != nil {
		return nil, err
	}
	if _, err = freeAddresses(admin); err != nil {
		return nil, err
	}
	var pages []string
	for _, address := range listen {
		page := pageURL(address)
		pages = append(pages, page)
		f.origins = append(f.origins, page, strings.Replace(page, "localhost", "127.0.0.1", 1)) // a browser may call this machine by either name
	}
	for i, address := range listen {
		n := &child{
			id: string(rune('a' + i%26)), url: pages[i], program: program, log: log, stderr: stderr,
			env: environWithout(os.Environ(), envPrefix),
			args: []string{
				"serve", "--listen", address, "--nodes", strings.Join(slices.Delete(slices.Clone(pages), i, i+1), ","),
				"--origins", strings.Join(append(splitList(o.origins), f.origins...), ","), "--kafka.brokers", strings.Join(s.brokers, ","),
				"--shutdown", devShutdown.String(), "--log.level", o.logLevel, "--log.format", "text",
			},
		}
		adminAddress := ""
		if len(admin) > 0 {
			adminAddress = admin[i]
		}
		n.args = append(n.args, "--node", n.id, "--admin", adminAddress)
		for name, topic := range demoTopics() {
			n.args = append(n.args, "--services."+name+".topic", topic)
			for key, value := range demoDescriptions[name] {
				n.args = append(n.args, "--services."+name+"."+key, value)
			}
		}
		n.args = append(n.args, slices.Concat(pipelineFlags(), pricesFlags())...)
		n.env = append(n.env, "PARLEY_REDIS_URL="+s.redis) // it may hold a password, and everybody can read arguments
		f.nodes = append(f.nodes, n)
	}
	return f, nil
}

// tell sets a variable of the nodes' environment, before they are started.
func (f *fleet) tell(name, value string) {
	for _, n := range f.nodes {
		n.env = append(n.env, name+"="+value)
	}
}

// startAll starts the nodes and waits until all are ready.
func (f *fleet) startAll(ctx context.Context) error {
	errs := make([]error, len(f.nodes))
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var starting sync.WaitGroup
	for i, n := range f.nodes {
		starting.Go(func() {
			if errs[i] = n.start(); errs[i] == nil {
				errs[i] = n.await(ctx, childUp)
			}
			if errs[i] != nil {
				cancel() // the others need not be waited for
			}
		})
	}
	starting.Wait()
	for _, err := range errs {
		if err != nil && !errors.Is(err, context.Canceled) {
			return err
		}
	}
	return errors.Join(errs...)
}

// end ends the nodes that run, and waits for that.
func (f *fleet) end() {
	var ending sync.WaitGroup
	for _, n := range f.nodes {
		ending.Go(n.end)
	}
	ending.Wait()
}

// find answers the node with an id, or nil.
func (f *fleet) find(id string) *child {
	i := slices.IndexFunc(f.nodes, func(n *child) bool { return n.id == id })
	if i < 0 {
		return nil
	}
	return f.nodes[i]
}

// freeAddresses tries whether one can listen on these, and answers them with the
// ports that the system chose where it had the choice.
func freeAddresses(addresses []string) (free []string, err error) {
	for _, address := range addresses {
		l, err := net.Listen("tcp", address)
		if err != nil {
			return nil, fmt.Errorf("%s cannot be used for a node: %w", address, err)
		}
		defer l.Close()
		if host, port, err := net.SplitHostPort(address); err == nil && port == "0" {
			_, port, _ = net.SplitHostPort(l.Addr().String())
			address = net.JoinHostPort(host, port)
		}
		free = append(free, address)
	}
	return free, nil
}

// environWithout leaves out the variables with a prefix: what is set for other
// nodes is not meant for these.
func environWithout(environ []string, prefix string) []string {
	return slices.DeleteFunc(slices.Clone(environ), func(v string) bool { return strings.HasPrefix(v, prefix) })
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

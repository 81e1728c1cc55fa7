package main

import (
	"encoding/json"
	"fmt"
	"mime"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"
)

// devControlVariable tells the nodes of `parley dev` where their page can have
// nodes killed and started: the address of a control.
const devControlVariable = "PARLEY_DEV_CONTROL"

// control lets the demo page of `parley dev` kill nodes and start them again:
//
//	GET  /nodes              {"nodes":[{"id":"a","state":"up"},{"id":"b","state":"down","why":"signal: killed"}]}
//	POST /nodes/{id}/kill    kill -9
//	POST /nodes/{id}/term    SIGTERM: it drains
//	POST /nodes/{id}/start   again
//
// A node is starting, up, ending or down. Each call answers the states. It
// listens on loopback only, answers to that name only (a foreign name that
// resolves here is refused), and lets browsers call from the nodes' pages alone.
// A POST is JSON, which no page of another origin can send unasked.
type control struct {
	nodes    *fleet
	listener net.Listener
	server   *http.Server
	serving  sync.WaitGroup
}

// newControl serves the nodes' control on a port that the system chooses.
func newControl(nodes *fleet) (*control, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for the page's buttons: %w", err)
	}
	c := &control{nodes: nodes, listener: l}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /nodes", c.list)
	mux.HandleFunc("POST /nodes/{id}/{verb}", c.act)
	c.server = &http.Server{Handler: c.guard(mux), ReadTimeout: 10 * time.Second, MaxHeaderBytes: 16 << 10}
	c.serving.Go(func() { _ = c.server.Serve(l) }) // until close
	return c, nil
}

func (c *control) url() string { return "http://" + c.listener.Addr().String() }

func (c *control) close() {
	c.server.Close()
	c.serving.Wait()
}

// guard keeps out whom the buttons are not for.
func (c *control) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Vary", "Origin")
		h.Set("Cache-Control", "no-store")
		h.Set("X-Content-Type-Options", "nosniff")
		origin := r.Header.Get("Origin")
		if r.Host != c.listener.Addr().String() || origin != "" && !slices.Contains(c.nodes.origins, origin) {
			http.Error(w, "only the pages of these nodes may call", http.StatusForbidden)
			return
		}
		if origin != "" {
			h.Set("Access-Control-Allow-Origin", origin)
		}
		if r.Method == http.MethodOptions {
			h.Set("Access-Control-Allow-Methods", "GET, POST")
			h.Set("Access-Control-Allow-Headers", "content-type")
			h.Set("Access-Control-Max-Age", "600")
			w.WriteHeader(http.StatusNoContent)
			return
		}
		if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); r.Method == http.MethodPost && (err != nil || kind != "application/json") {
			http.Error(w, "want Content-Type: application/json", http.StatusUnsupportedMediaType)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// act does to a node what its path says.
func (c *control) act(w http.ResponseWriter, r *http.Request) {
	n := c.nodes.find(r.PathValue("id"))
	if n == nil {
		http.Error(w, "there is no such node", http.StatusNotFound)
		return
	}
	var err error
	switch r.PathValue("verb") {
	case "kill":
		err = n.kill()
	case "term":
		err = n.terminate()
	case "start":
		err = n.start()
	default:
		http.Error(w, "want kill, term or start", http.StatusNotFound)
		return
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusConflict)
		return
	}
	c.list(w, r)
}

// childJSON is a node as the page sees it.
type childJSON struct {
	ID    string `json:"id"`
	State string `json:"state"`
	Why   string `json:"why,omitempty"`
}

func (c *control) list(w http.ResponseWriter, _ *http.Request) {
	var all struct {
		Nodes []childJSON `json:"nodes"`
	}
	for _, n := range c.nodes.nodes {
		state, why := n.now()
		all.Nodes = append(all.Nodes, childJSON{n.id, state.word(), why})
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(all)
}

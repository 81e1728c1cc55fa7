package web

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"path"
	"strings"
)

//go:embed static client
var files embed.FS

// clientPath is where the JavaScript client's modules are.
const clientPath = "/client/"

// PageOptions are what the demo page is told.
type PageOptions struct {
	// Nodes are the gateway's nodes, as browsers reach them. This node is added
	// where it is missing, under the address by which the browser came.
	Nodes []PageNode
	// Control is the address by which the page can have nodes killed and started
	// again; "" where there is none, which is everywhere but in `parley dev`.
	Control string
}

// PageNode is a node, and the http or https address of its clients' side.
type PageNode struct {
	ID  string // "" where it is not known
	URL string
}

// page is the demo page and the client module, by path.
type page struct {
	assets map[string]http.Handler
}

// newPage loads what is served as it is. The client module is there even where
// the page is off.
func newPage(o *PageOptions, s *Server) (*page, error) {
	p := &page{assets: make(map[string]http.Handler)}
	err := fs.WalkDir(files, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		body, err := files.ReadFile(name)
		if err != nil {
			return err
		}
		a := newAsset(name, body)
		if below, isPage := strings.CutPrefix(name, "static/"); !isPage {
			if path.Ext(name) == ".js" {
				p.assets["/"+name] = forEverybody(a)
			}
		} else if o != nil {
			p.assets["/"+below] = a
		}
		return nil
	})
	if err != nil || o == nil {
		return p, err
	}
	for name, a := range p.assets {
		if !strings.HasPrefix(name, clientPath) {
			p.assets[name] = strict(a, o)
		}
	}
	p.assets["/"] = p.assets["/index.html"]
	if p.assets["/"] == nil {
		return nil, errors.New("the demo page has no index.html")
	}
	p.assets["/docs"] = p.assets["/docs.html"]
	p.assets["/page.json"] = about{s, o.Nodes, o.Control}
	return p, checkNodes(o.Nodes)
}

func checkNodes(nodes []PageNode) error {
	var errs []error
	for _, n := range nodes {
		u, err := url.Parse(n.URL)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.User != nil || !isHost(u.Host) {
			errs = append(errs, fmt.Errorf("node address %q is no http or https address", n.URL))
		}
	}
	return errors.Join(errs...)
}

// forEverybody lets pages of any origin import a module.
func forEverybody(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if h := w.Header(); h["Access-Control-Allow-Origin"] == nil { // else a browser would show no cookies
			h.Set("Access-Control-Allow-Origin", "*")
		}
		w.Header().Set("Cross-Origin-Resource-Policy", "cross-origin")
		next.ServeHTTP(w, r)
	})
}

// strict serves the page under a policy by which nothing that a reply brings can
// run, load or frame anything; it may talk to the nodes and their control alone.
func strict(next http.Handler, o *PageOptions) http.Handler {
	const fixed = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; " +
		"frame-ancestors 'none'; base-uri 'none'; form-action 'none'; connect-src 'self'"
	var others strings.Builder
	for _, n := range o.Nodes {
		if u, err := url.Parse(n.URL); err == nil {
			fmt.Fprintf(&others, " %s://%s %s://%s", u.Scheme, u.Host, strings.Replace(u.Scheme, "http", "ws", 1), u.Host)
		}
	}
	if u, err := url.Parse(o.Control); err == nil && isHost(u.Host) {
		fmt.Fprintf(&others, " http://%s", u.Host)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		policy := fixed
		if isHost(r.Host) { // not every browser takes 'self' for sockets too
			policy += " ws://" + r.Host + " wss://" + r.Host
		}
		h := w.Header()
		h.Set("Content-Security-Policy", policy+others.String())
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Embedder-Policy", "require-corp") // both: else the page's clock is coarse
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		next.ServeHTTP(w, r)
	})
}

// isHost tells whether a text can only be a host with a port, and so may stand
// in a policy.
func isHost(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case c == '.', c == '-', c == '_', c == ':', c == '[', c == ']':
		default:
			return false
		}
	}
	return s != ""
}

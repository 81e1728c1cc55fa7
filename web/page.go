package web

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"

	"parley/routing"
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

var contentTypes = map[string]string{
	".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8",
	".js": "text/javascript; charset=utf-8", ".mjs": "text/javascript; charset=utf-8",
	".svg": "image/svg+xml", ".png": "image/png", ".ico": "image/x-icon", ".webp": "image/webp",
	".json": "application/json", ".woff2": "font/woff2",
}

// newPage loads what is served as it is. The client module is there even where
// the page is off.
func newPage(o *PageOptions, router *routing.Router) (*page, error) {
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
			p.assets[name] = strict(a, o.Nodes)
		}
	}
	p.assets["/"] = p.assets["/index.html"]
	if p.assets["/"] == nil {
		return nil, errors.New("the demo page has no index.html")
	}
	p.assets["/page.json"] = about{router, o.Nodes}
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

// asset is a file with a validator, so that browsers ask but seldom load.
type asset struct {
	name, contentType, tag string
	body                   []byte
}

func newAsset(name string, body []byte) *asset {
	sum := sha256.Sum256(body)
	return &asset{
		name: path.Base(name), contentType: contentTypes[path.Ext(name)], body: body,
		tag: `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`,
	}
}

func (a *asset) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h["Etag"] = []string{a.tag}
	h["Cache-Control"] = []string{"no-cache"}
	h["X-Content-Type-Options"] = nosniff
	if a.contentType != "" {
		h["Content-Type"] = []string{a.contentType}
	}
	http.ServeContent(w, r, a.name, time.Time{}, bytes.NewReader(a.body))
}

// forEverybody lets pages of any origin import a module.
func forEverybody(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", "*")
		w.Header().Set("Cross-Origin-Resource-Policy", "cross-origin")
		next.ServeHTTP(w, r)
	})
}

// strict serves the page under a policy by which nothing that a reply brings can
// run, load or frame anything; it may talk to the nodes alone.
func strict(next http.Handler, nodes []PageNode) http.Handler {
	const fixed = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; " +
		"frame-ancestors 'none'; base-uri 'none'; form-action 'none'; connect-src 'self'"
	var others strings.Builder
	for _, n := range nodes {
		if u, err := url.Parse(n.URL); err == nil {
			fmt.Fprintf(&others, " %s://%s %s://%s", u.Scheme, u.Host, strings.Replace(u.Scheme, "http", "ws", 1), u.Host)
		}
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

// about serves /page.json.
type about struct {
	router *routing.Router
	nodes  []PageNode
}

type aboutJSON struct {
	Node     string        `json:"node"`
	Nodes    []nodeJSON    `json:"nodes"`
	Services []serviceJSON `json:"services"`
}

type nodeJSON struct {
	ID   string `json:"id,omitempty"`
	URL  string `json:"url"`
	Self bool   `json:"self"`
}

type serviceJSON struct {
	Name    string `json:"name"`
	Topic   string `json:"topic"`
	Timeout int64  `json:"timeout"` // ms
}

func (a about) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	self := string(a.router.Node())
	out := aboutJSON{Node: self, Services: []serviceJSON{}}
	here := schemeOf(r) + "://" + r.Host
	found := false
	for _, n := range a.nodes {
		mine := n.ID == self || n.ID == "" && sameOrigin(n.URL, here)
		if mine {
			n.ID = self
		}
		found = found || mine
		out.Nodes = append(out.Nodes, nodeJSON{n.ID, n.URL, mine})
	}
	if !found {
		out.Nodes = append([]nodeJSON{{self, here, true}}, out.Nodes...)
	}
	for _, s := range a.router.Services() {
		out.Services = append(out.Services, serviceJSON{s.Name, s.Topic, s.Timeout.Milliseconds()})
	}
	body, _ := json.Marshal(out)
	writeStatus(w, http.StatusOK, body)
}

func sameOrigin(a, b string) bool {
	u, err := url.Parse(a)
	v, err2 := url.Parse(b)
	return err == nil && err2 == nil && normalOrigin(u.Scheme, u.Host) == normalOrigin(v.Scheme, v.Host)
}

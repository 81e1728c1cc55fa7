package web

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sort"
	"strings"

	"parley/routing"
)

const (
	// exposed are the response headers that scripts of other origins may read,
	// besides those that any may.
	exposed = "Etag, Location, Parley-Request-Id, Parley-Trace, Preference-Applied, Retry-After"
	// preflightFor is how long browsers may remember that a call is allowed, in seconds.
	preflightFor = "600"
)

// Values that are the same on every response are shared.
var varyOrigin, exposedAlone, yes = []string{"Origin"}, []string{exposed}, []string{"true"}

// origins are the web origins that may call, besides the gateway's own.
type origins struct {
	all     bool
	cookies bool            // pages may show theirs
	allowed map[string]bool // scheme://host[:port], in lower case, without a default port
}

func newOrigins(list []string) (origins, error) {
	o := origins{allowed: make(map[string]bool, len(list))}
	var errs []error
	for _, text := range list {
		if text == "*" {
			o.all = true
			continue
		}
		u, err := url.Parse(text)
		if err != nil || u.Scheme == "" || u.Host == "" || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
			errs = append(errs, fmt.Errorf("origin %q is neither scheme://host[:port] nor *", text))
			continue
		}
		o.allowed[normalOrigin(u.Scheme, u.Host)] = true
	}
	return o, errors.Join(errs...)
}

func normalOrigin(scheme, host string) string {
	scheme, host = strings.ToLower(scheme), strings.ToLower(host)
	switch scheme {
	case "http":
		host = strings.TrimSuffix(host, ":80")
	case "https":
		host = strings.TrimSuffix(host, ":443")
	}
	return scheme + "://" + host
}

// allow tells whether a request from this origin is served.
func (o *origins) allow(origin string, r *http.Request) bool {
	if o.all {
		return true
	}
	scheme, host, ok := strings.Cut(origin, "://")
	if !ok {
		return false // "null": a sandbox, a file
	}
	from := normalOrigin(scheme, host)
	return o.allowed[from] || from == normalOrigin(schemeOf(r), r.Host)
}

// schemeOf is the scheme by which a request came, as this server sees it.
func schemeOf(r *http.Request) string {
	if r.TLS != nil {
		return "https"
	}
	return "http"
}

// guardOrigins refuses browsers that call from elsewhere, answers preflights, and
// lets scripts of allowed origins read the responses.
func (s *Server) guardOrigins(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, clientPath) {
			next.ServeHTTP(w, r) // everybody's
			return
		}
		h := w.Header()
		h["Vary"] = varyOrigin
		origin := r.Header["Origin"]
		if len(origin) == 0 {
			next.ServeHTTP(w, r)
			return
		}
		if len(origin) > 1 || !s.origins.allow(origin[0], r) {
			e := refusal(routing.Forbidden, "the origin %q may not call this gateway", clip(origin[0]))
			s.refuse(w, r, 0, e)
			return
		}
		h["Access-Control-Allow-Origin"] = origin
		h["Access-Control-Expose-Headers"] = exposedAlone
		if s.origins.cookies {
			h["Access-Control-Allow-Credentials"] = yes
		}
		if r.Method == http.MethodOptions && r.Header.Get("Access-Control-Request-Method") != "" {
			preflight(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// preflight tells a browser that an allowed origin may use every method and the
// headers that it asks for: what they may do is decided by the call itself.
func preflight(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Vary", "Origin, Access-Control-Request-Method, Access-Control-Request-Headers")
	h.Del("Access-Control-Expose-Headers")
	h.Set("Access-Control-Allow-Methods", serviceMethods)
	h.Set("Access-Control-Max-Age", preflightFor)
	var names []string
	for name := range strings.SplitSeq(r.Header.Get("Access-Control-Request-Headers"), ",") {
		if name = strings.ToLower(strings.TrimSpace(name)); isToken(name) {
			names = append(names, name)
		}
	}
	if len(names) > 0 {
		h.Set("Access-Control-Allow-Headers", strings.Join(names, ", "))
	}
	w.WriteHeader(http.StatusNoContent)
}

// exposeMore adds a reply's x-… headers to those that scripts may read.
func exposeMore(h http.Header) {
	if h["Access-Control-Allow-Origin"] == nil {
		return
	}
	var more []string
	for name := range h {
		if strings.HasPrefix(name, "X-") {
			more = append(more, name)
		}
	}
	sort.Strings(more)
	h["Access-Control-Expose-Headers"] = []string{strings.Join(append([]string{exposed}, more...), ", ")}
}

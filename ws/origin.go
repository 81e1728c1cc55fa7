package ws

import (
	"net/http"
	"net/url"
	"strings"
)

// origins are the web origins that may connect, besides the gateway's own.
type origins struct {
	all    bool
	listed map[string]bool
}

func newOrigins(list []string) origins {
	o := origins{listed: make(map[string]bool)}
	for _, origin := range list {
		o.all = o.all || origin == "*"
		o.listed[canonical(origin)] = true
	}
	return o
}

// allow tells whether a request may become a socket. One without Origin is not
// a browser's and passes; others are compared by scheme, host and port, since a
// browser lets any page open a socket anywhere, with the cookies of there.
func (o origins) allow(r *http.Request) bool {
	origin := r.Header.Get("Origin")
	if origin == "" || o.all {
		return true
	}
	origin = canonical(origin)
	return origin == canonical(ownScheme(r)+"://"+r.Host) || o.listed[origin]
}

// ownScheme is the scheme under which browsers know the gateway. A proxy that
// ends TLS says so in X-Forwarded-Proto. It may be believed, because no page can
// set a header of a WebSocket handshake.
func ownScheme(r *http.Request) string {
	if r.TLS != nil || strings.EqualFold(r.Header.Get("X-Forwarded-Proto"), "https") {
		return "https"
	}
	return "http"
}

// canonical spells an origin in one way: small letters, no default port, no
// slash at the end. What is no origin, such as null, stays as it is.
func canonical(origin string) string {
	origin = strings.TrimSuffix(strings.ToLower(origin), "/")
	u, err := url.Parse(origin)
	if err != nil || u.Host == "" {
		return origin
	}
	host := u.Host
	switch u.Scheme {
	case "http":
		host = strings.TrimSuffix(host, ":80")
	case "https":
		host = strings.TrimSuffix(host, ":443")
	}
	return u.Scheme + "://" + host
}

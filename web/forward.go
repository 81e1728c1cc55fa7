package web

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net/textproto"
	"slices"
	"strings"

	"parley/routing"
)

const (
	maxHeaders     = 32      // of a call's record
	maxHeaderBytes = 8 << 10 // of their names and values together
)

var defaultForward = []string{"content-type", "accept", "accept-language", "traceparent", "tracestate", "x-*"}

// forward is a list of request headers that become record headers. Names are
// kept in the canonical spelling of net/http, so that looking one up costs no
// conversion.
type forward struct {
	names    map[string]string // canonical -> lower case
	prefixes []string          // canonical
}

// secret headers are refused in a list; connection headers and the door's own
// are passed over even where a pattern fits.
var (
	secret = []string{"Authorization", "Cookie", "Proxy-Authorization"}
	never  = canonicalSet("authorization", "cookie", "proxy-authorization",
		"connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade", "expect",
		"content-length", "content-type", "host", "parley-key", "parley-want")
)

func canonicalSet(names ...string) map[string]bool {
	set := make(map[string]bool, len(names))
	for _, name := range names {
		set[textproto.CanonicalMIMEHeaderKey(name)] = true
	}
	return set
}

// newForwards compiles every service's list.
func newForwards(lists map[string][]string) (map[string]*forward, error) {
	all := make(map[string]*forward, len(lists))
	var errs []error
	for _, service := range slices.Sorted(maps.Keys(lists)) {
		list, err := newForward(lists[service])
		if err != nil {
			errs = append(errs, fmt.Errorf("forwarded headers of service %q: %w", service, err))
		}
		all[service] = list
	}
	return all, errors.Join(errs...)
}

func newForward(patterns []string) (*forward, error) {
	f := &forward{names: make(map[string]string)}
	var errs []error
	for _, pattern := range patterns {
		name, any := strings.CutSuffix(pattern, "*")
		canonical := textproto.CanonicalMIMEHeaderKey(name)
		switch {
		case !(any && name == "") && (!isToken(name) || name != strings.ToLower(name) || strings.Contains(name, "*")):
			errs = append(errs, fmt.Errorf("%q is neither a lower-case header name nor one with a * at its end", pattern))
		case slices.Contains(secret, canonical):
			errs = append(errs, fmt.Errorf("%q is never passed on", pattern))
		case any:
			f.prefixes = append(f.prefixes, canonical)
		default:
			f.names[canonical] = name
		}
	}
	return f, errors.Join(errs...)
}

// has tells whether a header, spelled as net/http does, is in the list.
func (f *forward) has(canonical string) bool {
	if f.names[canonical] != "" {
		return true
	}
	for _, prefix := range f.prefixes {
		if strings.HasPrefix(canonical, prefix) {
			return true
		}
	}
	return false
}

// headers picks the record headers out of a request's, in the order of their
// names. Several of one name are joined as HTTP joins them.
func (f *forward) headers(request map[string][]string, reserved func(string) bool) ([]routing.Header, *routing.Error) {
	var picked []routing.Header
	size := 0
	for canonical, values := range request {
		if !f.has(canonical) || never[canonical] {
			continue
		}
		name := f.names[canonical]
		if name == "" {
			name = strings.ToLower(canonical)
		}
		value := strings.Join(values, ", ")
		switch size += len(name) + len(value); {
		case strings.HasPrefix(name, "parley-") || reserved(name):
			return nil, invalidParams("the header %q has a name that Parley uses itself", name)
		case len(picked) >= maxHeaders:
			return nil, invalidParams("at most %d headers are passed on", maxHeaders)
		case size > maxHeaderBytes:
			return nil, invalidParams("the headers that are passed on may have at most %d bytes in all", maxHeaderBytes)
		case !isText(value):
			return nil, invalidParams("the header %q is not UTF-8", name)
		}
		picked = append(picked, routing.Header{Key: name, Value: []byte(value)})
	}
	slices.SortFunc(picked, func(a, b routing.Header) int { return cmp.Compare(a.Key, b.Key) })
	return picked, nil
}

// isToken tells whether a text is a token as HTTP has it.
func isToken(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0:
		default:
			return false
		}
	}
	return s != ""
}

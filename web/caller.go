package web

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"parley/routing"
)

// Authenticator finds out who shows a token, "" for none. It answers nil for nobody in
// particular, where that is allowed, and may block while keys are fetched. Its error is
// Unauthorized, or Unavailable where it cannot tell.
type Authenticator interface {
	Authenticate(ctx context.Context, token string) (*routing.Caller, *routing.Error)
}

// callerKey is where a request's context has its caller.
type callerKey struct{}

// caller is who makes a request that known has let pass; nil for nobody in particular.
func (s *Server) caller(r *http.Request) *routing.Caller {
	if s.auth == nil {
		return nil
	}
	c, _ := r.Context().Value(callerKey{}).(*routing.Caller)
	return c
}

// subject is the caller's name; "" for nobody in particular.
func (s *Server) subject(r *http.Request) string { return s.caller(r).Name() }

// known serves those whose token is good, and others where none is required.
func (s *Server) known(next http.Handler) http.Handler {
	if s.auth == nil {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token := s.token(r)
		caller, e := s.auth.Authenticate(r.Context(), token)
		if e != nil {
			s.refuseToken(w, r, token, e)
			return
		}
		if caller != nil {
			r = r.WithContext(context.WithValue(r.Context(), callerKey{}, caller))
		}
		next.ServeHTTP(w, r)
	})
}

// token is what a request shows: its bearer token (RFC 6750), else the cookie, where
// there may be one.
func (s *Server) token(r *http.Request) string {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if strings.EqualFold(scheme, "Bearer") {
		return strings.TrimSpace(token)
	}
	if s.cookie == "" || !ownWish(r.Header) {
		return ""
	}
	c, err := r.Cookie(s.cookie)
	if err != nil {
		return ""
	}
	return c.Value
}

// ownWish tells whether a request is the wish of a page that may call, or of a person,
// as far as the browser says: another page can have a browser show its cookies too.
// Origins have been checked, but a GET by a foreign page's image has none.
func ownWish(h http.Header) bool {
	site := h.Get("Sec-Fetch-Site")
	return h.Get("Origin") != "" || site == "" || site == "same-origin" || site == "none"
}

// refuseToken answers a request whose token is missing or not good.
func (s *Server) refuseToken(w http.ResponseWriter, r *http.Request, token string, e *routing.Error) {
	if token != "" && e.Word == routing.Unauthorized {
		challenge(w, "invalid_token", e.Message)
	}
	s.refuse(w, r, 0, e)
}

// realm begins what a caller without a token is told.
const realm = `Bearer realm="parley"`

// challenge says in the words of RFC 6750 what was wrong with a token.
func challenge(w http.ResponseWriter, word, why string) {
	plain := strings.Map(func(c rune) rune {
		if c < ' ' || c > '~' || c == '"' || c == '\\' {
			return -1
		}
		return c
	}, why)
	w.Header()["Www-Authenticate"] = []string{realm + `, error="` + word + `", error_description="` + plain + `"`}
}

// refuseAccess answers a call of a service that its caller may not use.
func (s *Server) refuseAccess(w http.ResponseWriter, r *http.Request, service *routing.Service, e *routing.Error) {
	if e.Word == routing.Forbidden {
		challenge(w, "insufficient_scope", e.Message)
	}
	s.refuseCall(w, r, service, e)
}

// errExpired is why a wait ends whose caller's token has expired.
var errExpired = errors.New("the token has expired")

// expiry is a channel from which something comes when a request's token has expired; nil
// where it does not.
func (s *Server) expiry(r *http.Request) (expired <-chan time.Time, stop func() bool) {
	c := s.caller(r)
	if c == nil {
		return nil, func() bool { return false }
	}
	t := time.NewTimer(time.Until(c.Until))
	return t.C, t.Stop
}

// whileValid is a request's context that ends when its token has expired.
func (s *Server) whileValid(r *http.Request) (context.Context, context.CancelFunc) {
	c := s.caller(r)
	if c == nil {
		return context.WithCancel(r.Context())
	}
	return context.WithDeadlineCause(r.Context(), c.Until, errExpired)
}

// hasExpired is the error of a call that ends for that: its request goes on.
func hasExpired() *routing.Error {
	return &routing.Error{Word: routing.Unauthorized, Message: "the token has expired: come back with another", Outcome: routing.Unknown}
}

// refuseExpired answers a call whose token has expired while it waited.
func (s *Server) refuseExpired(w http.ResponseWriter, r *http.Request, id routing.RequestID) {
	e := hasExpired()
	challenge(w, "invalid_token", e.Message)
	s.refuseKept(w, r, e, id)
}

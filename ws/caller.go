package ws

import (
	"context"
	"encoding/base64"
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

// tokenProtocol begins an element of Sec-WebSocket-Protocol that is a token, in base64url:
// a browser can set no other header. It is never answered with.
const tokenProtocol = "parley.token."

// token is what a handshake shows: its bearer token, that of a subprotocol, or the
// cookie, where there may be one. The origin has been checked.
func (s *Server) token(r *http.Request) string {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if strings.EqualFold(scheme, "Bearer") {
		return strings.TrimSpace(token)
	}
	for _, line := range r.Header.Values("Sec-WebSocket-Protocol") {
		for name := range strings.SplitSeq(line, ",") {
			if coded, is := strings.CutPrefix(strings.TrimSpace(name), tokenProtocol); is {
				text, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(coded, "="))
				if err != nil || len(text) == 0 {
					return coded // which is no token: it is refused as a bad one
				}
				return string(text)
			}
		}
	}
	if s.o.Cookie == "" {
		return ""
	}
	c, err := r.Cookie(s.o.Cookie)
	if err != nil {
		return ""
	}
	return c.Value
}

// identify finds out who connects, before the handshake, and answers how the socket is to
// end where that is nobody whom it may serve. Under parley.v1 the hello may have the token.
func (c *conn) identify(ctx context.Context, token string) *closing {
	s := c.server
	if s.o.Auth == nil || token == "" {
		return nil
	}
	caller, e := s.o.Auth.Authenticate(ctx, token)
	if e != nil {
		return c.unidentified(e)
	}
	return c.identified(caller)
}

// identified notes who the caller is, and answers how the socket is to end of one whom it
// could serve nothing, however long it stays.
func (c *conn) identified(caller *routing.Caller) *closing {
	if caller != nil && !c.server.o.Router.Serves(caller) {
		return &closeForbidden
	}
	c.caller = caller
	return nil
}

// admit finds out who says hello, or opens the plain door, with this token, and tells
// whether it may go on; else the socket is closed. "" stands for that of the handshake.
func (c *conn) admit(token string) bool {
	s := c.server
	if s.o.Auth == nil {
		return true
	}
	if token == "" && c.session != nil {
		c.caller = c.session.Caller() // of the plain door
	}
	if token == "" && c.caller != nil {
		return true
	}
	ctx, cancel := context.WithTimeout(context.Background(), closeWait)
	defer cancel()
	caller, e := s.o.Auth.Authenticate(ctx, token)
	if e != nil {
		c.close(c.unidentified(e))
		return false
	}
	if end := c.identified(caller); end != nil {
		c.close(end)
		return false
	}
	return true
}

// unidentified is how the socket ends of one whose token is missing or not good. A close
// frame has room for 123 bytes.
func (c *conn) unidentified(e *routing.Error) *closing {
	if e.Word != routing.Unauthorized {
		return &closeNoKeys
	}
	return &closing{4401, string(routing.Unauthorized), strings.ToValidUTF8(e.Message[:min(len(e.Message), 120)], "")}
}

// expireLocked has the socket end when its caller's token does. The session goes on, for
// whoever of the same subject comes back in time.
func (c *conn) expireLocked(caller *routing.Caller) {
	if caller == nil || caller.Until.IsZero() {
		return
	}
	if at := c.server.clock() + time.Until(caller.Until); at < c.endAt {
		c.endAt, c.expires = at, true
		c.wakeTimerLocked(at)
	}
}

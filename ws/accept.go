package ws

import (
	"net/http"
	"strings"
)

const subprotocol = "parley.v1"

// accept makes the request a socket. Where that fails the client has been
// answered. unknown tells that the client wants only subprotocols that there are not.
func (c *conn) accept(rw http.ResponseWriter, r *http.Request) (unknown bool, err error) {
	c.v1, unknown = false, false
	speak := []string{subprotocol}
	if offered := offers(r); len(offered) > 0 {
		c.v1 = containsFold(offered, subprotocol)
		if unknown = !c.v1; unknown {
			// A browser that gets none of what it offered fails the handshake, and would
			// not show the page the close code that says why.
			speak = offered[:1]
		}
	}
	w := new(wire)
	if err = w.accept(rw, r, speak); err != nil {
		return unknown, err
	}
	w.line.conn, c.wire = c, w
	c.attach(w.line.Conn)
	return unknown, nil
}

// offers are the subprotocols that a client offers, but for one that is a token.
func offers(r *http.Request) (all []string) {
	for _, line := range r.Header.Values("Sec-WebSocket-Protocol") {
		for name := range strings.SplitSeq(line, ",") {
			if name = strings.TrimSpace(name); name != "" && !strings.HasPrefix(name, tokenProtocol) {
				all = append(all, name)
			}
		}
	}
	return all
}

func containsFold(all []string, one string) bool {
	for _, s := range all {
		if strings.EqualFold(s, one) {
			return true
		}
	}
	return false
}

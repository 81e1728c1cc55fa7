package web

import (
	"encoding/json"
	"net/http"
	"net/url"

	"parley/routing"
)

// about serves /page.json.
type about struct {
	server  *Server
	nodes   []PageNode
	control string
}

type aboutJSON struct {
	Node     string        `json:"node"`
	Nodes    []nodeJSON    `json:"nodes"`
	Services []serviceJSON `json:"services"`
	Control  string        `json:"control,omitempty"`
	Auth     bool          `json:"auth,omitempty"` // callers may show who they are
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
	self := string(a.server.router.Node())
	out := aboutJSON{Node: self, Services: []serviceJSON{}, Control: a.control, Auth: a.server.auth != nil}
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
	for _, s := range a.services(r) {
		out.Services = append(out.Services, serviceJSON{s.Name, s.Topic, s.Timeout.Milliseconds()})
	}
	body, _ := json.Marshal(out)
	writeStatus(w, http.StatusOK, body)
}

// services are those that the page's reader may use: it is served to anybody.
func (a about) services(r *http.Request) []*routing.Service {
	if a.server.auth == nil {
		return a.server.router.Services()
	}
	caller, e := a.server.auth.Authenticate(r.Context(), a.server.token(r))
	if e != nil {
		return nil
	}
	return a.server.router.ServicesFor(caller)
}

func sameOrigin(a, b string) bool {
	u, err := url.Parse(a)
	v, err2 := url.Parse(b)
	return err == nil && err2 == nil && normalOrigin(u.Scheme, u.Host) == normalOrigin(v.Scheme, v.Host)
}

package web

import (
	"net/http"
	"net/http/pprof"

	"github.com/gorilla/mux"
)

// Operators serves what is not for clients, and belongs on an address of its
// own: /metrics, /healthz, /readyz and /debug/pprof/.
func (s *Server) Operators(metrics *Metrics) http.Handler {
	m := mux.NewRouter()
	m.Handle("/metrics", s.get(metrics.Handler()))
	m.Handle("/healthz", s.get(http.HandlerFunc(healthz)))
	m.Handle("/readyz", s.get(&s.ready))
	m.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	m.HandleFunc("/debug/pprof/profile", pprof.Profile)
	m.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	m.HandleFunc("/debug/pprof/trace", pprof.Trace)
	m.PathPrefix("/debug/pprof/").HandlerFunc(pprof.Index)
	m.NotFoundHandler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.refuse(w, r, http.StatusNotFound, invalidRequest("there is nothing at %q", clip(r.URL.Path)))
	})
	return s.recovering(m)
}

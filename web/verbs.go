package web

import (
	"maps"
	"net/http"
	"slices"
	"strings"
)

// verbs serves a path whose handlers go by method. Others are refused with
// Allow; OPTIONS tells it.
func (s *Server) verbs(byMethod map[string]http.Handler) http.Handler {
	allow := strings.Join(append(slices.Sorted(maps.Keys(byMethod)), http.MethodOptions), ", ")
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if h := byMethod[r.Method]; h != nil {
			h.ServeHTTP(w, r)
			return
		}
		s.otherMethod(w, r, allow)
	})
}

// get serves a path that can only be read.
func (s *Server) get(h http.Handler) http.Handler {
	bounded := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		boundWrite(w)
		h.ServeHTTP(w, r)
	})
	return s.verbs(map[string]http.Handler{http.MethodGet: bounded, http.MethodHead: bounded})
}

// otherMethod answers a method that a path does not have.
func (s *Server) otherMethod(w http.ResponseWriter, r *http.Request, allow string) {
	w.Header().Set("Allow", allow)
	if r.Method == http.MethodOptions {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	s.refuse(w, r, http.StatusMethodNotAllowed, invalidRequest("%s is not possible here, but %s", clip(r.Method), allow))
}

package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"
)

// server is the process that is measured.
type server struct {
	pid   int
	pprof string
	heap  string
}

// memory is what it takes, in bytes.
type memory struct{ rss, inuse float64 }

// memory makes the server collect its garbage and asks what is left.
func (s server) memory() (m memory, err error) {
	var heap string
	for range 2 { // what the first collection finds dead in pools, the second frees
		time.Sleep(settle)
		if heap, err = get(s.pprof + "/debug/pprof/heap?gc=1&debug=1"); err != nil {
			return m, err
		}
	}
	var heapInuse, stackInuse, pages float64
	for line := range strings.Lines(heap) {
		fmt.Sscanf(line, "# HeapInuse = %g", &heapInuse)
		fmt.Sscanf(line, "# Stack = %g", &stackInuse)
	}
	statm, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", s.pid))
	if err != nil {
		return m, err
	}
	if _, err := fmt.Sscanf(string(statm), "%g %g", new(float64), &pages); err != nil {
		return m, fmt.Errorf("read statm: %w", err)
	}
	return memory{rss: pages * float64(os.Getpagesize()), inuse: heapInuse + stackInuse}, nil
}

// keepHeap keeps a heap profile, where one is wanted.
func (s server) keepHeap() error {
	if s.heap == "" {
		return nil
	}
	heap, err := get(s.pprof + "/debug/pprof/heap?gc=1")
	if err != nil {
		return err
	}
	return os.WriteFile(s.heap, []byte(heap), 0o600)
}

func get(url string) (string, error) {
	response, err := http.Get(url)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return "", fmt.Errorf("%s: %s", url, response.Status)
	}
	body, err := io.ReadAll(response.Body)
	return string(body), err
}

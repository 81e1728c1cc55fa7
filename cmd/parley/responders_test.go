package main

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// The services behind three nodes stop, and start again. Each node refuses requests
// through both doors within 2 s, and takes them again within 2 s, but for those of a
// service whose requests may wait: these are answered when somebody serves again.
func TestNoResponders(t *testing.T) {
	c := newCluster(t, map[string]string{"echo": "murmur2"})
	c.extra = "  basket: {topic: " + c.topic("basket") + ", wait: true}\n"
	topics := map[string]string{"echo": c.topic("echo"), "basket": c.topic("basket")}
	for _, name := range []string{"a", "b", "c"} {
		c.start(name)
	}
	c.settled(12)
	socket := c.nodes[2].talk(t, "")
	stop := c.demoUntil(topics)
	defer func() { stop() }()
	for _, p := range c.nodes {
		p.await(t, "served", func() bool { return p.post("echo", `"hi"`).status == http.StatusOK })
		p.await(t, "told of it", func() bool { return p.metric(t, `parley_service_present{service="echo"}`) == 1 })
	}

	stop()
	begin := time.Now()
	for _, p := range c.nodes {
		p.await(t, "without responders", func() bool {
			a := p.postFor("echo", `"hi"`, "1")
			return a.status == http.StatusServiceUnavailable && strings.Contains(a.body, `"code":"no_responders","outcome":"not_sent","retry":true`) && a.retryAfter != ""
		})
	}
	t.Logf("refused by all after %v", time.Since(begin).Round(time.Millisecond))
	if took := time.Since(begin); took > 5*time.Second { // three requests may have waited a second each
		t.Errorf("refused after %v", took)
	}
	if a := socket.ask(`{"jsonrpc":"2.0","id":1,"method":"echo","params":"hi"}`); a.Error == nil || a.Error.Code != -32012 || a.Error.Data.Code != "no_responders" {
		t.Errorf("through a socket: %v", a)
	}
	waits := make(chan posted, 1)
	go func() { waits <- c.nodes[1].post("basket", `{"basket":"b-1"}`) }()

	// What waits is in the topic before the service is back.
	c.nodes[1].await(t, "holding a request", func() bool { return c.nodes[1].metric(t, "parley_open_requests") == 1 })
	stop = c.demoUntil(topics)
	begin = time.Now()
	for _, p := range c.nodes {
		p.await(t, "served again", func() bool { return p.postFor("echo", `"hi"`, "10").status == http.StatusOK })
	}
	t.Logf("answered by all after %v", time.Since(begin).Round(time.Millisecond))
	if a := <-waits; a.status != http.StatusOK {
		t.Errorf("a request that may wait: %d %s", a.status, a.body)
	}
}

// posted is what a node answered to a call over HTTP.
type posted struct {
	status           int
	body, retryAfter string
}

func (p *process) post(service, body string) posted { return p.postFor(service, body, "30") }

// postFor waits for the outcome for so many seconds.
func (p *process) postFor(service, body, seconds string) (a posted) {
	ask, err := http.NewRequest(http.MethodPost, p.url+"/services/"+service, strings.NewReader(body))
	if err != nil {
		return a
	}
	ask.Header.Set("Content-Type", "application/json")
	ask.Header.Set("Prefer", "wait="+seconds)
	response, err := http.DefaultClient.Do(ask)
	if err != nil {
		return a
	}
	defer response.Body.Close()
	text, _ := io.ReadAll(response.Body)
	return posted{response.StatusCode, string(text), response.Header.Get("Retry-After")}
}

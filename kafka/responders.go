package kafka

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// RespondersOptions say what a Responders watches.
type RespondersOptions struct {
	Services map[string]string // request topic, by service
}

// Responders knows which services nobody serves: the consumer groups that read
// their request topics have no member. Where it is not sure, somebody does.
//
// Somebody may read a topic without its being seen: a consumer that assigns
// itself partitions is a member of nothing. So a topic that no group has ever
// read is not judged. It is when a member was seen there, or when a group without
// members has offsets of it. A service that reads without a group what others have
// read with one is to be configured with wait. Neither is anything judged while
// Kafka does not tell all of it: a broker does not answer, groups may not be seen
// or described, a member does not say what it reads, or offsets are committed by
// readers outside of groups.
//
// Members of a service that was killed stay in its group until their session
// times out (45 s by default), and so does the service. One that leaves its group
// as it ends is gone within 2 s, and back within one.
//
// Absent may be called from any goroutine.
type Responders struct {
	config Config
	log    *slog.Logger
	topics map[string]*readTopic // by service; topics may be shared
	byName map[string]*readTopic // by topic

	// All below is Run's.
	client *kgo.Client
	groups map[string]*knownGroup
	round  int       // of surveys
	wide   time.Time // when all groups were looked at last
	doubt  string    // why nothing was judged in the last survey; "" if it was
}

// readTopic is a request topic, and who reads it.
type readTopic struct {
	name     string
	services []string
	state    atomic.Int32 // a presence

	// Both are Run's.
	seen   bool // a group is known to have read it
	missed int  // surveys in a row that found nobody
}

// presence is what is known of a topic's readers.
type presence int32

const (
	unsure presence = iota
	served
	nobody
)

const (
	surveyEvery = 400 * time.Millisecond
	surveyTime  = time.Second // a cluster that takes longer has not told
	// wideEvery is how often all groups are looked at while no topic is known to
	// have lost its readers.
	wideEvery = 1500 * time.Millisecond
	// missesToJudge is how many surveys in a row must find nobody. A coordinator
	// that takes a partition over knows no groups for a moment.
	missesToJudge = 2
)

// NewResponders makes a Responders. It is sure of nothing until Run is.
func NewResponders(c Config, o RespondersOptions) *Responders {
	r := &Responders{
		config: c, log: c.log(), groups: make(map[string]*knownGroup),
		topics: make(map[string]*readTopic), byName: make(map[string]*readTopic),
	}
	for service, topic := range o.Services {
		if r.byName[topic] == nil {
			r.byName[topic] = &readTopic{name: topic}
		}
		r.topics[service] = r.byName[topic]
		r.topics[service].services = append(r.topics[service].services, service)
	}
	for _, t := range r.byName {
		slices.Sort(t.services)
	}
	return r
}

// Absent tells whether certainly nobody serves a service now.
func (r *Responders) Absent(service string) bool {
	t := r.topics[service]
	return t != nil && presence(t.state.Load()) == nobody
}

// Present tells whether a service is served, where that is known.
func (r *Responders) Present(service string) (yes, known bool) {
	t := r.topics[service]
	if t == nil {
		return false, false
	}
	p := presence(t.state.Load())
	return p == served, p != unsure
}

// Run asks the cluster until ctx ends. Its error is that of a configuration
// that no client can be made of.
func (r *Responders) Run(ctx context.Context) error {
	if len(r.byName) == 0 {
		<-ctx.Done()
		return nil
	}
	client, err := r.config.client()
	if err != nil {
		return fmt.Errorf("kafka: watch responders: %w", err)
	}
	defer client.Close()
	r.client = client
	defer r.forget()
	for {
		attempt, cancel := context.WithTimeout(ctx, surveyTime)
		found := r.survey(attempt)
		cancel()
		if ctx.Err() != nil {
			return nil
		}
		r.judge(found)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(surveyEvery):
		}
	}
}

// forget makes r sure of nothing: nobody asks the cluster any longer.
func (r *Responders) forget() {
	for _, t := range r.byName {
		t.state.Store(int32(unsure))
	}
}

// judge draws the conclusions of a survey.
func (r *Responders) judge(f *finding) {
	if f.doubt != r.doubt && f.doubt != "" {
		r.log.Debug("it is not known whether services are served", "why", f.doubt)
	}
	r.doubt = f.doubt
	for _, t := range r.byName {
		switch {
		case f.served[t.name]:
			t.seen, t.missed = true, 0
			r.become(t, served)
		case !f.wide: // then all that were seen are served
		case f.doubt != "" || f.hidden[t.name] || !t.seen:
			t.missed = 0
			r.become(t, unsure)
		default:
			if t.missed++; t.missed >= missesToJudge {
				r.become(t, nobody)
			}
		}
	}
}

// become is the one place where a topic's presence changes.
func (r *Responders) become(t *readTopic, now presence) {
	was := presence(t.state.Swap(int32(now)))
	services := strings.Join(t.services, ",")
	switch {
	case was == now:
	case now == nobody:
		r.log.Warn("nobody serves: requests are refused, unless they may wait", "service", services, "topic", t.name)
	case was == nobody && now == unsure:
		r.log.Info("it is not known any longer that nobody serves", "service", services, "topic", t.name, "why", r.doubt)
	case now == served:
		r.log.Info("service is there", "service", services, "topic", t.name)
	}
}

package kafka

import (
	"context"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// finding is what one survey of the cluster's groups has found.
type finding struct {
	wide   bool            // all groups were looked at, or were to be
	served map[string]bool // topics that a member of a group reads
	hidden map[string]bool // topics that somebody reads who is no member of a group
	doubt  string          // why what was not found may be there all the same; "" for no reason
}

// doubtful notes the first reason for doubt.
func (f *finding) doubtful(format string, args ...any) {
	if f.doubt == "" {
		f.doubt = fmt.Sprintf(format, args...)
	}
}

// knownGroup is what is remembered of a group between surveys.
type knownGroup struct {
	kind   string          // as Kafka calls it: classic, consumer, share, streams
	hides  bool            // see listedGroup.hidesReaders
	topics map[string]bool // those watched that it reads, or has offsets of
	told   int             // the survey in which its members said so last; 0: never
	looked time.Time       // when its offsets were asked for; zero: never
}

const (
	// hiddenEvery is how often offsets are looked at that are committed by others
	// than members.
	hiddenEvery = time.Second
	// maxGroups is how many groups are looked at; in a cluster with more nothing is
	// judged but what the groups known before have shown.
	maxGroups = 10_000
)

// survey asks who reads the topics. The groups that are known to do are asked
// first, and alone where they account for every topic: a cluster may have
// hundreds of others.
func (r *Responders) survey(ctx context.Context) *finding {
	r.round++
	f := &finding{served: make(map[string]bool), hidden: make(map[string]bool)}
	ours := make(map[string]string)
	for name, g := range r.groups {
		if len(g.topics) > 0 && !g.hides {
			ours[name] = g.kind
		}
	}
	r.ask(ctx, f, ours)
	lost, missing := r.unserved(f)
	if !lost && (!missing || time.Since(r.wide) < wideEvery) {
		return f
	}
	f.wide, r.wide = true, time.Now()
	listed, err := listGroups(ctx, r.client)
	if err != nil {
		f.doubtful("groups cannot be listed: %v", err)
		return f
	}
	r.others(ctx, f, listed, ours)
	if lost, _ := r.unserved(f); lost && f.doubt == "" {
		r.overview(ctx, f)
	}
	return f
}

// unserved tells whether topics have no reader yet: one that had, and any.
func (r *Responders) unserved(f *finding) (lost, missing bool) {
	for name, t := range r.byName {
		if !f.served[name] {
			missing = true
			lost = lost || t.seen
		}
	}
	return lost, missing
}

// others looks at all groups that were not asked yet.
func (r *Responders) others(ctx context.Context, f *finding, listed map[string]listedGroup, asked map[string]string) {
	if len(listed) > maxGroups {
		f.doubtful("there are more than %d groups", maxGroups)
		return
	}
	active, idle := make(map[string]string), []string(nil)
	for name, l := range listed {
		switch {
		case l.hidesReaders():
			r.know(name, l.kind).hides = true
			idle = append(idle, name)
		case l.state == "Empty":
			if r.know(name, l.kind).told == 0 {
				idle = append(idle, name)
			}
		case asked[name] != l.kind: // "" for one that was not asked
			active[name] = l.kind
		}
	}
	r.ask(ctx, f, active)
	r.learn(ctx, f, listed, idle)
	for name, g := range r.groups {
		if _, there := listed[name]; !there && len(g.topics) == 0 {
			delete(r.groups, name)
		}
	}
}

func (r *Responders) know(name, kind string) *knownGroup {
	g := r.groups[name]
	if g == nil {
		g = &knownGroup{topics: make(map[string]bool)}
		r.groups[name] = g
	}
	g.kind, g.hides = kind, false
	return g
}

// ask has groups, given with their kinds, say what they read.
func (r *Responders) ask(ctx context.Context, f *finding, kinds map[string]string) {
	told := describeGroups(ctx, r.client, kinds)
	for name, kind := range kinds {
		a, ok := told[name]
		switch {
		case !ok:
			f.doubtful("the group %s does not tell what it reads", name)
		case a.gone:
			delete(r.groups, name)
			if f.wide { // it has just been listed
				f.doubtful("the group %s is not there, and is listed", name)
			}
		default:
			r.take(f, name, kind, a)
		}
	}
}

// take notes what a group has told.
func (r *Responders) take(f *finding, name, kind string, a reading) {
	g := r.know(name, kind)
	switch {
	case a.members == 0:
	case a.rebalancing: // it reads what it did a moment ago, if it was a moment ago
		if g.told < r.round-1 || g.told == 0 {
			f.doubtful("the group %s is rebalancing, and does not tell then what it reads", name)
		} else {
			g.told = r.round
		}
		for topic := range g.topics {
			f.served[topic] = true
		}
	case a.opaque:
		f.doubtful("a member of the group %s does not tell what it reads", name)
	default:
		g.told = r.round
		clear(g.topics)
	}
	for topic := range r.byName {
		if a.members > 0 && a.reads(topic) {
			g.topics[topic], f.served[topic] = true, true
		}
	}
}

// learn looks at the offsets of groups: what the group has read that has no
// member now, and what others read that commit in a group's name.
func (r *Responders) learn(ctx context.Context, f *finding, listed map[string]listedGroup, idle []string) {
	var ask []string
	for _, name := range idle {
		if g := r.groups[name]; g.looked.IsZero() || listed[name].hidesReaders() && time.Since(g.looked) > hiddenEvery {
			ask = append(ask, name)
		}
	}
	for name, answer := range kadm.NewClient(r.client).FetchManyOffsets(ctx, ask...) {
		g := r.groups[name]
		if answer.Err != nil || g == nil {
			f.doubtful("the offsets of the group %s cannot be seen: %v", name, answer.Err)
			continue
		}
		g.looked = time.Now()
		for topic := range answer.Fetched {
			if r.byName[topic] != nil {
				g.topics[topic] = true
			}
		}
	}
	for _, name := range idle {
		for topic := range r.groups[name].topics {
			if listed[name].hidesReaders() {
				f.hidden[topic] = true
			} else {
				r.byName[topic].seen = true
			}
		}
	}
}

// overview doubts where this client may not see every group: brokers leave out of
// their lists what may not be seen, without a word.
func (r *Responders) overview(ctx context.Context, f *finding) {
	const describe = 8 // Kafka's number of the operation
	ask := kmsg.NewPtrDescribeClusterRequest()
	ask.IncludeClusterAuthorizedOperations = true
	answer, err := ask.RequestWith(ctx, r.client)
	switch {
	case err != nil:
		f.doubtful("the cluster cannot be described: %v", err)
	case answer.ErrorCode != 0:
		f.doubtful("the cluster cannot be described: error %d", answer.ErrorCode)
	case answer.ClusterAuthorizedOperations < 0 || answer.ClusterAuthorizedOperations&(1<<describe) == 0:
		f.doubtful("groups may be there that cannot be seen: it takes the right to describe the cluster")
	}
}

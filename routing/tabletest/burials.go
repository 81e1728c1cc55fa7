package tabletest

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"parley/routing"
	"parley/routing/table"
)

// burials are the stories of what is to be done after a node's death, and of who does it.
var burials = []story{
	// A burial stops half-way: nothing of it waits for longer than its node's lease.
	{name: "half buried", shared: true, tell: halfBuried},
	// A process is started again before its lease ended, and dies before it has cleaned
	// up after itself: another does, after both.
	{name: "the heir dies", shared: true, tell: heirDies},
	// A survivor cannot clean up, and lives: another begins as well, and both stop then.
	{name: "cannot clean up", shared: true, tell: cannotCleanUp},
	// A node that was thought dead is back before others have cleaned up after it: now
	// they must not.
	{name: "back before the burial", shared: true, tell: backBefore},
	// A death is seen when its lease ends, not when a survivor happens to renew its own.
	{name: "seen at once", shared: true, tell: seenAtOnce},
}

const departedKey = "{parley:nodes}:departed"

// allDismissed tells whether nothing is left to clean up.
func allDismissed(t *testing.T, h Harness) bool {
	return h.Client.Exists(t.Context(), departedKey).Val() == 0
}

// heard tells how often a node was told to clean up after another's processes.
func (n *running) heard(of routing.NodeID) (times int) {
	_, _, _, gone := n.mail.told()
	for _, one := range gone {
		if strings.HasPrefix(one, string(of)+" ") {
			times++
		}
	}
	return times
}

// firstToHear answers which of two is told of a third, and which is not.
func firstToHear(t *testing.T, of routing.NodeID, x, y *running) (told, other *running) {
	t.Helper()
	eventually(t, "somebody is told of "+string(of), func() bool { return x.heard(of)+y.heard(of) > 0 })
	if x.heard(of) > 0 {
		return x, y
	}
	return y, x
}

func halfBuried(t *testing.T, h Harness) {
	a, b, c := h.start(t, brisk("a")), h.start(t, brisk("b")), h.start(t, brisk("c"))
	b.mail.cannot(true)
	c.mail.cannot(true)
	h.judging(b, c)
	a.crash()
	burier, last := firstToHear(t, "a", b, c)
	burier.crash()
	died := time.Now()
	last.mail.cannot(false)
	eventually(t, "the last one hears of both", func() bool { return last.heard("a") > 0 && last.heard(burier.name) > 0 })
	if took := time.Since(died); took > 2*briskly {
		t.Errorf("only after %v, with leases of %v", took, briskly)
	}
	eventually(t, "all is cleaned up", func() bool { return allDismissed(t, h) })
}

func heirDies(t *testing.T, h Harness) {
	a, b := h.start(t, brisk("a")), h.start(t, brisk("b"))
	h.judging(b)
	a.crash()
	heir := &mailbox{settle: true}
	heir.cannot(true)
	o := brisk("a")
	o.Watcher, o.Member = heir, "another-member-of-a"
	again := h.start(t, o)
	eventually(t, "the heir hears of it", func() bool { _, _, _, gone := heir.told(); return len(gone) > 0 })
	again.crash()
	eventually(t, "b hears of both", func() bool { return b.heard("a") == 2 })
	_, _, _, gone := b.mail.told()
	if text := fmt.Sprint(gone); !strings.Contains(text, " member-of-a") || !strings.Contains(text, "another-member-of-a") {
		t.Errorf("told of %s", text)
	}
	eventually(t, "all is cleaned up", func() bool { return allDismissed(t, h) })
}

func cannotCleanUp(t *testing.T, h Harness) {
	a, b, c := h.start(t, brisk("a")), h.start(t, brisk("b")), h.start(t, brisk("c"))
	b.mail.cannot(true)
	c.mail.cannot(true)
	h.judging(b, c)
	a.crash()
	unable, other := firstToHear(t, "a", b, c)
	other.mail.cannot(false)
	eventually(t, "the other is told", func() bool { return other.heard("a") > 0 })
	eventually(t, "it is cleaned up", func() bool { return allDismissed(t, h) })
	if tries := unable.heard("a"); tries < 2 {
		t.Errorf("tried %d times", tries)
	}
	other.mail.cannot(true)
	h.nextDeath(t, "a", unable)
	want(t, "told twice of what it has done", other.heard("a"), 1)
}

// nextDeath has another node die after which nobody can clean up, and expects that one
// which was told of an earlier death again and again is told of the new one alone.
func (h Harness) nextDeath(t *testing.T, before routing.NodeID, n *running) {
	t.Helper()
	h.ghost(t, "ghost", 0)
	eventually(t, "it is told of the next", func() bool { return n.heard("ghost") > 0 })
	tries := n.heard(before)
	eventually(t, "it is told of the next again", func() bool { return n.heard("ghost") > 1 })
	want(t, "tries after it was done", n.heard(before)-tries, 0)
}

func backBefore(t *testing.T, h Harness) {
	a, b := h.start(t, brisk("a")), h.start(t, brisk("b"))
	b.mail.cannot(true)
	h.judging(b)
	a.wire.Cut()
	eventually(t, "b is told", func() bool { return b.heard("a") > 0 })
	a.wire.Heal()
	eventually(t, "it is back", func() bool { return bootOf(t, h, "a") != "" })
	eventually(t, "nothing is to be cleaned up", func() bool { return allDismissed(t, h) })
	a.mail.cannot(true)
	h.nextDeath(t, "a", b)
}

func seenAtOnce(t *testing.T, h Harness) {
	const lease = 2 * time.Second // renewed every half of one
	n := h.start(t, table.Options{Node: "a", Lease: lease})
	h.judging(n)
	dies := make(map[string]time.Time)
	for i := range 5 {
		name, after := "ghost-"+strconv.Itoa(i), lease/4+time.Duration(i)*lease/20
		dies[name] = time.Now().Add(after)
		h.ghost(t, routing.NodeID(name), after)
	}
	var late []time.Duration
	for i := range 5 {
		name := "ghost-" + strconv.Itoa(i)
		eventually(t, name+" is seen", func() bool { return n.heard(routing.NodeID(name)) > 0 })
		late = append(late, time.Since(dies[name]))
	}
	slices.Sort(late)
	if late[2] > 3*lease/40 {
		t.Errorf("seen %v after they died", late)
	}
}

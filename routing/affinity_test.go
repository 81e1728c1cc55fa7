package routing

import (
	"strings"
	"testing"
)

// A request's id is made so that the reply's record, keyed by it, comes home:
// whatever the service's partitioner, however few partitions this node has.
func TestMintHashesHome(t *testing.T) {
	for _, p := range []Partitioner{Murmur2, CRC32, FNV1a} {
		for _, owned := range [][]int32{{0}, {23}, {3, 4, 5}, {0, 1, 2, 3, 4, 5, 6, 7}} {
			var m minter
			homes := NewHomes(24, owned)
			m.homes.Store(homes)
			seen := make(map[RequestID]bool)
			used := make(map[int32]int)
			session := newSessionID()
			for n := uint64(1); n <= 2000; n++ {
				id, at := m.mint(session, n*n*n, p)
				if got := p.Partition([]byte(id), 24); got != at || !homes.is[at] {
					t.Fatalf("%s, homes %v: %s hashes to %d, mint said %d", p, owned, id, got, at)
				}
				s, back, ok := id.Split()
				if !ok || s != session || back != n*n*n {
					t.Fatalf("%s does not come apart: %s, %d, %v", id, s, back, ok)
				}
				if seen[id] {
					t.Fatalf("%s was made twice", id)
				}
				seen[id] = true
				used[at]++
			}
			for _, h := range owned {
				if used[h] < 2000/len(owned)/2 {
					t.Errorf("%s: home %d got only %d of 2000 ids over %d homes", p, h, used[h], len(owned))
				}
			}
		}
	}
}

// A node that owns nothing, or a service whose partitioner is unknown, gets ids
// without a salt; the latter still name a home for services that honour it.
func TestMintWithoutHome(t *testing.T) {
	var m minter
	session := newSessionID()
	if id, at := m.mint(session, 7, Murmur2); string(id) != string(session)+".7" || at != NoPartition {
		t.Errorf("no homes: got %s and %d", id, at)
	}
	m.homes.Store(NewHomes(8, nil))
	if id, at := m.mint(session, 7, Murmur2); string(id) != string(session)+".7" || at != NoPartition {
		t.Errorf("homes known to be none: got %s and %d", id, at)
	}
	m.homes.Store(NewHomes(8, []int32{5}))
	if id, at := m.mint(session, 7, Any); string(id) != string(session)+".7" || at != 5 {
		t.Errorf("any: got %s and %d", id, at)
	}
}

// Only ids that Parley could have made come apart.
func TestSplitRefusesStrangers(t *testing.T) {
	session := strings.Repeat("s", sessionLength)
	for _, bad := range []string{
		"", ".", "x", session, session + ".", session + ".abc", session + ".1abcd",
		session + "s.1", session[1:] + ".1", session + ".99999999999999999999", session + ".-1",
	} {
		if s, n, ok := RequestID(bad).Split(); ok {
			t.Errorf("%q came apart into %q and %d", bad, s, n)
		}
	}
}

// Minting is on every request's path: one allocation, the id itself.
func TestMintAllocatesOnce(t *testing.T) {
	var m minter
	m.homes.Store(NewHomes(24, []int32{1, 2, 3}))
	session := newSessionID()
	if got := testing.AllocsPerRun(1000, func() { m.mint(session, 123456, Murmur2) }); got > 1 {
		t.Errorf("mint allocates %.0f times", got)
	}
}

func BenchmarkMint(b *testing.B) {
	for _, p := range []Partitioner{Murmur2, CRC32, FNV1a} {
		b.Run(string(p), func(b *testing.B) {
			var m minter
			m.homes.Store(NewHomes(24, []int32{0, 1, 2, 3, 4, 5, 6, 7})) // one of three nodes
			session := newSessionID()
			b.ReportAllocs()
			for n := range b.N {
				m.mint(session, uint64(n), p)
			}
		})
	}
}

package routing

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"hash/crc32"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
)

// Partitioner names how a service's Kafka client turns the key of a record
// into a partition. Parley chooses RequestIDs, which are the keys of replies,
// so that this lands on a partition that the minting node consumes itself.
type Partitioner string

const (
	// Murmur2 is the Java client's, franz-go's and kafkajs's default:
	// (murmur2(key) & 0x7fffffff) % partitions.
	Murmur2 Partitioner = "murmur2"
	// CRC32 is librdkafka's "consistent" and "consistent_random":
	// crc32(key) % partitions, with the IEEE polynomial.
	CRC32 Partitioner = "crc32"
	// FNV1a is Sarama's hash partitioner: |int32(fnv1a(key)) % partitions|.
	FNV1a Partitioner = "fnv1a"
	// Any promises nothing: ids carry no salt and replies may need a relay.
	Any Partitioner = "any"
)

// Partition answers where a record with this key goes, or NoPartition for Any
// and names that it does not know.
func (p Partitioner) Partition(key []byte, partitions int32) int32 {
	if partitions <= 0 {
		return NoPartition
	}
	h, ok := p.start(len(key))
	if !ok {
		return NoPartition
	}
	whole := len(key) &^ 3
	return h.add(key[:whole]).end(key[whole:], partitions)
}

// hasher is a hash that has taken in some whole 4-byte blocks of a key. It is a
// value: a copy can be finished many times with different tails, which is what
// makes the search for a salt cheap.
type hasher struct {
	kind Partitioner
	sum  uint32
}

const murmurM, fnvPrime = 0x5bd1e995, 16777619

func (p Partitioner) start(length int) (hasher, bool) {
	switch p {
	case Murmur2:
		return hasher{p, 0x9747b28c ^ uint32(length)}, true
	case CRC32:
		return hasher{p, 0}, true
	case FNV1a:
		return hasher{p, 2166136261}, true
	}
	return hasher{}, false
}

// add takes in blocks, whose length is a multiple of four.
func (h hasher) add(blocks []byte) hasher {
	switch h.kind {
	case Murmur2:
		for ; len(blocks) >= 4; blocks = blocks[4:] {
			k := binary.LittleEndian.Uint32(blocks) * murmurM
			k = (k ^ k>>24) * murmurM
			h.sum = h.sum*murmurM ^ k
		}
	case CRC32:
		h.sum = crcUpdate(h.sum, blocks)
	case FNV1a:
		for _, b := range blocks {
			h.sum = (h.sum ^ uint32(b)) * fnvPrime
		}
	}
	return h
}

// crcUpdate is crc32.Update for a handful of bytes: the library's would make
// them escape to the heap.
func crcUpdate(sum uint32, bytes []byte) uint32 {
	sum = ^sum
	for _, b := range bytes {
		sum = crc32.IEEETable[byte(sum)^b] ^ sum>>8
	}
	return ^sum
}

// end takes in the last bytes, of any length, and answers the partition.
func (h hasher) end(tail []byte, partitions int32) int32 {
	whole := len(tail) &^ 3
	h = h.add(tail[:whole])
	tail = tail[whole:]
	switch h.kind {
	case Murmur2:
		for i := len(tail) - 1; i >= 0; i-- {
			h.sum ^= uint32(tail[i]) << (8 * i)
		}
		if len(tail) > 0 {
			h.sum *= murmurM
		}
		h.sum = (h.sum ^ h.sum>>13) * murmurM
		h.sum ^= h.sum >> 15
		return int32(h.sum&0x7fffffff) % partitions
	case CRC32:
		return int32(crcUpdate(h.sum, tail) % uint32(partitions))
	}
	for _, b := range tail {
		h.sum = (h.sum ^ uint32(b)) * fnvPrime
	}
	return max(int32(h.sum)%partitions, -(int32(h.sum) % partitions))
}

// Homes is the part of the reply topic that a node consumes at the moment. It
// is immutable; a rebalance makes a new one.
type Homes struct {
	partitions int32
	owned      []int32
	is         []bool
}

// NewHomes describes a node that owns these of so many partitions.
func NewHomes(partitions int32, owned []int32) *Homes {
	h := &Homes{partitions: partitions, is: make([]bool, partitions)}
	for _, p := range owned {
		if p >= 0 && p < partitions && !h.is[p] {
			h.is[p] = true
			h.owned = append(h.owned, p)
		}
	}
	return h
}

// owns tells whether a partition is one of the node's; a nil h has none.
func (h *Homes) owns(p int32) bool { return h != nil && p < h.partitions && h.is[p] }

// gained tells whether a node owns a partition now that it did not before.
func (h *Homes) gained(before *Homes) bool {
	return h != nil && slices.ContainsFunc(h.owned, func(p int32) bool { return !before.owns(p) })
}

// Owned is the number of home partitions.
func (h *Homes) Owned() int { return len(h.owned) }

// Total is the number of partitions that the reply topic has.
func (h *Homes) Total() int32 { return h.partitions }

// saltLetters are what a salt is made of. None is a digit: the counter before
// it ends where the digits end.
const saltLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

// saltLength is fixed, since murmur2 is seeded with the key's length. Three
// letters are 140,608 tries; a node that owns one partition in a thousand fails
// to find a home once in e^140 ids.
const saltLength = 3

// sameHome is how many ids in a row get the same home: replies that come close
// together then share a batch, which costs the service, the broker and this
// node less than as many batches of one. A salt for just this home is not looked
// for long: crc32 is linear, and may have none among the first hundreds.
const sameHome = 64

// minter makes RequestIDs. Its methods may be called from any goroutine.
type minter struct {
	homes atomic.Pointer[Homes]
	turn  atomic.Uint32 // where the next search starts, so that homes are used evenly
}

// mint makes the id of a session's n-th request, and tells the home partition
// that it hashes to under p. The expected number of tries is the number of
// partitions, at a few nanoseconds each.
func (m *minter) mint(session SessionID, n uint64, p Partitioner) (RequestID, int32) {
	var buf [64]byte
	id := append(buf[:0], session...)
	id = append(id, '.')
	id = strconv.AppendUint(id, n, 10)
	homes := m.homes.Load()
	if homes == nil || len(homes.owned) == 0 {
		return RequestID(id), NoPartition
	}
	turn := m.turn.Add(1)
	home := homes.owned[turn/sameHome%uint32(len(homes.owned))]
	h, ok := p.start(len(id) + saltLength)
	if !ok {
		return RequestID(id), home
	}
	fixed := len(id) &^ 3
	h = h.add(id[:fixed])
	id = id[:len(id)+saltLength]
	const letters = uint32(len(saltLetters))
	// Multiplying by a large odd number spreads the starting points of
	// neighbouring turns over the whole space.
	start := (turn * 2654435761) % (letters * letters * letters)
	for try := range letters * letters * letters {
		x := start + try
		salt := id[len(id)-saltLength:]
		salt[0] = saltLetters[x%letters]
		salt[1] = saltLetters[x/letters%letters]
		salt[2] = saltLetters[x/(letters*letters)%letters]
		if at := h.end(id[fixed:], homes.partitions); at == home || try >= 2*sameHome && homes.is[at] {
			return RequestID(id), at
		}
	}
	return RequestID(id), NoPartition
}

// sessionLength is the length of a SessionID.
const sessionLength = 22

// newSessionID draws 128 random bits.
func newSessionID() SessionID { return SessionID(randomText()) }

// randomText is 128 random bits as 22 characters of base64url.
func randomText() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails: the runtime ends the process first
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// Split takes a RequestID apart; ok is false for a text that Parley never made.
func (id RequestID) Split() (session SessionID, n uint64, ok bool) {
	head, tail, found := strings.Cut(string(id), ".")
	if !found || len(head) != sessionLength {
		return "", 0, false
	}
	digits := 0
	for digits < len(tail) && tail[digits] >= '0' && tail[digits] <= '9' {
		digits++
	}
	n, err := strconv.ParseUint(tail[:digits], 10, 64)
	if err != nil || len(tail)-digits > saltLength {
		return "", 0, false
	}
	return SessionID(head), n, true
}

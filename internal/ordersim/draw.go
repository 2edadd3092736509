package ordersim

import (
	crand "crypto/rand"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"time"
)

// The streams of one seed. What is drawn from one does not depend on how often,
// or when, another was used: a seeded run takes the same decisions whatever
// else goes on beside it.
const (
	streamArrivals  = 1 // when generated orders come
	streamGenerated = 2 // what the n-th generated order is
	streamAPI       = 3 // the id of the n-th order created from outside
	streamEvents    = 4 // what happens to an event
)

// draw returns the random source number n of a stream. ChaCha8, because sources
// of neighbouring numbers must have nothing in common.
func draw(seed, stream, n uint64) *rand.Rand {
	var key [32]byte
	binary.LittleEndian.PutUint64(key[0:], seed)
	binary.LittleEndian.PutUint64(key[8:], stream)
	binary.LittleEndian.PutUint64(key[16:], n)
	return rand.New(rand.NewChaCha8(key))
}

// randomSeed returns a seed nobody chose; never zero.
func randomSeed() uint64 {
	var b [8]byte
	_, _ = crand.Read(b[:]) // documented never to fail
	return binary.LittleEndian.Uint64(b[:]) | 1
}

// hash turns an event's identity into a number of its stream.
func hash(parts ...string) uint64 {
	h := fnv.New64a()
	for _, p := range parts {
		_, _ = h.Write([]byte(p))
		_, _ = h.Write([]byte{0})
	}
	return h.Sum64()
}

// newID returns a UUID of version 4.
func newID(r *rand.Rand) string {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], r.Uint64())
	binary.BigEndian.PutUint64(b[8:], r.Uint64())
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// pause draws the time until the next arrival: exponential as real arrivals
// are, capped at four means so that a demo never looks dead.
func pause(r *rand.Rand, mean time.Duration) time.Duration {
	return time.Duration(math.Min(r.ExpFloat64(), 4) * float64(mean))
}

package rest

import (
	"net/http"
	"net/netip"
	"sync"

	"golang.org/x/time/rate"
)

// limited lets each address make perSecond requests a second, twice as many at
// once, and answers 429 to more. This machine's own are not counted; 0 counts
// none. What a proxy says of an address is not believed: it could say anything.
func limited(perSecond int, next http.Handler) http.Handler {
	if perSecond <= 0 {
		return next
	}
	l := &limiters{limit: rate.Limit(perSecond), burst: 2 * perSecond, young: make(map[netip.Prefix]*rate.Limiter)}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if l.allow(r.RemoteAddr) {
			next.ServeHTTP(w, r)
			return
		}
		writeProblem(w, r, problem(codeRateLimited, ""))
	})
}

// maxLimiters bounds the memory that strangers can take: two generations of so many.
const maxLimiters = 10_000

// limiters has one for each address that asked lately. When the young generation
// is full it becomes the old one, and who is in neither begins anew: that gives
// an address its burst again, never more.
type limiters struct {
	limit rate.Limit
	burst int

	mu         sync.Mutex
	young, old map[netip.Prefix]*rate.Limiter
}

func (l *limiters) allow(remote string) bool {
	addr, err := netip.ParseAddrPort(remote)
	if err != nil || addr.Addr().Unmap().IsLoopback() {
		return true
	}
	return l.of(neighbourhood(addr.Addr().Unmap())).Allow()
}

// neighbourhood is what one customer has: an IPv4 address, or an IPv6 /64.
func neighbourhood(addr netip.Addr) netip.Prefix {
	bits := addr.BitLen()
	if addr.Is6() {
		bits = 64
	}
	return netip.PrefixFrom(addr.WithZone(""), bits).Masked()
}

func (l *limiters) of(who netip.Prefix) *rate.Limiter {
	l.mu.Lock()
	defer l.mu.Unlock()
	if limiter, ok := l.young[who]; ok {
		return limiter
	}
	limiter, ok := l.old[who]
	if !ok {
		limiter = rate.NewLimiter(l.limit, l.burst)
	}
	if len(l.young) >= maxLimiters {
		l.young, l.old = make(map[netip.Prefix]*rate.Limiter, maxLimiters), l.young
	}
	l.young[who] = limiter
	return limiter
}

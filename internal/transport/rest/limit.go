package rest

import (
	"net/http"
	"net/netip"
	"sync"

	"golang.org/x/time/rate"

	"service-courier/internal/transport/connections"
)

// limitRequests answers 503 while too many requests are being served. Probes do not count.
func limitRequests(conns *connections.Limit, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !probes[r.URL.Path] {
			end, ok := conns.Begin(r.Context())
			if !ok {
				w.Header().Set("Connection", "close")
				writeProblem(w, r, problem(codeOverloaded, ""))
				return
			}
			defer end()
		}
		next.ServeHTTP(w, r)
	})
}

// limitRate allows perSecond requests per second and address, in bursts of twice as
// many, and answers 429 beyond. Loopback addresses are not limited; 0 disables the
// limit. Headers such as X-Forwarded-For are ignored: any client can send them.
func limitRate(perSecond int, next http.Handler) http.Handler {
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

// maxLimiters limits the memory for unknown addresses: two generations of so many.
const maxLimiters = 10_000

// limiters has one limiter per recent address. When the young generation is full, it
// becomes the old one. An address in neither gets a new limiter, which allows it
// another burst, never more.
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
	return l.limiter(clientPrefix(addr.Addr().Unmap())).Allow()
}

// clientPrefix is what one customer usually has: an IPv4 address, or an IPv6 /64.
func clientPrefix(addr netip.Addr) netip.Prefix {
	bits := addr.BitLen()
	if addr.Is6() {
		bits = 64
	}
	return netip.PrefixFrom(addr.WithZone(""), bits).Masked()
}

func (l *limiters) limiter(client netip.Prefix) *rate.Limiter {
	l.mu.Lock()
	defer l.mu.Unlock()
	if limiter, ok := l.young[client]; ok {
		return limiter
	}
	limiter, ok := l.old[client]
	if !ok {
		limiter = rate.NewLimiter(l.limit, l.burst)
	}
	if len(l.young) >= maxLimiters {
		l.young, l.old = make(map[netip.Prefix]*rate.Limiter, maxLimiters), l.young
	}
	l.young[client] = limiter
	return limiter
}

package rest

import (
	"net/netip"
	"sync"

	"service-courier/internal/access"
)

// shares limits what one caller has open at a time, so that it leaves room for others.
type shares struct {
	all, each int // of all callers together; of one

	mu   sync.Mutex
	open int
	held map[string]int // by caller
}

func newShares(all, each int) *shares {
	return &shares{all: max(all, 1), each: max(each, 1), held: make(map[string]int)}
}

// take returns how to give the share back, or the problem of having none left.
func (s *shares) take(caller string) (release func(), p *Problem) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.held[caller] >= s.each:
		return nil, problem(codeShareUsed, "")
	case s.open >= s.all:
		return nil, problem(codeOverloaded, "")
	}
	s.open++
	s.held[caller]++
	return func() { s.release(caller) }, nil
}

func (s *shares) release(caller string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open--
	if s.held[caller]--; s.held[caller] == 0 {
		delete(s.held, caller)
	}
}

// callerKey is who has a share: the caller by its token, else its address. Headers such
// as X-Forwarded-For are ignored: any client can send them.
func callerKey(remoteAddr string, caller access.Caller) string {
	if caller.Name != "" {
		return "caller " + caller.Name
	}
	addr, err := netip.ParseAddrPort(remoteAddr)
	if err != nil {
		return "address"
	}
	return "address " + clientPrefix(addr.Addr().Unmap()).String()
}

// Package access decides who may call the API: named bearer tokens with roles. It
// keeps only hashes of the tokens, and its errors show no token. It does not know
// HTTP.
package access

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strings"
)

// Role is what a caller may do.
type Role string

// The roles.
const (
	Read    Role = "read"
	Operate Role = "operate" // read and change
)

// Allows reports whether role r permits what needs the other role.
func (r Role) Allows(needed Role) bool { return r == needed || r == Operate }

// Caller is the owner of a token.
type Caller struct {
	Name string // in the log and the journal
	Role Role
}

// Tokens is an immutable set of valid tokens. The zero value is empty.
type Tokens struct{ entries []entry }

type entry struct {
	caller Caller
	hash   [sha256.Size]byte
}

// MinTokenLen is the minimum length of a token; "openssl rand -base64 24"
// generates a longer one.
const MinTokenLen = 24

var (
	goodName  = regexp.MustCompile(`^[A-Za-z0-9._-]{1,32}$`)
	goodToken = regexp.MustCompile(`^[A-Za-z0-9._~+/-]+=*$`) // RFC 6750
)

// Parse reads name:role:token entries, separated by commas or newlines; # starts a
// comment. The error names every bad entry and shows no token.
func Parse(text string) (Tokens, error) {
	var (
		t    Tokens
		errs []error
	)
	names, hashes := map[string]bool{}, map[[sha256.Size]byte]bool{}
	for i, s := range split(text) {
		e, err := parseEntry(s)
		switch {
		case err != nil:
		case names[e.caller.Name]:
			err = fmt.Errorf("the name %s is used twice", e.caller.Name)
		case hashes[e.hash]:
			err = fmt.Errorf("%s has the same token as another name", e.caller.Name)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("token %d: %w", i+1, err))
			continue
		}
		names[e.caller.Name], hashes[e.hash] = true, true
		t.entries = append(t.entries, e)
	}
	return t, errors.Join(errs...)
}

func split(text string) []string {
	var all []string
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "#")
		for s := range strings.SplitSeq(line, ",") {
			if s = strings.TrimSpace(s); s != "" {
				all = append(all, s)
			}
		}
	}
	return all
}

func parseEntry(s string) (entry, error) {
	parts := strings.SplitN(s, ":", 3)
	if len(parts) != 3 {
		return entry{}, errors.New("want name:role:token")
	}
	name, role, token := parts[0], Role(parts[1]), parts[2]
	switch {
	case !goodName.MatchString(name):
		return entry{}, errors.New("a name has 1 to 32 characters of A-Z a-z 0-9 . _ -")
	case role != Read && role != Operate:
		return entry{}, fmt.Errorf("the role of %s must be %s or %s", name, Read, Operate)
	case len(token) < MinTokenLen:
		return entry{}, fmt.Errorf("the token of %s is shorter than %d characters; generate one with: openssl rand -base64 24", name, MinTokenLen)
	case !goodToken.MatchString(token):
		return entry{}, fmt.Errorf("the token of %s has characters other than A-Z a-z 0-9 . _ ~ + / - and = at the end", name)
	}
	return entry{Caller{name, role}, sha256.Sum256([]byte(token))}, nil
}

// Len returns the number of tokens.
func (t Tokens) Len() int { return len(t.entries) }

// Caller returns the owner of the token. It takes the same time for every unknown
// token.
func (t Tokens) Caller(_ context.Context, token string) (Caller, bool) {
	hash := sha256.Sum256([]byte(token))
	var (
		caller Caller
		found  bool
	)
	for _, e := range t.entries {
		if subtle.ConstantTimeCompare(hash[:], e.hash[:]) == 1 {
			caller, found = e.caller, true
		}
	}
	return caller, found
}

// IsLoopback reports whether host, with or without a port, is this machine's
// loopback address or its name.
func IsLoopback(host string) bool {
	host = hostName(host)
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// HostAllowed reports whether a Host header names this service: localhost, an IP
// address, or one of names. By DNS rebinding, a page of another site could otherwise
// call it under the name of that site, as if it were its own page.
func HostAllowed(host string, names ...string) bool {
	host = hostName(host)
	_, err := netip.ParseAddr(host)
	return err == nil || host == "localhost" ||
		host != "" && slices.ContainsFunc(names, func(name string) bool { return hostName(name) == host })
}

// hostName returns host in lower case, without port, brackets and final dot.
func hostName(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	return strings.ToLower(strings.TrimSuffix(host, "."))
}

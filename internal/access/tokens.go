// Package access knows who may call the API: named bearer tokens with roles. It
// keeps hashes of the tokens, never the tokens, and its errors show none. It must
// not know HTTP: transport/rest asks it.
package access

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// Role is what a caller may do.
type Role string

// The roles.
const (
	Read    Role = "read"    // look
	Operate Role = "operate" // look, and change things
)

// Allows reports whether a caller with role r may do what needs the other one.
func (r Role) Allows(needed Role) bool { return r == needed || r == Operate }

// Caller is who has a token.
type Caller struct {
	Name string // for logs and the journal
	Role Role
}

// Tokens are those that are valid; they are not changed. The zero value has none.
type Tokens struct{ entries []entry }

type entry struct {
	caller Caller
	hash   [sha256.Size]byte
}

// MinTokenLen is the shortest token that is accepted, in characters: what
// "openssl rand -base64 24" makes is longer.
const MinTokenLen = 24

var (
	goodName  = regexp.MustCompile(`^[A-Za-z0-9._-]{1,32}$`)
	goodToken = regexp.MustCompile(`^[A-Za-z0-9._~+/-]+=*$`) // RFC 6750
)

// Parse reads name:role:token, several separated by commas or ends of line; what
// follows a # is not read. The error names every bad one, and no token.
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
			err = fmt.Errorf("the name %s is there before", e.caller.Name)
		case hashes[e.hash]:
			err = fmt.Errorf("%s has the token of one before", e.caller.Name)
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
		return entry{}, errors.New("a name is 1 to 32 of A-Z a-z 0-9 . _ -")
	case role != Read && role != Operate:
		return entry{}, fmt.Errorf("the role of %s must be %s or %s", name, Read, Operate)
	case len(token) < MinTokenLen:
		return entry{}, fmt.Errorf("the token of %s is shorter than %d characters; openssl rand -base64 24 makes one", name, MinTokenLen)
	case !goodToken.MatchString(token):
		return entry{}, fmt.Errorf("the token of %s has other characters than A-Z a-z 0-9 . _ ~ + / - and = at its end", name)
	}
	return entry{Caller{name, role}, sha256.Sum256([]byte(token))}, nil
}

// Len returns how many tokens there are.
func (t Tokens) Len() int { return len(t.entries) }

// Caller returns who has the token. It takes as long for one that is nearly right
// as for any other.
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

package rest

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
)

// etagOf returns the strong ETag of a body: other bodies have others.
func etagOf(body any) string {
	text, err := json.Marshal(body)
	if err != nil {
		panic(fmt.Errorf("ETag: %w", err)) // bodies are structs of this package
	}
	sum := sha256.Sum256(text)
	return `"` + base64.RawURLEncoding.EncodeToString(sum[:16]) + `"`
}

// MatchInput lets a change be made only of what the caller has seen; embed it.
type MatchInput struct {
	IfMatch string `header:"If-Match" maxLength:"1024" doc:"ETag of what is to be changed, several separated by commas, or *; otherwise 412. Without it the change is made in any case"`
}

// matches reports whether If-Match is absent or names the ETag (RFC 9110, 13.1.1:
// a weak one never does).
func (m MatchInput) matches(etag string) bool {
	if m.IfMatch == "" || m.IfMatch == "*" {
		return true
	}
	for tag := range strings.SplitSeq(m.IfMatch, ",") {
		if strings.TrimSpace(tag) == etag {
			return true
		}
	}
	return false
}

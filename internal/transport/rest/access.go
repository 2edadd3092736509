package rest

import "github.com/danielgtaylor/huma/v2"

// role is what a caller must have to use a route.
type role string

// The roles; operate includes read.
const (
	public  role = ""        // no token is asked for
	read    role = "read"    // may look
	operate role = "operate" // may change things
)

// bearer is the document's name for the tokens.
const bearer = "bearer"

func securitySchemes() map[string]*huma.SecurityScheme {
	return map[string]*huma.SecurityScheme{bearer: {
		Type: "http", Scheme: "bearer",
		Description: "A token of API_TOKENS with the role that the operation names; none is asked for where there are no tokens.",
	}}
}

// security says in the document which role an operation needs.
func security(role role) []map[string][]string {
	if role == public {
		return []map[string][]string{}
	}
	return []map[string][]string{{bearer: {string(role)}}}
}

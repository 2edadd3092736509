package rest

import "net/http"

// playgroundPath is the prefix of the Playground's API. It is not in the OpenAPI document:
// only `dev` has it.
const playgroundPath = "/dev/v1/"

// registerPlayground serves the Playground: reading it needs the role read, a fault or a
// change in the simulator the role operate.
func (a *api) registerPlayground(h http.Handler) {
	a.handle(playgroundPath, route{role: read}, h)
	for _, method := range []string{http.MethodPost, http.MethodDelete} {
		pattern := method + " " + playgroundPath
		a.routes[pattern] = route{role: operate}
		a.mux.Handle(pattern, h)
	}
}

package rest

import "net/http"

// Kind is what the tests see of one kind of problem.
type Kind struct {
	Code, Title, Detail, Remedy, Command string
	Status                               int
	Err                                  error
}

// Kinds is the table of problems.
func Kinds() []Kind {
	all := make([]Kind, len(kinds))
	for i, k := range kinds {
		all[i] = Kind{k.code, k.title, k.detail, k.remedy, k.command, k.status, k.err}
	}
	return all
}

// HTTP is the server beneath, with its bounds.
func (s *Server) HTTP() *http.Server { return s.http }

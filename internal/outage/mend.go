package outage

// Mendable is a failure that somebody can mend, and how. Which it is does not
// change from try to try, as the words of an error may.
type Mendable struct {
	Err  error
	Mend string // in the imperative, without a full stop
}

// Error implements error.
func (m Mendable) Error() string { return m.Err.Error() + "; " + m.Mend }

// Unwrap gives errors.Is and errors.As the failure.
func (m Mendable) Unwrap() error { return m.Err }

package orderevent

import (
	"context"
	"errors"
)

// Phase is a part of the work that is timed and traced.
type Phase string

// The phases. Ask, save and commit are parts of a batch; match is apart.
const (
	PhaseBatch  Phase = "batch"
	PhaseAsk    Phase = "ask"    // the GETs
	PhaseSave   Phase = "save"   // lock, decide and write; once a try
	PhaseCommit Phase = "commit" // from the last statement to the answer
	PhaseMatch  Phase = "match"
)

// End is called when a phase has ended, with the orders that it was about.
type End func(orders int, err error)

// errAgain ends the COMMIT of a transaction that has to be run again.
var errAgain = errors.New("not now; run again")

// transaction tells the observer of the phases of a transaction, which may run
// more than once.
type transaction struct {
	observer Observer
	tries    int
	orders   int
	commit   End // nil until the work is done
}

// try runs work, which returns how many orders it was about.
func (t *transaction) try(ctx context.Context, work func(context.Context) (int, error)) error {
	t.end(errAgain)
	t.tries++
	saving, saved := t.observer.Begin(ctx, PhaseSave)
	var err error
	t.orders, err = work(saving)
	saved(t.orders, err)
	if err == nil {
		_, t.commit = t.observer.Begin(ctx, PhaseCommit)
	}
	return err
}

// end tells how the COMMIT ended, if it came to one.
func (t *transaction) end(err error) {
	if t.commit != nil {
		t.commit(t.orders, err)
		t.commit = nil
	}
}

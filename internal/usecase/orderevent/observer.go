package orderevent

import "context"

// Observer receives what was done, for metrics and traces.
type Observer interface {
	// Reconciled is called after the COMMIT of a batch.
	Reconciled(result BatchResult)
	// Coalesced is called for hints that needed no batch: a fetch that began after
	// they arrived covers them.
	Coalesced(hints int)
	// Matched is called after orders were assigned to couriers.
	Matched(assignments []Assignment)
	// Panicked is called after a panic was recovered.
	Panicked()
	// Begin is called when a phase begins, for a batch with its hints. The work of the
	// phase uses the returned context.
	Begin(ctx context.Context, p Phase, hints ...Hint) (context.Context, End)
}

// BatchResult is what the transaction of a batch did.
type BatchResult struct {
	Effects
	Hints    int // before they were merged
	Tries    int // of the transaction; more than 1 after a deadlock or the like
	Outcomes map[Outcome]int
}

// Phase is a part of the work that is timed and traced.
type Phase string

// The phases. Fetch, save and commit are parts of a batch; match is separate, except that
// a small batch matches in its commit.
const (
	PhaseBatch  Phase = "batch"
	PhaseFetch  Phase = "fetch"  // all GETs of a batch
	PhaseSave   Phase = "save"   // lock and decide, of a command also write; once per try
	PhaseCommit Phase = "commit" // write the changes of a batch and commit
	PhaseMatch  Phase = "match"
)

// End is called when a phase ends, with the number of its orders.
type End func(orders int, err error)

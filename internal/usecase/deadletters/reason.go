package deadletters

// The reasons of a dead letter. An unknown status is not a reason: the fetched order decides.
const (
	NotJSON            = "not_json"
	BadOrderID         = "bad_order_id"
	RefusedByDatabase  = "refused_by_database"
	ProcessingPanicked = "processing_panicked"
	Undecodable        = "undecodable" // a whole batch of records, which has no payload
)

// Reasons lists all reasons.
var Reasons = []string{NotJSON, BadOrderID, RefusedByDatabase, ProcessingPanicked, Undecodable}

package deadletters

// The reasons of a dead letter: what can never work. An unknown status is not
// among them, for the GET decides.
const (
	NotJSON           = "not_json"
	BadOrderID        = "bad_order_id"
	RefusedByDatabase = "refused_by_database"
)

// Reasons are all there are.
var Reasons = []string{NotJSON, BadOrderID, RefusedByDatabase}

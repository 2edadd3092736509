package deadletters

// Reasons are all that a letter may have; transport/kafka gives them.
var Reasons = []string{"not_json", "bad_order_id", "refused_by_database"}

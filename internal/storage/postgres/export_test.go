package postgres

// MatchLock is the advisory lock of the replica that matches.
const MatchLock = matchLock

// PatientLine returns line, waiting for its turn as long as a test may take.
func PatientLine(line *Line) *Line { return &Line{pool: line.pool, turnWithin: "1min"} }

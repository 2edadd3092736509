package kafka

import _ "embed" // for the document

// AsyncAPI describes the events of the outbox (AsyncAPI 3). A test compares it with what
// is published.
//
//go:embed asyncapi.json
var AsyncAPI []byte

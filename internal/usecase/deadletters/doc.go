// Package deadletters is what a person does with the records that could never
// be processed: look at them, mend them, send them through the order topic once
// more, or give them up.
//
//	waiting ──redrive──► redriven
//	   └──────drop─────► dropped
//
// A letter waits until a person handles it, and is kept for KeepHandled after
// that. Redriving publishes first and marks after the acknowledgement: a crash
// in between repeats the record, which is harmless, since an event is only a
// hint; the other way round would lose it. A record that is bad again becomes a
// letter of its own, with its rounds counted in the header HeaderRounds.
//
// The package knows no Kafka and no SQL, and makes no letters: the consumer does.
package deadletters

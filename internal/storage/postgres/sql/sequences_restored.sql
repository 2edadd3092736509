-- Skips ten billion ids of the journal when its epoch differs from the one that the outbox
-- has stored: a restored database does not know the ids that were published after the
-- backup. At 20,000 transitions a second this covers five days.
UPDATE outbox SET epoch = $1
WHERE epoch <> $1
RETURNING setval('journal_id_seq', coalesce(pg_sequence_last_value('journal_id_seq'), 0) + 10000000000)

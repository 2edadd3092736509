-- Inserts a dead letter, unless the record is one already.
INSERT INTO dead_letters (topic, partition, "offset", produced_at, key, payload, header_keys, header_values, reason, detail, redrives)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
ON CONFLICT ON CONSTRAINT dead_letters_record_key DO NOTHING

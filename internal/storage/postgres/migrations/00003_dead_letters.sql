-- +goose Up

-- A letter is kept until somebody redrives or drops it, and for a while after.
-- The record's own payload stays as it was beside an edited one.
ALTER TABLE dead_letters
    ADD COLUMN status         text        NOT NULL DEFAULT 'waiting',
    ADD COLUMN handled_at     timestamptz,
    ADD COLUMN redrives       integer     NOT NULL DEFAULT 0, -- rounds through the topic before it became this letter
    ADD COLUMN edited_at      timestamptz,
    ADD COLUMN edited_payload bytea,
    ADD CONSTRAINT dead_letters_status_known CHECK (status IN ('waiting', 'redriven', 'dropped')),
    ADD CONSTRAINT dead_letters_handled      CHECK ((status = 'waiting') = (handled_at IS NULL)),
    ADD CONSTRAINT dead_letters_redrives     CHECK (redrives >= 0),
    ADD CONSTRAINT dead_letters_edited       CHECK (edited_payload IS NULL OR edited_at IS NOT NULL);

CREATE INDEX dead_letters_waiting ON dead_letters (id) WHERE status = 'waiting';
CREATE INDEX dead_letters_handled ON dead_letters (handled_at) WHERE handled_at IS NOT NULL;

-- +goose Down
DROP INDEX dead_letters_handled;
DROP INDEX dead_letters_waiting;
ALTER TABLE dead_letters
    DROP COLUMN edited_payload,
    DROP COLUMN edited_at,
    DROP COLUMN redrives,
    DROP COLUMN handled_at,
    DROP COLUMN status;

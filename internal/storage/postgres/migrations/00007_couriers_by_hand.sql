-- +goose Up

-- A busy courier may be told to pause when his delivery ends; one who left is kept
-- for the history, and his phone may be another's. Both are states that the
-- statements of deliveries must not have to know of: he is paused then, whom no
-- order is given to. (A replica of the version before ends no delivery of a courier
-- who is to pause after it: tell nobody so during the roll-out.)
ALTER TABLE couriers
    ADD COLUMN pause_after_delivery boolean NOT NULL DEFAULT false,
    ADD COLUMN deleted_at           timestamptz,
    ADD CONSTRAINT couriers_pause_after_what CHECK (NOT pause_after_delivery OR status = 'busy'),
    ADD CONSTRAINT couriers_deleted_rest     CHECK (deleted_at IS NULL OR status = 'paused'),
    DROP CONSTRAINT couriers_phone_key;

CREATE UNIQUE INDEX couriers_phone_key ON couriers (phone) WHERE deleted_at IS NULL;

-- +goose Down
UPDATE couriers SET phone = 'deleted:' || id WHERE deleted_at IS NOT NULL;
DROP INDEX couriers_phone_key;
ALTER TABLE couriers
    DROP COLUMN deleted_at,
    DROP COLUMN pause_after_delivery,
    ADD CONSTRAINT couriers_phone_key UNIQUE (phone);

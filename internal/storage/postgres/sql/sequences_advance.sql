-- Advances each sequence that is behind its rows: logical replication and a data-only
-- restore do not copy sequences. Each maximum is read from an index.
SELECT setval(name, highest)
FROM (VALUES
    ('couriers_id_seq'::regclass, (SELECT max(id) FROM couriers)),
    ('journal_id_seq',            (SELECT max(id) FROM journal)),
    ('orders_number_seq',         (SELECT max(order_number) FROM journal)),
    ('dead_letters_id_seq',       (SELECT max(id) FROM dead_letters)),
    ('queue_positions',           (SELECT max(queue_position) FROM orders WHERE state = 'waiting' AND missing_since IS NULL)),
    ('recheck_tokens',            (SELECT max(recheck_token) FROM orders WHERE recheck_at IS NOT NULL))
) behind (name, highest)
WHERE highest > coalesce(pg_sequence_last_value(name), 0)

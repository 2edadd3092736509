-- The entry that so many others follow below a transaction, else the oldest.
(SELECT xid, id FROM journal WHERE xid < $1 ORDER BY xid DESC, id DESC OFFSET $2 LIMIT 1)
UNION ALL
(SELECT xid, id FROM journal WHERE xid < $1 ORDER BY xid, id LIMIT 1)
LIMIT 1

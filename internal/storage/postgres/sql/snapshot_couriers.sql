SELECT status, count(*) FROM couriers GROUP BY status

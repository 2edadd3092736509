-- Registers the couriers of `dev` and of compose.yaml if there is none, with the plain
-- INSERT that must be enough to register one.
INSERT INTO couriers (name, phone, status, transport_type)
SELECT name, '+7000000000' || n - 1, 'available', (ARRAY['on_foot', 'scooter', 'car'])[1 + n % 3]
FROM unnest(ARRAY['Anna', 'Boris', 'Vera', 'Gleb', 'Darya', 'Egor', 'Zhanna', 'Zakhar', 'Inna', 'Kirill'])
     WITH ORDINALITY AS demo(name, n)
WHERE NOT EXISTS (SELECT FROM couriers);

CREATE TABLE kinds (id int PRIMARY KEY, bt bit(5), vb varbit(8), ip inet, mo money, p point, r int4range, us uuid[], ls bigint[], ns numeric(6,2)[], dd date[],
  d date, ts timestamp, ts3 timestamp(3), tstz timestamptz, tz timetz, tm time, tm3 time(3), iv interval, num numeric(12,2), free numeric, by bytea, f4 real, f8 double precision, i2 smallint NOT NULL DEFAULT 7, u uuid, j jsonb);
CREATE TABLE toasts (id int PRIMARY KEY, n int, t text, by bytea, j jsonb, ts text[], "is" int[], ls bigint[]);
ALTER TABLE toasts ALTER t SET STORAGE EXTERNAL, ALTER by SET STORAGE EXTERNAL, ALTER j SET STORAGE EXTERNAL, ALTER ts SET STORAGE EXTERNAL, ALTER "is" SET STORAGE EXTERNAL, ALTER ls SET STORAGE EXTERNAL;
CREATE TABLE whole_toasts (id int PRIMARY KEY, n int, t text); ALTER TABLE whole_toasts REPLICA IDENTITY FULL; ALTER TABLE whole_toasts ALTER t SET STORAGE EXTERNAL;
CREATE TABLE marker (id serial PRIMARY KEY);
INSERT INTO kinds VALUES (1, B'00101', B'0101', '10.1.2.3/24', '12.34', '(1.5,-2)', '[1,5)', '{11111111-2222-3333-4444-555555555555}', '{9223372036854775807,null}', '{1.50,-0.01}', '{2026-01-31}',
  '2026-01-31', '2026-01-31 12:34:56.123456', '2026-01-31 12:34:56.1', '2026-01-31 12:34:56.5+01', '12:00+02', '12:34:00', '12:34:56.5', '1 year 2 mons -3 days 04:05:06.7', -0.01, 123456.789, '\x00ff', 'Infinity', 'NaN', 1, '11111111-2222-3333-4444-555555555555', '{"a": 1.50}');
INSERT INTO kinds (id, d, ts, ts3, tstz) VALUES (2, '-infinity', 'infinity', '-infinity', 'infinity'), (3, '0044-03-15 BC', '0044-03-15 01:02:03.000004 BC', '12026-01-31', '0044-03-15 01:02:03+00 BC'), (4, 'infinity', '-infinity', 'infinity', '-infinity');
-- @next
INSERT INTO kinds SELECT id + 10, bt, vb, ip, mo, p, r, us, ls, ns, dd, d, ts, ts3, tstz, tz, tm, tm3, iv, num, free, by, f4, f8, i2, u, j FROM kinds ORDER BY id;
INSERT INTO toasts SELECT 1, 1, repeat('0123456789', 400), convert_to(repeat('0123456789', 400), 'UTF8'), to_jsonb(repeat('0123456789', 400)), array_agg(g::text || 'abcdef'), array_agg(g), array_agg(g::bigint) FROM generate_series(1, 1000) g;
UPDATE toasts SET n = 2;
UPDATE toasts SET id = 2;
INSERT INTO whole_toasts VALUES (1, 1, repeat('0123456789', 400)); UPDATE whole_toasts SET n = 2; UPDATE whole_toasts SET id = 2; DELETE FROM whole_toasts;
DELETE FROM kinds WHERE id = 1;

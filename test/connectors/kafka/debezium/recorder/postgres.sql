CREATE TYPE mood AS ENUM ('sad', 'ok', 'b,c');
CREATE TABLE items (id bigint PRIMARY KEY, i2 smallint, i4 int, i8 bigint, num numeric(12,2), wide numeric(38,10), free numeric,
  f4 real, f8 double precision, b bool, t text, v varchar(40), c char(3), by bytea, d date, tm time, tm3 time(3), ttz timetz,
  ts timestamp, ts3 timestamp(3), tstz timestamptz, iv interval, u uuid, j json, jb jsonb, ints int[], texts text[], e mood, x xml);
CREATE TABLE full_rows (id int PRIMARY KEY, t text, n numeric(9,3)); ALTER TABLE full_rows REPLICA IDENTITY FULL;
CREATE TABLE keyless (a int, t text); ALTER TABLE keyless REPLICA IDENTITY FULL;
CREATE TABLE pairs (a int, b text, n int, PRIMARY KEY (b, a));
CREATE TABLE marker (id serial PRIMARY KEY);
INSERT INTO items VALUES (1, -32768, 2147483647, 9223372036854775807, 1234567890.12, 1234567890123456789012345678.0123456789, 0.00001,
  1.5, 0.1, true, 'zwölf ☃ 😀', 'v', 'ab', '\x00ff10', '2026-01-31', '23:59:59.999999', '12:00:00.123', '12:00:00.5+02',
  '2026-01-31 12:34:56.123456', '2026-01-31 12:34:56.123', '2026-01-31 12:34:56.123456+01', '1 year 2 mons 3 days 04:05:06.7',
  '11111111-2222-3333-4444-555555555555', '{"a": 1.50, "b": [null]}', '{"a": 9007199254740993}', '{1,null,-3}', '{a,"b\"c",null}', 'b,c', '<a/>');
INSERT INTO items (id) VALUES (2);
INSERT INTO items VALUES (3, 32767, -2147483648, -9223372036854775808, -0.01, -0.0000000001, -12345678901234567890.5,
  -1.5e30, -1e300, false, '', '', '', '', '0001-01-01', '00:00:00', '00:00:00', '00:00:00+00',
  '0001-01-01 00:00:00', '1969-12-31 23:59:59.999', '9999-12-31 23:59:59.999999+00', '-1 mons', '00000000-0000-0000-0000-000000000000',
  'null', '"x"', '{}', '{}', 'sad', '<b>x</b>');
INSERT INTO full_rows VALUES (1, 'one', 1.5), (2, 'two', null);
INSERT INTO keyless VALUES (1, 'a');
INSERT INTO pairs VALUES (1, 'x', 1);
-- @next
INSERT INTO items SELECT id + 10, i2, i4, i8, num, wide, free, f4, f8, b, t, v, c, by, d, tm, tm3, ttz, ts, ts3, tstz, iv, u, j, jb, ints, texts, e, x FROM items ORDER BY id;
UPDATE items SET t = (SELECT string_agg(md5(g::text), '') FROM generate_series(1, 400) g) WHERE id = 2;
UPDATE items SET i4 = 7 WHERE id = 2;
UPDATE items SET id = 4 WHERE id = 3;
DELETE FROM items WHERE id = 1;
BEGIN; UPDATE full_rows SET n = 2.25 WHERE id = 1; DELETE FROM full_rows WHERE id = 2; INSERT INTO full_rows VALUES (3, null, -7.125); COMMIT;
UPDATE keyless SET t = 'b' WHERE a = 1;
INSERT INTO pairs VALUES (2, 'y', 2); UPDATE pairs SET n = 3 WHERE a = 2; DELETE FROM pairs WHERE a = 1;
-- @next
ALTER TABLE full_rows ADD COLUMN more bigint DEFAULT 5; UPDATE full_rows SET more = 9007199254740993 WHERE id = 1; INSERT INTO full_rows VALUES (4, 'new', 1, 2);
TRUNCATE pairs;
INSERT INTO pairs VALUES (9, 'after', 9);
SELECT pg_logical_emit_message(true, 'note', 'hello');

CREATE TABLE items (id bigint unsigned PRIMARY KEY, t1 tinyint(1), u1 tinyint unsigned, u4 int unsigned, u8 bigint unsigned, num decimal(12,2), wide decimal(40,10),
  f4 float, f8 double, t text CHARACTER SET utf8mb4, v varchar(40) CHARACTER SET latin1, bi binary(4), by_ blob, d date, tm time(3), dt datetime(6), dt3 datetime(3), ts timestamp(6) NULL,
  y year, e enum('a','b,c',''), s set('x','y'), j json, b1 bit(1), b9 bit(9), g geometry);
CREATE TABLE marker (id int AUTO_INCREMENT PRIMARY KEY);
INSERT INTO items VALUES (1, 1, 255, 4294967295, 18446744073709551615, -0.01, 123456789012345678901234567890.0123456789, 1.5, 0.1, 'zwölf ☃ 😀', 'é', 'ab', x'00ff', '2026-01-31',
  '-838:59:59.000', '2026-01-31 12:34:56.123456', '2026-01-31 12:34:56.123', '2026-01-31 12:34:56.123456', 2026, 'b,c', 'x,y', '{"a": 1, "b": [1.5, null]}', b'1', b'100000001', ST_GeomFromText('POINT(1 2)'));
INSERT INTO items (id) VALUES (2);
-- @next
INSERT INTO items SELECT id + 10, t1, u1, u4, u8, num, wide, f4, f8, t, v, bi, by_, d, tm, dt, dt3, ts, y, e, s, j, b1, b9, g FROM items ORDER BY id;
UPDATE items SET u4 = 7, j = JSON_SET(j, '$.a', 2) WHERE id = 1;
UPDATE items SET id = 3 WHERE id = 2;
DELETE FROM items WHERE id = 1;
-- @next
ALTER TABLE items ADD COLUMN more int DEFAULT 5; INSERT INTO items (id) VALUES (4); TRUNCATE items; INSERT INTO items (id, t) VALUES (5, 'after');

CREATE TABLE kinds (id int PRIMARY KEY, t1 tinyint(1), u8 bigint unsigned, num decimal(12,2) NOT NULL, wide decimal(40,10), d date, tm time(6), tm0 time, dt datetime(6), dt3 datetime(3), dt0 datetime, ts timestamp(6) NULL, ts0 timestamp NULL,
  y year, by_ varbinary(8), b1 bit(1), b9 bit(9), b64 bit(64), e enum('a','b'), s set('x','y'), j json, p point, f4 float, f8 double);
CREATE TABLE nokey (a int, t varchar(20));
CREATE TABLE marker (id int AUTO_INCREMENT PRIMARY KEY);
INSERT INTO kinds VALUES (1, 1, 18446744073709551615, -0.01, 0.5, '2026-01-31', '23:59:59.999999', '-838:59:59', '2026-01-31 12:34:56.123456', '2026-01-31 12:34:56.1', '1000-01-01 00:00:00', '2026-01-31 12:34:56.123456', '2026-01-31 12:34:56',
  2026, x'00ff', b'1', b'100000001', b'1000000000000000000000000000000000000000000000000000000000000001', 'b', 'x,y', '{"a": 9007199254740993}', ST_GeomFromText('POINT(1 2)', 4326), 1.5, 0.1);
INSERT INTO nokey VALUES (1, 'a');
-- @next
INSERT INTO kinds SELECT id + 10, t1, u8, num, wide, d, tm, tm0, dt, dt3, dt0, ts, ts0, y, by_, b1, b9, b64, e, s, j, p, f4, f8 FROM kinds ORDER BY id;
UPDATE kinds SET num = 5 WHERE id = 1;
UPDATE nokey SET t = 'b';
ALTER TABLE kinds MODIFY COLUMN t1 int, MODIFY COLUMN num decimal(20,2) NOT NULL; INSERT INTO kinds (id, t1, num) VALUES (3, 70000, 123456789012345678.25);
ALTER TABLE kinds DROP COLUMN y; INSERT INTO kinds (id, num) VALUES (4, 4);
DELETE FROM nokey;

/** What the recorded binlogs hold: statements that reach every kind of event, on either server. */

/** Made before the recording. */
export const tables = `
CREATE DATABASE shop; CREATE DATABASE other; USE shop;
CREATE TABLE items (id INT NOT NULL PRIMARY KEY, name VARCHAR(40) CHARACTER SET utf8mb4, price DECIMAL(12,2),
  stock BIGINT UNSIGNED DEFAULT 7, note TEXT, y YEAR, small SMALLINT UNSIGNED NOT NULL DEFAULT 65535,
  added DATETIME(6), raw VARBINARY(300), kind ENUM('a','b,c',''), flags SET('x','y','z'), ratio DOUBLE) ENGINE=InnoDB;
CREATE TABLE words (word VARCHAR(300) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci NOT NULL, n INT NOT NULL, meaning VARCHAR(20) CHARACTER SET latin1,
  PRIMARY KEY (word, n)) ENGINE=InnoDB;
CREATE TABLE loose (n INT, what VARCHAR(20)) ENGINE=InnoDB;
CREATE TABLE plain (id INT NOT NULL PRIMARY KEY, what VARCHAR(20)) ENGINE=MyISAM;
CREATE TABLE uniq (a INT, b INT NOT NULL, c TEXT, UNIQUE KEY (b)) ENGINE=InnoDB;
CREATE TABLE other.elsewhere (id INT PRIMARY KEY, v VARCHAR(10)) ENGINE=InnoDB;
`

export const followedTables = ['items', 'words', 'loose', 'plain', 'uniq'] as const

/** One session's. */
export const changes: readonly string[] = [
  `INSERT INTO items VALUES (1, 'été', 12.50, 18446744073709551615, 'long note', 1999, 3, '2024-02-29 12:34:56.789012', x'00ff10', 'b,c', 'x,z', 0.1),
    (2, NULL, NULL, NULL, NULL, NULL, 0, NULL, NULL, NULL, NULL, NULL), (3, 'three', -0.01, 0, '', 2155, 1, '1000-01-01', '', 'a', '', -1e300)`,
  `INSERT INTO items (id, name) VALUES (4, 'defaults')`,
  `INSERT INTO other.elsewhere VALUES (1, 'not ours')`,
  `UPDATE items SET price = price + 1, note = NULL WHERE id IN (1, 3)`,
  `UPDATE items SET id = id + 100 WHERE id = 3`,
  `UPDATE items SET stock = 9007199254740993 WHERE id = 2`,
  `INSERT INTO words VALUES ('Apple', 1, 'fruit'), ('apple', 2, NULL), ('straße', 1, 'ü')`,
  `UPDATE words SET word = 'APPLE' WHERE word = 'apple' AND n = 1`,
  `UPDATE words SET n = 10, meaning = 'x' WHERE word = 'straße'`,
  `INSERT INTO loose VALUES (1, 'a'), (1, 'a'), (NULL, NULL), (2, 'b')`,
  `UPDATE loose SET what = 'c' WHERE n = 1 LIMIT 1`,
  `DELETE FROM loose WHERE n IS NULL`,
  `INSERT INTO uniq VALUES (1, 1, 'one'), (2, 2, REPEAT('two', 50))`,
  `UPDATE uniq SET a = 5 WHERE b = 2`,
  `REPLACE INTO uniq VALUES (6, 1, 'replaced')`,
  `INSERT INTO items (id, name) VALUES (5, 'five') ON DUPLICATE KEY UPDATE name = 'again'`,
  `INSERT INTO items (id, name) VALUES (5, 'five') ON DUPLICATE KEY UPDATE name = 'again'`,
  `BEGIN; INSERT INTO items (id, name, note) VALUES (10, 'rolled back', 'x'); ROLLBACK`,
  `BEGIN; INSERT INTO items (id, name, note) VALUES (11, 'kept', 'x'); SAVEPOINT s1; INSERT INTO items (id, name) VALUES (12, 'undone');
    ROLLBACK TO s1; INSERT INTO items (id, name) VALUES (13, 'kept too'); COMMIT`,
  `INSERT INTO plain VALUES (1, 'myisam')`,
  `UPDATE items, uniq SET items.name = 'joined', uniq.c = 'joined' WHERE items.id = 1 AND uniq.b = 1`,
  `DELETE FROM items WHERE id = 2`,
  `CREATE TABLE made SELECT id, name FROM items`,
  `DROP TABLE made`,
]

/** Transactions of tables with and without transactions, which MySQL refuses while it gives GTIDs. */
export const mixed: readonly string[] = [
  `BEGIN; INSERT INTO items (id, name) VALUES (14, 'gone'); INSERT INTO plain VALUES (2, 'stays'); ROLLBACK`,
  `BEGIN; INSERT INTO items (id, name) VALUES (15, 'both'); INSERT INTO plain VALUES (3, 'both'); COMMIT`,
]

/** Rows of a transaction that was rolled back to a savepoint, where it could not be undone as a whole. */
export const savepoints: readonly string[] = [
  `INSERT INTO items (id, name) VALUES (1, 'one'), (2, 'two'); INSERT INTO plain VALUES (1, 'one')`,
  `BEGIN; INSERT INTO items (id, name) VALUES (3, 'kept'); SAVEPOINT s1; INSERT INTO items (id, name) VALUES (4, 'undone');
    UPDATE items, plain SET items.name = 'undone', plain.what = 'stays' WHERE items.id = 2 AND plain.id = 1;
    SAVEPOINT s2; INSERT INTO loose VALUES (1, 'undone'); DELETE FROM items WHERE id = 1; ROLLBACK TO s1;
    INSERT INTO items (id, name) VALUES (5, 'kept'); COMMIT`,
  `BEGIN; INSERT INTO items (id, name) VALUES (6, 'undone');
    UPDATE items, plain SET items.name = 'undone', plain.what = 'stays too' WHERE items.id = 2 AND plain.id = 1; ROLLBACK`,
  `INSERT INTO items (id, name) VALUES (7, 'after')`,
]

/** Transactions beyond what is gathered at once, some of them undone in part. */
export const large: readonly string[] = [
  `SET SESSION cte_max_recursion_depth = 100000`,
  `INSERT INTO items (id, name) VALUES (1, 'one')`,
  `BEGIN; INSERT INTO items (id, note) WITH RECURSIVE r (n) AS (SELECT 10 UNION ALL SELECT n + 1 FROM r WHERE n < 110) SELECT n, REPEAT('a', 60000) FROM r;
    SAVEPOINT s1; INSERT INTO loose VALUES (1, 'kept'); SAVEPOINT s2;
    INSERT INTO items (id, note) WITH RECURSIVE r (n) AS (SELECT 200 UNION ALL SELECT n + 1 FROM r WHERE n < 310) SELECT n, REPEAT('b', 60000) FROM r;
    ROLLBACK TO s2; UPDATE items SET note = 'short' WHERE id BETWEEN 20 AND 30; COMMIT`,
  `BEGIN; UPDATE items SET note = CONCAT(note, 'x') WHERE id > 10; ROLLBACK`,
  `UPDATE items SET note = CONCAT(note, 'y'), id = id + 1000 WHERE id > 10`,
  `DELETE FROM items WHERE id > 1015`,
  `INSERT INTO loose VALUES (2, 'last')`,
]

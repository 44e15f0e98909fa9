/** Which binlog files are recorded, from which server under which settings (test/fixtures/mysql/record.ts). */
import { changes, followedTables, large, mixed, savepoints, tables } from './workload.ts'

export interface Recipe {
  readonly name: string
  readonly server: 'mysql-9.7' | 'mariadb-10.11' | 'mariadb-11.8'
  readonly settings: Readonly<Record<string, string>>
  readonly before: readonly string[]
  readonly changes: readonly string[]
  readonly tables: readonly string[]
}

type Server = Recipe['server']

function usual(name: string, server: Server, settings: Recipe['settings']): Recipe {
  const refusesMixed = server === 'mysql-9.7' && settings['gtid-mode'] !== 'OFF'
  const all = refusesMixed ? changes : [...changes, ...mixed]
  return { name, server, settings, before: [tables], changes: all, tables: followedTables }
}

const json = `CREATE DATABASE shop; USE shop;
CREATE TABLE docs (id INT NOT NULL PRIMARY KEY, a JSON, n INT, b JSON, c JSON)`
const jsonChanges = [
  `INSERT INTO docs VALUES (1, '{"a": 1, "b": [1, 2, {"c": "x"}], "long": "${'y'.repeat(200)}"}', 1, '[1, 2, 3]', NULL),
    (2, '[]', 2, '{"k": {"z": 1.5}}', '{"t": true}')`,
  `UPDATE docs SET a = JSON_SET(a, '$.a', 18446744073709551615) WHERE id = 1`,
  `UPDATE docs SET a = JSON_REMOVE(a, '$.b[1]'), b = JSON_ARRAY_APPEND(b, '$', 'new') WHERE id = 1`,
  `UPDATE docs SET c = JSON_REPLACE(c, '$.t', CAST('2020-01-01' AS DATE)), n = 3 WHERE id = 2`,
  `UPDATE docs SET b = JSON_SET(b, '$.k.z', 'ü', '$.k.new', CAST(1.10 AS DECIMAL(5,2))) WHERE id = 2`,
  `UPDATE docs SET a = JSON_SET(a, '$.a', JSON_EXTRACT(a, '$.a')), n = 9 WHERE id = 1`,
  `UPDATE docs SET id = 3, a = JSON_INSERT(a, '$[0]', 'first') WHERE id = 2`,
  `UPDATE docs SET a = NULL WHERE id = 3`,
]

const xa = (ending: readonly string[]): string[] => [
  `XA START 'x1', 'branch'; INSERT INTO items (id, name) VALUES (50, 'prepared'); XA END 'x1', 'branch'; XA PREPARE 'x1', 'branch'`,
  ...ending,
]
const xaChanges = [
  `INSERT INTO items (id, name) VALUES (1, 'before')`,
  ...xa([`XA COMMIT 'x1', 'branch'`]),
  `XA START 'x2'; INSERT INTO items (id, name) VALUES (51, 'undone'); XA END 'x2'; XA PREPARE 'x2'`,
  `XA ROLLBACK 'x2'`,
  `XA START 'x3'; INSERT INTO items (id, name) VALUES (52, 'one phase'); XA END 'x3'; XA COMMIT 'x3' ONE PHASE`,
  `INSERT INTO items (id, name) VALUES (2, 'after')`,
]

const full = { 'binlog-row-image': 'FULL', 'binlog-row-metadata': 'FULL' }

export const recordings: readonly Recipe[] = [
  usual('mysql-9.7-full', 'mysql-9.7', full),
  usual('mysql-9.7-minimal', 'mysql-9.7', { ...full, 'binlog-row-image': 'MINIMAL' }),
  usual('mysql-9.7-noblob', 'mysql-9.7', { ...full, 'binlog-row-image': 'NOBLOB' }),
  usual('mysql-9.7-bare', 'mysql-9.7', {
    ...full,
    'binlog-row-metadata': 'MINIMAL',
    'binlog-checksum': 'NONE',
  }),
  usual('mysql-9.7-no-gtid', 'mysql-9.7', {
    ...full,
    'gtid-mode': 'OFF',
    'enforce-gtid-consistency': 'OFF',
  }),
  usual('mysql-9.7-compressed', 'mysql-9.7', { ...full, 'binlog-transaction-compression': 'ON' }),
  {
    ...usual('mysql-9.7-tagged', 'mysql-9.7', full),
    changes: [
      `SET gtid_next = 'AUTOMATIC:first_tag'`,
      ...changes.slice(0, 8),
      `SET gtid_next = 'AUTOMATIC:second'`,
      ...changes.slice(8, 12),
      `SET gtid_next = 'AUTOMATIC'`,
      ...changes.slice(12),
    ],
  },
  {
    name: 'mysql-9.7-json-full',
    server: 'mysql-9.7',
    settings: { ...full, 'binlog-row-value-options': 'PARTIAL_JSON' },
    before: [json],
    changes: jsonChanges,
    tables: ['docs'],
  },
  {
    name: 'mysql-9.7-json-minimal',
    server: 'mysql-9.7',
    settings: {
      ...full,
      'binlog-row-image': 'MINIMAL',
      'binlog-row-value-options': 'PARTIAL_JSON',
    },
    before: [json],
    changes: jsonChanges,
    tables: ['docs'],
  },
  { ...usual('mysql-9.7-xa', 'mysql-9.7', full), changes: xaChanges },
  {
    ...usual('mysql-9.7-xa-compressed', 'mysql-9.7', {
      ...full,
      'binlog-transaction-compression': 'ON',
    }),
    changes: xaChanges,
  },
  {
    ...usual('mysql-9.7-savepoints', 'mysql-9.7', {
      ...full,
      'gtid-mode': 'OFF',
      'enforce-gtid-consistency': 'OFF',
    }),
    changes: savepoints,
  },
  { ...usual('mysql-9.7-large', 'mysql-9.7', full), changes: large },
  {
    ...usual('mysql-9.7-large-compressed', 'mysql-9.7', {
      ...full,
      'binlog-transaction-compression': 'ON',
    }),
    changes: large,
  },
  { ...usual('mariadb-11.8-savepoints', 'mariadb-11.8', full), changes: savepoints },
  { ...usual('mariadb-11.8-large', 'mariadb-11.8', full), changes: large.slice(1) },
  ...(['mariadb-10.11', 'mariadb-11.8'] as const).flatMap((server): Recipe[] => [
    usual(`${server}-full`, server, full),
    usual(`${server}-minimal`, server, { ...full, 'binlog-row-image': 'MINIMAL' }),
    usual(`${server}-noblob`, server, { ...full, 'binlog-row-image': 'NOBLOB' }),
    usual(`${server}-no-log`, server, {
      'binlog-row-image': 'FULL',
      'binlog-row-metadata': 'NO_LOG',
      'binlog-checksum': 'NONE',
    }),
    usual(`${server}-bare`, server, { ...full, 'binlog-row-metadata': 'MINIMAL' }),
    usual(`${server}-compressed`, server, {
      ...full,
      'log-bin-compress': 'ON',
      'log-bin-compress-min-len': '10',
    }),
    { ...usual(`${server}-xa`, server, full), changes: xaChanges },
  ]),
]

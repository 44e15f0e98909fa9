/**
 * The catalog on real servers: what is a table, its columns in the order of the binlog, the key as the
 * server picks it, MariaDB's JSON, names in every spelling. A key that is none would let rows vanish in
 * an upsert topic (invariant 5).
 */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import {
  loadTables,
  topicName,
  topicSchema,
  type CatalogTable,
} from '../../../connectors/mysql/schema/catalog.ts'
import { loadCollations } from '../../../connectors/mysql/schema/charsets-catalog.ts'
import { connect, targetOf, type Session } from '../../../connectors/mysql/connection.ts'
import { parseTablePattern } from '../../../connectors/mysql/schema/table-pattern.ts'
import { Secret } from '../../../core/connector/secret.ts'
import { typeName } from '../../../core/record/types.ts'
import type { MysqlServer } from '../../services/mysql-family.ts'
import { mysqlServers } from '../../services/mysql-servers.ts'

const policies = { tinyint1: 'bool', zeroDates: 'stop' } as const

for (const { name, flavour, ...servers } of await mysqlServers(
  'mysql-9.7',
  'mariadb-10.11',
  'mariadb-11.8',
)) {
  describe(`${name}: the catalog`, () => {
    let server: MysqlServer
    let session: Session
    before(async () => {
      server = await servers.start()
      const target = targetOf(new Secret(server.url), { compress: false })
      session = await connect(target, new AbortController().signal)
      await session.query('CREATE DATABASE cat CHARACTER SET latin1')
      await session.query('CREATE DATABASE `odd.``name`')
    })
    after(async () => {
      await session[Symbol.asyncDispose]()
      await server[Symbol.asyncDispose]()
    })

    async function load(...patterns: string[]): Promise<CatalogTable[]> {
      return loadTables(
        session.query,
        patterns.map((pattern) => parseTablePattern(pattern)!),
      )
    }
    async function keyOf(
      columns: string,
      suffix = '',
    ): Promise<[readonly string[], string | null]> {
      await session.query('DROP TABLE IF EXISTS cat.k')
      await session.query(`CREATE TABLE cat.k (${columns})${suffix}`)
      const [table] = await load('cat.k')
      return [table!.key, table!.keyIndex]
    }

    it('has the key that the server picks', async () => {
      const columns = 'x int NOT NULL, y varchar(20) NOT NULL, z int, t text NOT NULL'
      assert.deepEqual(await keyOf(`${columns}, PRIMARY KEY (y, x)`), [['y', 'x'], 'PRIMARY'])
      assert.deepEqual(await keyOf(columns), [[], null])
      assert.deepEqual(
        await keyOf(`${columns}, UNIQUE u1 (z), UNIQUE u2 (x, z), UNIQUE u3 (y(5)), KEY k (x)`),
        [[], null],
        'nullable columns, prefixes and plain indexes are no keys',
      )
      assert.deepEqual(
        await keyOf(`${columns}, UNIQUE u3 (x, z), UNIQUE u2 (y, x), UNIQUE u1 (x)`),
        [['y', 'x'], 'u2'],
        'the first of the unique ones that are not null, in the server’s order',
      )
      assert.deepEqual(
        await keyOf(`${columns}, UNIQUE u1 (x), PRIMARY KEY (t(10))`),
        [['t'], null],
        'a primary key of a prefix tells whole values apart, and has not their order',
      )
    })

    it('does not read by an index that the optimiser may not use, or that has another order', async () => {
      if (flavour === 'mysql') {
        assert.deepEqual(
          await keyOf('x int NOT NULL, UNIQUE u ((x + 1)), UNIQUE v (x) INVISIBLE'),
          [['x'], null],
        )
        assert.deepEqual(await keyOf('x int, y int, PRIMARY KEY (x DESC, y)'), [['x', 'y'], null])
        assert.deepEqual(await keyOf('x int, y int, PRIMARY KEY (x DESC, y DESC)'), [
          ['x', 'y'],
          'PRIMARY',
        ])
      } else {
        assert.deepEqual(
          await keyOf('x int NOT NULL, t text NOT NULL, UNIQUE u (t), UNIQUE v (x)'),
          [['x'], 'v'],
          'a unique index of whole texts is a hash',
        )
      }
    })

    it('has every column, in the order of the binlog', async () => {
      await session.query(`CREATE TABLE cat.c (
        id int unsigned NOT NULL PRIMARY KEY, flag tinyint(1) NOT NULL, small tinyint unsigned,
        label enum('a','b''c','d,e','(f)','back\\\\slash','ü') CHARACTER SET utf8mb4,
        text1 varchar(20), text4 varchar(20) CHARACTER SET utf8mb4,
        virt int GENERATED ALWAYS AS (id + 1) VIRTUAL, kept int GENERATED ALWAYS AS (id + 2) STORED,
        hidden int INVISIBLE, doc json, at timestamp(3) NULL, price decimal(65,30), day date NOT NULL)`)
      const [table] = await load('cat.c')
      assert.equal(table!.kind, 'table')
      assert.equal(table!.engine, 'InnoDB')
      const named = Object.fromEntries(table!.columns.map((column) => [column.name, column]))
      assert.deepEqual(
        table!.columns.map((column) => column.name),
        'id flag small label text1 text4 virt kept hidden doc at price day'.split(' '),
      )
      assert.deepEqual(named['label']!.type, {
        kind: 'enum',
        labels: ['a', "b'c", 'd,e', '(f)', 'back\\slash', 'ü'],
      })
      assert.deepEqual(named['text1']!.type, { kind: 'text', charset: 'latin1' })
      assert.deepEqual(named['doc']!.type, { kind: 'json' })
      assert.deepEqual(
        [named['virt']!.generated, named['kept']!.generated, named['id']!.generated],
        ['virtual', 'stored', ''],
      )
      assert.deepEqual([named['hidden']!.invisible, named['id']!.invisible], [true, false])
      const schema = topicSchema(table!, policies)
      assert.equal(schema.changelog, 'upsert')
      assert.deepEqual(schema.key, [0])
      assert.deepEqual(
        schema.fields.map((field) => `${typeName(field.type)}${field.nullable ? '?' : ''}`),
        'int64 bool int16? text? text? text? int32? int32? int32? json? timestamptz? decimal(65,30)? date'.split(
          ' ',
        ),
      )
      const asNull = topicSchema(table!, { tinyint1: 'int', zeroDates: 'null' })
      assert.ok(asNull.fields.find((field) => field.name === 'day')!.nullable)
    })

    it('knows tables from what only looks like one', async () => {
      await session.query('CREATE TABLE cat.keyless (a int, b text)')
      await session.query('CREATE VIEW cat.view_of AS SELECT * FROM cat.keyless')
      await session.query('CREATE TABLE cat.old (id int PRIMARY KEY) ENGINE = MyISAM')
      if (flavour === 'mariadb') {
        await session.query('CREATE SEQUENCE cat.counter')
        await session.query('CREATE TABLE cat.history (id int PRIMARY KEY) WITH SYSTEM VERSIONING')
      }
      const kinds = new Map(
        (await load('cat.*')).map((table) => [table.table, `${table.kind} ${table.engine ?? ''}`]),
      )
      assert.equal(kinds.get('keyless'), 'table InnoDB')
      assert.equal(kinds.get('old'), 'table MyISAM')
      assert.equal(kinds.get('view_of'), 'view ')
      if (flavour === 'mariadb') {
        assert.equal(kinds.get('counter'), 'sequence InnoDB')
        assert.equal(kinds.get('history'), 'versioned InnoDB')
      }
      const [keyless] = await load('cat.keyless')
      const schema = topicSchema(keyless!, policies)
      assert.equal(schema.changelog, 'retract')
      assert.deepEqual(schema.key, [])
    })

    it('finds tables by exact names and by database, each once, never the server’s own', async () => {
      await session.query(
        'CREATE TABLE `odd.``name`.`a b.c` (`k``ey` int PRIMARY KEY, `sel.ect` int)',
      )
      await session.query('CREATE TABLE `odd.``name`.`üñ` (id int PRIMARY KEY)')
      const patterns = [
        '`odd.``name`.`üñ`',
        '`odd.``name`.*',
        'mysql.*',
        'cat.nothing',
        'nowhere.*',
      ]
      assert.deepEqual((await load(...patterns)).map(topicName), [
        'odd.`name.üñ',
        'odd.`name.a b.c',
      ])
      const [odd] = await load('`odd.``name`.`a b.c`')
      assert.deepEqual(odd!.key, ['k`ey'])
      assert.deepEqual(await load('`odd.``name`.`A B.C`'), [], 'names are exact here')
      assert.deepEqual(await load('sys.*', 'information_schema.*', 'performance_schema.*'), [])
    })

    it('knows every collation by its number', async () => {
      const collations = await loadCollations(session.query)
      const expected = [
        [8, 'latin1'],
        [33, 'utf8mb3'],
        [45, 'utf8mb4'],
        [46, 'utf8mb4'],
        [63, 'binary'],
        [35, 'ucs2'],
      ] as const
      for (const [id, charset] of expected) assert.equal(collations.get(id), charset, String(id))
      const [row] = await session.query('SELECT @@collation_server AS name')
      const charset = String(row!['name']).split('_')[0]
      const ids = await session.query(
        `SELECT ID AS id FROM information_schema.COLLATIONS WHERE COLLATION_NAME = '${String(row!['name'])}' AND ID IS NOT NULL`,
      )
      for (const { id } of ids) assert.equal(collations.get(Number(id)), charset)
      assert.ok(collations.size > 200, `${collations.size} collations`)
    })
  })
}

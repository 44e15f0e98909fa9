/**
 * What decides which changes a resumed copy has seen (invariants 5 and 9): the order of keys, which must
 * be the server's own, and the visibility of transactions under a snapshot.
 */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { loadTables, topicSchema, TypeCatalog } from '../../../connectors/postgres/catalog.ts'
import { sessionSettingsSql } from '../../../connectors/postgres/session.ts'
import { afterKeySql, loadKeyOrder, orderSql } from '../../../connectors/postgres/key-order.ts'
import { compareNumeric } from '../../../connectors/postgres/key-compare.ts'
import { compareOf } from '../../../connectors/postgres/snapshot.ts'
import { SnapshotFilter } from '../../../connectors/postgres/snapshot-filter.ts'
import type { SnapshotProgress } from '../../../connectors/postgres/snapshot-progress.ts'
import { startPostgres } from '../../services/postgres.ts'

const values: Readonly<Record<string, readonly string[]>> = {
  int2: ['-32768', '-1', '0', '10', '9', '32767'],
  int8: [
    '-9223372036854775808',
    '9223372036854775807',
    '0',
    '9007199254740993',
    '9007199254740992',
  ],
  oid: ['4294967295', '0', '2147483648'],
  numeric: ['NaN', '1.0', '0.99', '-1.5', '10', '9', '1e30', '-1e-30', '0'],
  uuid: [
    'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11',
    'A0eebc99-9c0b-4ef8-bb6d-6bb9bd380a10',
    '00000000-0000-0000-0000-000000000001',
  ],
  bytea: ['\\x', '\\x00', '\\xff', '\\x00ff', '\\x0a'],
  date: ['infinity', '-infinity', '4713-01-01 BC', '0001-01-01', '10000-01-01', '2026-01-01'],
  time: ['24:00:00', '00:00:00', '23:59:59.999999'],
  timestamp: [
    'infinity',
    '-infinity',
    '0044-03-15 12:00:00 BC',
    '2026-01-01 00:00:00.1',
    '2026-01-01',
    '12345-01-01',
  ],
  timestamptz: [
    'infinity',
    '2026-01-01 00:00:00+05',
    '2026-01-01 00:00:00+00',
    '294246-01-01 00:00:00+00',
  ],
  'text COLLATE "C"': ['', 'a', 'B', 'ab', 'ä', '\u{1F388}', '\uFFFD', 'a b'],
  'varchar(9)': ['Z', 'a', '10', '9'],
  'char(3)': ['a', 'ab', 'a b', 'B'],
  name: ['x', 'X', '_'],
}
/** Ordered by the bytes of their text, because their own order is not known on this side. */
const asText: Readonly<Record<string, readonly string[]>> = {
  'text COLLATE "en-x-icu"': ['a', 'B', 'b', 'ä', 'z', '', '\u{1F388}', '\uFFFD', "it's \\ ok"],
  size: ['b', 'a', 'c,"d'],
  bool: ['t', 'f'],
  inet: ['10.0.0.1', '10.0.0.1/8', '9.0.0.0', '::1'],
  'char(4) COLLATE "en-x-icu"': ['a', 'ab', 'a b', 'B'],
  float8: ['NaN', '-0.5', '1e300', '10', '9', 'Infinity'],
  interval: ['1 day', '25:00', '-1 month'],
  'int[]': ['{1,2}', '{10}', '{}', '{NULL}'],
  pair: ['(1,a)', '(10,"b c")', '(9,)'],
}

describe('keys', () => {
  it('are ordered as the server orders them, or as their text', async () => {
    await using server = await startPostgres()
    const client = await server.client()
    await client.query(
      `CREATE TYPE size AS ENUM ('b', 'a', 'c,"d'); CREATE TYPE pair AS (a int, b text)`,
    )
    await client.query(sessionSettingsSql)
    for (const [type, samples] of Object.entries({ ...values, ...asText })) {
      const own = type === 'size' || type === 'pair' ? `public.${type}` : type
      await client.query(
        `DROP TABLE IF EXISTS public.t; CREATE TABLE public.t (k ${own} PRIMARY KEY)`,
      )
      for (const value of samples) await client.query('INSERT INTO public.t VALUES ($1)', [value])
      const [table] = await loadTables(client, [{ schema: 'public', name: 't' }])
      const types = new TypeCatalog()
      await types.load(
        client,
        table!.columns.map((column) => column.typeOid),
      )
      const order = await loadKeyOrder(client, table!)
      assert.deepEqual(
        order.map(({ native }) => native),
        [type in values],
        type,
      )
      const compare = compareOf(topicSchema(table!, types), order)
      const read = async (rest: string): Promise<string[][]> => {
        const { rows } = await client.query<[string]>({
          text: `SELECT k FROM public.t ${rest}`,
          rowMode: 'array',
          types: { getTypeParser: () => (text: string) => text },
        })
        return rows
      }
      const rows = await read(`ORDER BY ${orderSql(order)}`)
      assert.equal(rows.length, samples.length, type)
      if (type in values) assert.deepEqual(await read('ORDER BY k'), rows, type)
      assert.deepEqual([...rows].reverse().sort(compare), rows, type)
      for (const [i, row] of rows.entries()) {
        assert.equal(compare(row, row), 0)
        // After each key come exactly the rows behind it.
        const after = await read(`WHERE ${afterKeySql(order, row)} ORDER BY ${orderSql(order)}`)
        assert.deepEqual(after, rows.slice(i + 1), `${type} after ${row[0]}`)
      }
    }
  })

  it('of a database in another encoding are ordered by what is read of them', async () => {
    await using server = await startPostgres()
    await server.query(
      `CREATE DATABASE japanese TEMPLATE template0 ENCODING 'EUC_JP' LOCALE 'C' LOCALE_PROVIDER libc`,
    )
    const client = await server.client({
      connectionString: server.url.replace(/postgres$/, 'japanese'),
    })
    await client.query(sessionSettingsSql)
    await client.query('CREATE TABLE public.t (k text PRIMARY KEY)')
    // In EUC_JP kana come before kanji and both before half-width kana; in Unicode these are last.
    const texts = ['か', '漢', 'ｶ', 'ж', 'a', '〆']
    for (const text of texts) await client.query('INSERT INTO public.t VALUES ($1)', [text])
    const [table] = await loadTables(client, [{ schema: 'public', name: 't' }])
    const types = new TypeCatalog()
    const order = await loadKeyOrder(client, table!)
    await types.load(
      client,
      table!.columns.map((column) => column.typeOid),
    )
    const compare = compareOf(topicSchema(table!, types), order)
    const sql = `SELECT k FROM public.t ORDER BY ${orderSql(order)}`
    const { rows } = await client.query<{ k: string }>(sql)
    const read = rows.map(({ k }) => k)
    assert.deepEqual(
      texts.toSorted((a, b) => compare([a], [b])),
      read,
    )
    const native = await client.query<{ k: string }>('SELECT k FROM public.t ORDER BY k')
    assert.notDeepEqual(
      native.rows.map(({ k }) => k),
      read,
    )
  })

  it('of a table whose key tells its topic nothing are no order', async () => {
    await using server = await startPostgres()
    const client = await server.client()
    await client.query(
      'CREATE TABLE public.t (k int PRIMARY KEY DEFERRABLE, v int); ALTER TABLE public.t REPLICA IDENTITY FULL',
    )
    const [table] = await loadTables(client, [{ schema: 'public', name: 't' }])
    assert.deepEqual(
      (await loadKeyOrder(client, table!)).map(({ name }) => name),
      table!.key,
    )
    await client.query('ALTER TABLE public.t REPLICA IDENTITY DEFAULT')
    const [again] = await loadTables(client, [{ schema: 'public', name: 't' }])
    assert.deepEqual(again!.key, [])
    assert.deepEqual(await loadKeyOrder(client, again!), [])
  })

  it('compare as numbers where they are numeric, whatever their digits', () => {
    const number = fc.tuple(fc.integer({ min: -1000, max: 1000 }), fc.nat(3), fc.nat(3))
    fc.assert(
      fc.property(number, number, ([a, as, az], [b, bs, bz]) => {
        const text = (n: number, scale: number, zeros: number): string =>
          (n / 10 ** scale).toFixed(scale + zeros)
        const found = compareNumeric(text(a, as, az), text(b, bs, bz))
        // Cross-multiplied, in integers.
        assert.equal(found, Math.sign(a * 10 ** bs - b * 10 ** as))
      }),
    )
  })
})

describe('the filter', () => {
  const progress = (xmin: string, xmax: string, xip: string[]): SnapshotProgress => ({
    steps: 0,
    done: {},
    generations: [{ xmin, xmax, xip, lsn: '0/10' }],
    tables: { t: { oid: 7, key: ['k'], ranges: [{ generation: 0, upTo: null }] } },
  })

  it('drops exactly what the snapshot shows, also where the 32-bit ids wrap around', () => {
    const id = fc.bigInt({ min: 1n << 31n, max: 1n << 40n })
    fc.assert(
      fc.property(
        id,
        fc.nat(50),
        fc.array(fc.nat(49)),
        fc.integer({ min: -100, max: 100 }),
        (xmin, span, open, offset) => {
          const xmax = xmin + BigInt(span)
          const xip = [...new Set(open)].filter((n) => n < span).map((n) => xmin + BigInt(n))
          const filter = new SnapshotFilter(
            progress(`${xmin}`, `${xmax}`, xip.map(String)),
            new Map(),
          )
          const xid = xmin + BigInt(offset)
          const shown = xid < xmax && !xip.includes(xid)
          assert.equal(filter.drops(7, Number(xid & 0xffff_ffffn), ['1']), shown)
          assert.equal(filter.drops(8, Number(xid & 0xffff_ffffn), ['1']), false, 'another table')
        },
      ),
    )
  })
})

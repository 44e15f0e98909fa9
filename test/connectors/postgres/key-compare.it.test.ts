/**
 * What decides which changes a resumed copy has seen (invariants 5 and 9): the order of keys, which must
 * be the server's own, and the visibility of transactions under a snapshot.
 */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { loadTables, topicSchema, TypeCatalog } from '../../../connectors/postgres/catalog.ts'
import { sessionSettingsSql } from '../../../connectors/postgres/session.ts'
import { loadKeyOrder } from '../../../connectors/postgres/key-order.ts'
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
const refused = ['text COLLATE "en-x-icu"', 'size', 'bool', 'inet']

describe('keys', () => {
  it('are ordered as the server orders them, or not at all', async () => {
    await using server = await startPostgres()
    const client = await server.client()
    await client.query(`CREATE TYPE size AS ENUM ('b', 'a'); CREATE DOMAIN amount AS numeric`)
    await client.query(sessionSettingsSql)
    for (const type of [...Object.keys(values), ...refused]) {
      const own = type === 'size' ? 'public.size' : type
      await client.query(
        `DROP TABLE IF EXISTS public.t; CREATE TABLE public.t (k ${own} PRIMARY KEY)`,
      )
      for (const value of values[type] ?? []) {
        await client.query('INSERT INTO public.t VALUES ($1)', [value])
      }
      const [table] = await loadTables(client, [{ schema: 'public', name: 't' }])
      const types = new TypeCatalog()
      await types.load(
        client,
        table!.columns.map((column) => column.typeOid),
      )
      const order = await loadKeyOrder(client, table!)
      const compare = compareOf(topicSchema(table!, types), order)
      if (refused.includes(type)) {
        assert.equal(compare, null, type)
        continue
      }
      assert.ok(compare !== null, type)
      const { rows } = await client.query<[string]>({
        text: 'SELECT k FROM public.t ORDER BY k',
        rowMode: 'array',
        types: { getTypeParser: () => (text: string) => text },
      })
      assert.deepEqual([...rows].reverse().sort(compare), rows, type)
      for (const row of rows) assert.equal(compare(row, row), 0)
    }
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

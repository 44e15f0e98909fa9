/**
 * The copy beside the stream against a database in memory, in any order of events and with crashes at
 * any place: the folded topics equal the tables, each key's history in the log is one that it can have
 * had (no row twice, none that goes without having come), positions only move forward, and nothing
 * hangs. Attacks invariants 2, 3, 5 and 8.
 */
import { test } from 'node:test'
import fc from 'fast-check'
import { schemaOf, type Table } from './database.ts'
import { World } from './world.ts'

const kinds = {
  upsert: { keyed: true, schema: schemaOf(true, 'upsert') },
  retract: { keyed: true, schema: schemaOf(true, 'retract') },
  keyless: { keyed: false, schema: schemaOf(false, 'retract') },
} as const

const tablesOf = (names: readonly (keyof typeof kinds)[]): Table[] =>
  names.map((name, i) => ({ topic: `${name}${i}`, id: '1', ...kinds[name] }))

const tape = fc.array(fc.nat(999), { minLength: 50, maxLength: 1500, size: 'max' })
const parameters = { numRuns: 200, interruptAfterTimeLimit: 18_000 }

for (const asyncOrder of [false, true]) {
  test(`one table, order ${asyncOrder ? 'asked for' : 'known'}: any order of events`, async () => {
    const shape = fc.record({
      tape,
      chunksAhead: fc.integer({ min: 1, max: 3 }),
      lateBytesMax: fc.constantFrom(2000, 20_000, 1 << 20),
    })
    const property = fc.asyncProperty(shape, async (drawn) => {
      const tables = tablesOf(['upsert'])
      await new World({ ...drawn, tables, asyncOrder, parallel: 1 }).run()
    })
    await fc.assert(property, parameters)
  })
}

test('several tables of every kind, side by side: any order of events', async () => {
  const shape = fc.record({
    tape,
    parallel: fc.integer({ min: 1, max: 3 }),
    names: fc.array(fc.constantFrom('upsert', 'retract', 'keyless'), {
      minLength: 2,
      maxLength: 4,
    }),
  })
  const property = fc.asyncProperty(shape, async ({ tape, parallel, names }) => {
    const tables = tablesOf(names)
    const options = { asyncOrder: false, chunksAhead: 2, lateBytesMax: 20_000 }
    await new World({ ...options, tape, tables, parallel }).run()
  })
  await fc.assert(property, parameters)
})

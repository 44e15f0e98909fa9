/**
 * Invariants 6, 7 and 9: random histories with inserts, updates, deletes, key changes, truncates and
 * restarts; after every step the folded output equals the query run by PostgreSQL over what is left.
 *
 * SLUICE_SEED replays a run, SLUICE_RUNS sets the histories per query. A history that fails is shrunk
 * and written to regressions/, which are replayed first.
 */
import { PGlite } from '@electric-sql/pglite'
import assert from 'node:assert/strict'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { after, before, test } from 'node:test'
import fc from 'fast-check'
import { history, preparation, run, type History } from './history.ts'

const queriesDir = new URL('queries/', import.meta.url)
const regressionsDir = new URL('regressions/', import.meta.url)
const seed = Number(process.env['SLUICE_SEED'] ?? Date.now() % 2 ** 31)
const runs = Number(process.env['SLUICE_RUNS'] ?? 6)
let db: PGlite

before(async () => {
  db = await PGlite.create()
  await db.exec(preparation)
})
after(() => db.close())

for (const file of readdirSync(regressionsDir).filter((name) => name.endsWith('.json'))) {
  test(`regression ${file}`, async () => {
    const known = JSON.parse(readFileSync(new URL(file, regressionsDir), 'utf8')) as History
    assert.equal(await run(db, known), null)
  })
}

for (const file of readdirSync(queriesDir)) {
  test(`history of ${file}`, async (t) => {
    const query = readFileSync(new URL(file, queriesDir), 'utf8')
    const property = fc.asyncProperty(
      history(query, ['append', 'upsert', 'retract']),
      async (h) => {
        const difference = await run(db, h)
        assert.equal(difference, null)
      },
    )
    const details = await fc.check(property, { seed, numRuns: runs })
    if (!details.failed) return
    t.diagnostic(`seed ${seed}`)
    const shrunk = details.counterexample?.[0]
    const name = `${file.replace('.sql', '')}-${seed}.json`
    if (shrunk !== undefined)
      writeFileSync(new URL(name, regressionsDir), `${JSON.stringify(shrunk, null, 2)}\n`)
    assert.fail(
      `SLUICE_SEED=${seed}, kept as regressions/${name}: ${String(details.errorInstance)}`,
    )
  })
}

/**
 * Invariant 9 for scalars: every expression of expressions.txt gives, for rows full of edge values,
 * exactly the text that PostgreSQL (PGlite) gives, and fails for exactly the rows that fail there.
 * Random nested expressions do so as well; SLUICE_SEED replays them, SLUICE_RUNS says how many.
 */
import type { PGlite } from '@electric-sql/pglite'
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, before, test } from 'node:test'
import fc from 'fast-check'
import { inEngine, inPostgres, openJudge } from './judge.ts'

const expressions = readFileSync(new URL('expressions.txt', import.meta.url), 'utf8')
  .split('\n')
  .filter((line) => line.trim() !== '')
let db: PGlite

before(async () => {
  db = await openJudge()
})
after(() => db.close())

test('scalar expressions give what PostgreSQL gives', async () => {
  const wrong: string[] = []
  for (const expression of expressions) {
    const expected = await inPostgres(db, expression)
    const actual = await inEngine(expression)
    if (JSON.stringify(actual) !== JSON.stringify(expected))
      wrong.push(
        `${expression}\n  here       ${JSON.stringify(actual)}\n  PostgreSQL ${JSON.stringify(expected)}`,
      )
  }
  assert.equal(wrong.join('\n'), '')
  assert.ok(expressions.length > 250)
})

/**
 * Expressions by type. Numbers are made of columns: PostgreSQL computes constants before it looks at a
 * row, and what can fail then is not what fails for the row.
 */
const { bool: randomExpression } = fc.letrec<
  Record<'int' | 'num' | 'text' | 'bool' | 'time', string>
>((tie) => {
  const [int, num, text, bool, time] = [
    tie('int'),
    tie('num'),
    tie('text'),
    tie('bool'),
    tie('time'),
  ]
  const comparison = fc.constantFrom('=', '<>', '<', '<=', '>', '>=')
  const format = (template: string, ...parts: fc.Arbitrary<string>[]): fc.Arbitrary<string> =>
    fc
      .tuple(...parts)
      .map((values) =>
        values.reduce((all, value, i) => all.replaceAll(`$${i}`, () => value), template),
      )
  const compare = (side: fc.Arbitrary<string>): fc.Arbitrary<string> =>
    format('($0 $1 $2)', side, comparison, side)
  const pick = (...of: fc.Arbitrary<string>[]): fc.Arbitrary<string> =>
    fc.oneof({ maxDepth: 4, withCrossShrink: true }, ...of)
  return {
    int: pick(
      fc.constantFrom('i2', 'i4', 'i8', 'id', 'length(t)'),
      format('($0 $1 $2)', int, fc.constantFrom('+', '-', '*', '/', '%'), int),
      format('(CASE WHEN $0 THEN $1 ELSE $2 END)', bool, int, int),
      format('coalesce($0, $1)', int, int),
      format('nullif($0, $1)', int, int),
      format('greatest($0, $1)', int, int),
      format('position($0 in $1)', text, text),
      format('($0)::int', num),
    ),
    num: pick(
      fc.constantFrom('n', 'd2', '(id * 1.50)', '(id * 0.003)', 'extract(epoch from tz)'),
      format('($0 $1 $2)', num, fc.constantFrom('+', '-', '*', '/', '%'), num),
      format('($0 $1 $2)', num, fc.constantFrom('+', '-', '*', '/'), int),
      format('round($0, 1)', num),
      format('abs($0)', num),
      format('floor($0)', num),
    ),
    text: pick(
      fc.constantFrom('t', 'u', "(u || 'é')", 'left(t, 0)', "(j ->> 's')"),
      format('($0 || $1)', text, text),
      format('upper($0)', text),
      format('left($0, 3)', text),
      format("replace($0, 'l', $1)", text, text),
      format('(CASE WHEN $0 THEN $1 END)', bool, text),
      format('concat($0, $1)', text, int),
      format('split_part($0, $1, 1)', text, text),
    ),
    time: pick(
      fc.constantFrom('ts', "(ts - interval '1 day')", 'd::timestamp'),
      format("date_trunc('hour', $0)", time),
      format("($0 + interval '1 mon 3 days 00:00:01')", time),
      format('least($0, $1)', time, time),
    ),
    bool: pick(
      compare(int),
      compare(num),
      compare(text),
      compare(time),
      format('($0 AND $1)', bool, bool),
      format('($0 OR $1)', bool, bool),
      format('(NOT $0)', bool),
      format('($0 IS NULL)', pick(int, num, text, bool)),
      format('($0 IS NOT TRUE)', bool),
      format('($0 IS DISTINCT FROM $1)', num, int),
      format('($0 IN ($1, $2))', int, int, int),
      format('($0 BETWEEN $1 AND $2)', num, num, int),
      format("($0 LIKE '%l_' || $1)", text, text),
      fc.constant('b'),
    ),
  }
})

test('random expressions give what PostgreSQL gives', async () => {
  const seed = Number(process.env['SLUICE_SEED'] ?? Date.now() % 2 ** 31)
  const property = fc.asyncProperty(randomExpression, async (expression) => {
    assert.deepEqual(await inEngine(expression), await inPostgres(db, expression), expression)
  })
  await fc.assert(property, { seed, numRuns: Number(process.env['SLUICE_RUNS'] ?? 250) })
})

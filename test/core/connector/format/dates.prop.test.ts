/**
 * Dates one after the other, as they come in streams: what one reads as does not depend on those before it, be they
 * valid, nearly so or no dates at all. Attacks invariant 9 (exact values).
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { JsonFormat } from '../../../../core/connector/format/json-format.ts'
import { seeded } from '../../../support/random.ts'
import { fieldsOf, readAll } from './support.ts'

/** Of four digits, a month and a day: what the calendar of ECMAScript says, which takes no others. */
function judged(text: string): string | null {
  if (!/^\d{4}-\d\d-\d\d$/.test(text) || text.startsWith('0000')) return null
  const time = Date.parse(`${text}T00:00:00Z`)
  return !Number.isNaN(time) && new Date(time).toISOString().startsWith(text) ? text : null
}

test('ten bytes that are no text are no date, before any date was read', () => {
  // Zeros are what memory begins with. The first test of the file: nothing is known yet.
  const format = new JsonFormat(fieldsOf({ day: 'date' }))
  const [read] = readAll(format, [Buffer.from(`{"day":"${'\\u0000'.repeat(10)}"}`)])
  assert.ok(!Array.isArray(read))
})

test('a date reads the same, whatever came before it', () => {
  const random = seeded(11)
  const two = (below: number): string => String(random.int(below)).padStart(2, '0')
  const dates = Array.from(
    { length: 300 },
    () => `${random.pick([1900, 2024, 2026])}-${two(14)}-${two(33)}`,
  )
  const texts = Array.from({ length: 40_000 }, () => {
    const date = random.pick(dates)
    if (random.chance(0.9)) return date
    const at = random.int(10)
    return date.slice(0, at) + random.pick(['x', '-', '9', '0', '/']) + date.slice(at + 1)
  })
  const format = new JsonFormat(fieldsOf({ day: 'date', at: 'timestamp' }))
  const values = texts.map((text) => Buffer.from(`{"day":"${text}","at":"${text}T01:02:03"}`))
  const rows = readAll(format, values)
  let valid = 0
  for (const [i, text] of texts.entries()) {
    const wanted = judged(text)
    if (text.startsWith('0000')) continue
    if (wanted === null) assert.ok(!Array.isArray(rows[i]), `${text} is none`)
    else assert.deepEqual(rows[i], [wanted, `${wanted} 01:02:03`])
    valid += wanted === null ? 0 : 1
  }
  assert.ok(valid > 10_000 && valid < 38_000, `${valid} were valid`)
})

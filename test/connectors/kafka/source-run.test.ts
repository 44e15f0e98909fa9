/**
 * A life of the source in which one topic cannot go on: what is read of the others, what is on show, and what
 * comes once it is mended. Attacks invariants 2 and 5: each record once, whoever had to wait.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import type { ValueFormat } from '../../../core/connector/format/format.ts'
import { notReady } from '../../../core/connector/format/format.ts'
import { JsonFormat } from '../../../core/connector/format/json-format.ts'
import type { PlainDecoder } from '../../../core/connector/format/record-decoder.ts'
import { SluiceError } from '../../../core/errors/error.ts'
import { fieldsOf } from '../../core/connector/format/support.ts'
import { ids, named, plain, rowsOf, start, texts } from './run-stage.ts'

test('columns that contradict each other hold their topic alone, until that is mended', async () => {
  let isMended = false
  await using stage = start({ good: texts(0, 3), odd: texts(0, 3) }, (name) =>
    plain(name, ids(), name === 'odd' && !isMended ? ['missing'] : ['id']),
  )
  const { clock, driver, rows, shown } = stage
  await stage.until('the good topic', () => rows.length === 3)
  await stage.until('the trouble', () => shown.get('schema of odd') === 'format.schema')
  driver.texts.get('good')!.push(...texts(3, 2))
  driver.texts.get('odd')!.push(...texts(3, 2))
  await stage.until('what came later', () => rows.length === 5)
  clock.pass(61_000)
  await stage.until('another look', () => shown.size === 1)
  isMended = true
  clock.pass(61_000)
  await stage.until('the topic that waited', () => rows.length === 10)
  await stage.until('nothing on show', () => shown.size === 0)
  assert.deepEqual(rowsOf(rows, 'good'), named('good', 0, 5))
  assert.deepEqual(rowsOf(rows, 'odd'), named('odd', 0, 5))
  assert.equal(stage.error, null)
})

/** Asks before its second value, and is refused until it is not. */
class RefusedFormat extends JsonFormat {
  asked = 0
  refusal: SluiceError | null = new SluiceError('source.kafka.registry_auth', { message: 'no' })
  #reads = 0

  constructor() {
    super(fieldsOf({ id: 'int64' }))
  }

  override read(...args: Parameters<JsonFormat['read']>): ReturnType<JsonFormat['read']> {
    if (this.#reads++ > 0 && this.refusal !== null) return notReady
    return super.read(...args)
  }

  override prepare(): Promise<void> {
    this.asked++
    return this.refusal === null ? Promise.resolve() : Promise.reject(this.refusal)
  }
}

test('a registry that refuses holds the topic that asks, and each record comes once', async () => {
  const format = new RefusedFormat()
  await using stage = start({ good: texts(0, 2), odd: texts(0, 4) }, (name) =>
    plain(name, name === 'odd' ? format : ids()),
  )
  const { clock, rows, shown } = stage
  await stage.until('what needs no registry', () => rows.length === 3)
  await stage.until(
    'the trouble',
    () => shown.get('schema of odd') === 'source.kafka.registry_auth',
  )
  clock.pass(61_000)
  await stage.until('the question again', () => format.asked === 2)
  format.refusal = null
  clock.pass(61_000)
  await stage.until('the rest', () => rows.length === 6)
  assert.deepEqual(rowsOf(rows, 'odd'), named('odd', 0, 4))
  await stage.until('nothing on show', () => shown.size === 0)
})

test('topics that wait take no room from the others, however many they are', async () => {
  let isMended = false
  const odd = Array.from({ length: 20 }, (_, i) => `odd${i}`)
  const topics = Object.fromEntries(odd.map((name) => [name, texts(0, 50)]))
  const decoderOf = (name: string): PlainDecoder =>
    plain(name, ids(), name !== 'good' && !isMended ? ['missing'] : [])
  await using stage = start({ ...topics, good: texts(0, 1) }, decoderOf, { maxBytes: 4096 })
  const { clock, driver, rows, shown } = stage
  await stage.until('the troubles', () => shown.size === odd.length)
  for (let from = 1; from < 200; from += 20) {
    driver.texts.get('good')!.push(...texts(from, 20))
    await stage.until('the good topic', () => rows.length === from + 20)
  }
  isMended = true
  clock.pass(61_000)
  await stage.until('those that waited', () => rows.length === 201 + odd.length * 50)
  for (const name of odd) assert.deepEqual(rowsOf(rows, name), named(name, 0, 50))
})

test('the record that asked comes before those of other partitions, and each comes once', async () => {
  const format = new RefusedFormat()
  const topics = { odd: texts(0, 30), 'odd/1': texts(100, 30), 'odd/2': texts(200, 30) }
  await using stage = start({ ...topics, good: texts(0, 1) }, (name) =>
    plain(name, name === 'odd' ? format : ids()),
  )
  const { clock, rows } = stage
  await stage.until('the question', () => format.asked === 1)
  clock.pass(61_000)
  await stage.until('the question again', () => format.asked === 2)
  format.refusal = null
  clock.pass(61_000)
  await stage.until('all', () => rows.length === 91)
  const came = rowsOf(rows, 'odd').map((row) => Number(row.slice(4)))
  // One came before the question; the second record of its partition asked.
  assert.deepEqual(came.slice(0, 2), [came[0], came[0]! + 1])
  for (const from of [0, 100, 200]) {
    const own = came.filter((id) => id >= from && id < from + 100)
    assert.deepEqual(
      own,
      Array.from({ length: 30 }, (_, i) => from + i),
    )
  }
})

test('a trouble is over with the record that asked, though compaction took it and no other is there', async () => {
  const format = new RefusedFormat()
  const isOdd = (name: string): boolean => name === 'odd'
  await using stage = start({ good: texts(0, 1), odd: texts(0, 2) }, (name) =>
    plain(name, isOdd(name) ? format : ids()),
  )
  const { clock, driver, rows, shown } = stage
  await stage.until('the trouble', () => shown.has('schema of odd'))
  driver.removed.add('odd 1')
  format.refusal = null
  clock.pass(61_000)
  await stage.until('nothing on show', () => shown.size === 0)
  assert.deepEqual(rowsOf(rows, 'odd'), named('odd', 0, 1))
})

test('a topic that is gone has nothing to be mended', async () => {
  await using stage = start({ good: texts(0, 1), odd: texts(0, 1) }, (name) =>
    plain(name, ids(), name === 'odd' ? ['missing'] : []),
  )
  const { clock, driver, shown } = stage
  await stage.until('the trouble', () => shown.has('schema of odd'))
  driver.there = driver.there.filter(({ name }) => name === 'good')
  // Looked for every 30 s, and believed when it was missing for ten.
  for (let i = 0; i < 60 && shown.has('schema of odd'); i++) {
    clock.pass(1000)
    for (let turns = 0; turns < 20; turns++) await turn()
  }
  assert.deepEqual(
    [...shown.keys()].filter((about) => about.startsWith('schema')),
    [],
  )
  assert.equal(stage.error, null)
})

test('where there is nothing else to read, what has to be mended ends the source', async () => {
  await using stage = start({ odd: texts(0, 3) }, (name) => plain(name, ids(), ['missing']))
  await stage.until('the end', () => stage.error !== null)
  assert.equal((stage.error as SluiceError).code, 'format.schema')
  assert.deepEqual(stage.rows, [])
})

test('a registry that refuses every topic ends the source, however many they are', async () => {
  await using stage = start({ odd: texts(0, 3), even: texts(0, 3) }, (name) =>
    plain(name, new RefusedFormat()),
  )
  await stage.until('the end', () => stage.error !== null)
  assert.equal((stage.error as SluiceError).code, 'source.kafka.registry_auth')
})

test('a topic that waits for what passes, or was mended, keeps the source from ending', async () => {
  const [odd, even] = [new RefusedFormat(), new RefusedFormat()]
  even.refusal = new SluiceError('source.kafka.registry_unreachable', { message: 'nobody' })
  await using stage = start({ odd: texts(0, 3), even: texts(0, 3) }, (name) =>
    plain(name, name === 'odd' ? odd : even),
  )
  const { clock, driver, rows, shown } = stage
  await stage.until('both troubles', () => shown.size === 2)
  clock.pass(61_000)
  await stage.until('the question again', () => odd.asked === 2)
  odd.refusal = null
  clock.pass(61_000)
  await stage.until('what was mended', () => rowsOf(rows, 'odd').length === 3)
  even.refusal = new SluiceError('source.kafka.registry_auth', { message: 'no' })
  clock.pass(61_000)
  await stage.until('a refusal of the other', () =>
    [...shown.values()].includes('source.kafka.registry_auth'),
  )
  driver.texts.get('odd')!.push(...texts(3, 1))
  await stage.until('what came later', () => rowsOf(rows, 'odd').length === 4)
  assert.equal(stage.error, null)
})

test('a bug of a decoder ends the source, and nothing that it took half is handed over', async () => {
  const broken = ids()
  let reads = 0
  const format: ValueFormat = {
    fields: broken.fields,
    prepare: () => Promise.resolve(),
    read: (...args) => {
      if (++reads === 3) throw new TypeError('a bug')
      return broken.read(...args)
    },
  }
  await using stage = start({ good: texts(0, 1), odd: texts(0, 5) }, (name) =>
    plain(name, name === 'odd' ? format : ids()),
  )
  await stage.until('the end', () => stage.error !== null)
  assert.match(String(stage.error), /a bug/)
  assert.deepEqual(rowsOf(stage.rows, 'odd'), [])
})

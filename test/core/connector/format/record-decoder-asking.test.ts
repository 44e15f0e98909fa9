/**
 * Formats that have to ask for what they need (a registry): nothing waits for ever, nothing vanishes.
 * Attacks invariants 5 and 8.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  notReady,
  type ReadFault,
  type RecordDecoder,
  type ValueFormat,
} from '../../../../core/connector/format/format.ts'
import { PlainDecoder } from '../../../../core/connector/format/record-decoder.ts'
import { SluiceError } from '../../../../core/errors/error.ts'
import type { AnyBuilder, NumberBuilder } from '../../../../core/record/builder.ts'
import type { Field } from '../../../../core/record/schema.ts'
import { reasons, shown } from './decoded.ts'
import { fieldsOf, recordsOf, type TestRecord } from './support.ts'

/** A format of one field that has to ask for the schema `name` of values such as `name:12`. */
class AskingFormat implements ValueFormat {
  fields: readonly Field[] | null = null
  readonly #known = new Set<string>()
  readonly #answers: (name: string) => readonly Field[] | SluiceError
  #wanted = ''
  asked: string[] = []
  constructor(answers: (name: string) => readonly Field[] | SluiceError) {
    this.#answers = answers
  }
  read(
    bytes: Uint8Array,
    start: number,
    end: number,
    builders: readonly AnyBuilder[],
  ): ReadFault | null {
    const [name = '', value] = Buffer.from(bytes.subarray(start, end)).toString().split(':')
    if (!this.#known.has(name)) {
      this.#wanted = name
      return notReady
    }
    ;(builders[0] as NumberBuilder).append(Number(value))
    for (const builder of builders.slice(1)) builder.appendNull()
    return null
  }
  async prepare(): Promise<void> {
    await Promise.resolve()
    this.asked.push(this.#wanted)
    const answer = this.#answers(this.#wanted)
    if (answer instanceof SluiceError) throw answer
    this.#known.add(this.#wanted)
    this.fields = answer
  }
}

async function decodeAsking(decoder: RecordDecoder, records: readonly TestRecord[]): Promise<void> {
  const all = recordsOf(records)
  let from = decoder.decode(all, 0)
  while (from < all.count) {
    await decoder.prepare(new AbortController().signal)
    from = decoder.decode(all, from)
  }
}

function asking(value: ValueFormat, keyColumns: readonly string[] = []): PlainDecoder {
  return new PlainDecoder({
    topic: 't',
    value,
    key: null,
    keyColumns,
    extra: [],
    tombstones: 'delete',
  })
}

test('a format that has to ask: rows before and after a change of its fields have their own batches', async () => {
  const format = new AskingFormat((name) =>
    fieldsOf(name === 'a' ? { v: 'int64' } : { v: 'int64', w: 'text?' }),
  )
  const decoder = asking(format)
  await decodeAsking(decoder, [
    { value: 'a:1' },
    { value: 'a:2' },
    { value: 'b:3' },
    { value: 'a:4' },
  ])
  assert.deepEqual(format.asked, ['a', 'b'])
  assert.equal(decoder.rows, 4)
  assert.deepEqual(shown(decoder.take()), [
    ['+insert v=1', '+insert v=2'],
    ['+insert v=3 w=null', '+insert v=4 w=null'],
  ])
})

test('a record whose schema cannot be had is rejected; one that may be later is asked for again', async () => {
  const row = new SluiceError('format.value', { message: 'schema x does not exist' })
  const later = new SluiceError('source.mysql.connection', { message: 'not now' })
  let away = true
  const format = new AskingFormat((name) => {
    if (name === 'x') return row
    if (away) return later
    return fieldsOf({ v: 'int64' })
  })
  const decoder = asking(format)
  const records = recordsOf([{ value: 'x:1' }, { value: 'a:2' }, { value: 'x:3' }])
  const { signal } = new AbortController()
  assert.equal(decoder.decode(records, 0), 0)
  await decoder.prepare(signal)
  assert.equal(decoder.decode(records, 0), 1)
  for (let i = 0; i < 30; i++) {
    await assert.rejects(decoder.prepare(signal), /not now/)
    assert.equal(decoder.decode(records, 1), 1)
  }
  away = false
  await decoder.prepare(signal)
  assert.equal(decoder.decode(records, 1), 2)
  await decoder.prepare(signal)
  assert.equal(decoder.decode(records, 2), 3)
  const decoded = decoder.take()
  assert.deepEqual(shown(decoded), [['+insert v=2']])
  assert.deepEqual(reasons(decoded), [
    'format.value row t, partition 3, offset 100: schema x does not exist',
    'format.value row t, partition 3, offset 102: schema x does not exist',
  ])
})

test('however many schemas in a row cannot be had: each record is rejected for itself', async () => {
  const format = new AskingFormat(
    (name) => new SluiceError('format.value', { message: `schema ${name} does not exist` }),
  )
  const decoder = asking(format)
  const names = Array.from({ length: 40 }, (_, i) => `x${i}`)
  await decodeAsking(
    decoder,
    names.map((name) => ({ value: `${name}:1` })),
  )
  assert.deepEqual(format.asked, names)
  assert.equal(reasons(decoder.take()).length, 40)
})

test('a tombstone before any schema is known is set aside, and does not wait for ever', async () => {
  const format = new AskingFormat(() => new SluiceError('format.value', { message: 'no schema' }))
  const decoder = asking(format, ['v'])
  await decodeAsking(decoder, [{ key: '1', value: null }])
  assert.deepEqual(reasons(decoder.take()), [
    'format.value row t, partition 3, offset 100: no schema',
  ])
})

test('a format that never has enough is a bug, not a loop', async () => {
  const format: ValueFormat = {
    fields: fieldsOf({ v: 'int64' }),
    read: () => notReady,
    prepare: () => Promise.resolve(),
  }
  await assert.rejects(decodeAsking(asking(format), [{ value: 'x' }]), /again and again/)
})

test('columns that do not go together: nothing is taken, and what came before is handed over', async () => {
  const format = new AskingFormat((name) => {
    if (name === 'x') return new SluiceError('format.value', { message: 'no x' })
    return fieldsOf(name === 'a' ? { v: 'int64' } : { w: 'int64' })
  })
  const decoder = asking(format, ['v'])
  const records = recordsOf([{ value: 'a:1' }, { value: 'b:2' }, { value: 'x:3' }])
  const { signal } = new AbortController()
  for (const at of [0, 1]) {
    assert.equal(decoder.decode(records, at), at)
    await decoder.prepare(signal)
    if (at === 0) assert.equal(decoder.decode(records, 0), 1)
  }
  for (let i = 0; i < 3; i++)
    assert.throws(() => decoder.decode(records, 1), /no column v|column v/)
  assert.deepEqual(shown(decoder.take()), [['+update v=1']])
  assert.throws(() => decoder.take(), { code: 'format.schema' })
})

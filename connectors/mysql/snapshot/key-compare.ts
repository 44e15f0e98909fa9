/**
 * Which rows of the stream come at or before a key, in the order in which the table is copied. Numbers,
 * times, bytes and text ordered by bytes are compared here; for the order of a collation the server is
 * asked, many values in one statement, for only it has that collation's version and tables.
 */
import type { KeyText } from '../../../core/connector/snapshot/reader.ts'
import type { Batch } from '../../../core/record/batch.ts'
import { dayNumber, dayUs } from '../../../core/record/calendar.ts'
import type { Column } from '../../../core/record/column.ts'
import type { LogicalType } from '../../../core/record/types.ts'
import { bytesAt, numberAt, textAt } from '../../../core/record/value.ts'
import { literalSql, serverTime, type KeyColumn, type KeyOrder } from './key-order.ts'

/** The statement's single value, as text. */
export type AskServer = (sql: string) => Promise<string>

const askedMax = 500
const askedBytesMax = 256 * 1024

/**
 * 1 for each of `rows` whose key is at or before `upTo`, else 0. A promise only where `ask` is needed.
 */
export function keysUpTo(
  order: KeyOrder,
  { batch, rows }: { readonly batch: Batch; readonly rows: Int32Array },
  upTo: KeyText,
  ask: AskServer,
): Uint8Array | Promise<Uint8Array> {
  // The sign of each row's key against `upTo`, over the columns so far.
  const signs = new Int8Array(rows.length)
  for (let i = 0; i < order.length; i++) {
    if (order[i]!.kind === 'server') return askedUpTo({ order, batch, rows, upTo, ask }, signs, i)
    compareColumn(order[i]!, { batch, rows, signs }, upTo[i]!)
  }
  return notAfter(signs)
}

/**
 * By name: rows may still have the columns of before a change of the table. Where they lack one of the
 * key, they come after every key: what was read in this order was read after that change, and shows them.
 */
function indexOf(key: KeyColumn, { batch, signs }: Compared): number {
  const index = batch.schema.fields.findIndex((field) => field.name === key.name)
  if (index < 0) for (let i = 0; i < signs.length; i++) if (signs[i] === 0) signs[i] = 1
  return index
}

interface Question {
  readonly order: KeyOrder
  readonly batch: Batch
  readonly rows: Int32Array
  readonly upTo: KeyText
  readonly ask: AskServer
}

async function askedUpTo(question: Question, signs: Int8Array, from: number): Promise<Uint8Array> {
  const { order, batch, rows, upTo, ask } = question
  for (let i = from; i < order.length; i++) {
    const column = order[i]!
    if (column.kind === 'server') await askColumn(column, { batch, rows, signs }, upTo[i]!, ask)
    else compareColumn(column, { batch, rows, signs }, upTo[i]!)
  }
  return notAfter(signs)
}

function notAfter(signs: Int8Array): Uint8Array {
  const out = new Uint8Array(signs.length)
  for (let i = 0; i < signs.length; i++) out[i] = signs[i]! > 0 ? 0 : 1
  return out
}

interface Compared {
  readonly batch: Batch
  readonly rows: Int32Array
  /** Rows whose sign is not 0 are decided already. */
  readonly signs: Int8Array
}

/** What the server says of the values that are not decided yet, each asked for once. */
async function askColumn(
  key: KeyColumn,
  compared: Compared,
  bound: string,
  ask: AskServer,
): Promise<void> {
  const { batch, rows, signs } = compared
  const index = indexOf(key, compared)
  if (index < 0) return
  const column = batch.columns[index]!
  const { type } = batch.schema.fields[index]!
  const known = new Map<string, number>()
  let asked: string[] = []
  let bytes = 0
  const boundSql = literalSql(key, bound)
  const flush = async (): Promise<void> => {
    const answers = (await ask(signsSql(key, asked, boundSql))).split(',')
    for (const [i, text] of asked.entries()) known.set(text, Number(answers[i]))
    asked = []
    bytes = 0
  }
  for (let i = 0; i < rows.length; i++) {
    if (signs[i] !== 0) continue
    const text = textAt(type, column, rows[i]!)!
    if (known.has(text)) continue
    known.set(text, 0)
    asked.push(text)
    bytes += 4 * text.length + boundSql.length
    if (asked.length === askedMax || bytes > askedBytesMax) await flush()
  }
  if (asked.length > 0) await flush()
  for (let i = 0; i < rows.length; i++) {
    if (signs[i] === 0) signs[i] = known.get(textAt(type, column, rows[i]!)!)!
  }
}

/** `0,-1,1`: the sign of each value against the bound, compared as the column's index does. */
function signsSql(key: KeyColumn, texts: readonly string[], boundSql: string): string {
  const signs = texts.map((text) => {
    const value = literalSql(key, text)
    return `(${value} > ${boundSql}) - (${value} < ${boundSql})`
  })
  return `SELECT CONCAT_WS(',', ${signs.join(', ')}) AS answer`
}

function compareColumn(key: KeyColumn, compared: Compared, bound: string): void {
  const { batch, rows, signs } = compared
  const index = indexOf(key, compared)
  if (index < 0) return
  const column = batch.columns[index]!
  const { type } = batch.schema.fields[index]!
  switch (key.kind) {
    case 'number':
      return compareNumbers(column, { rows, signs }, integerOf(bound))
    case 'float':
      return compareNumbers(column, { rows, signs }, floatOf(type, bound))
    case 'time':
      return compareNumbers(column, { rows, signs }, momentOf(type, bound))
    case 'decimal':
      return compareDecimals(column, { rows, signs }, type, bound)
    case 'bytes':
      return compareBytes(column, { rows, signs }, Buffer.from(bound.slice(2), 'hex'), false)
    case 'digits':
    case 'unpadded':
      return compareBytes(column, { rows, signs }, Buffer.from(bound), false)
    case 'padded':
      return compareBytes(column, { rows, signs }, Buffer.from(bound), true)
    case 'label':
      return compareLabels(key, { rows, signs }, column, bound)
    case 'server':
      throw new TypeError('the order of this column is the server’s')
  }
}

type Rows = Omit<Compared, 'batch'>

/** Numbers and bigints compare exactly with each other. */
function compareNumbers(column: Column, { rows, signs }: Rows, bound: number | bigint): void {
  for (let i = 0; i < rows.length; i++) {
    if (signs[i] !== 0) continue
    const value = numberAt(column, rows[i]!)
    signs[i] = value < bound ? -1 : value > bound ? 1 : 0
  }
}

function integerOf(text: string): number | bigint {
  if (text === 't') return 1
  if (text === 'f') return 0
  return narrow(BigInt(text))
}

/** A double where it is exact: most columns are, and the comparison is then one instruction. */
function narrow(value: bigint): number | bigint {
  return value >= -0x1fffffffffffffn && value <= 0x1fffffffffffffn ? Number(value) : value
}

function floatOf(type: LogicalType, text: string): number {
  return type.kind === 'float32' ? Math.fround(Number(text)) : Number(text)
}

const dateText = /^(\d{4})-(\d\d)-(\d\d)/
const clockText = /(-?)(\d{2,3}):(\d\d):(\d\d)(?:\.(\d{1,6}))?$/

/** Days, or µs, as columns of the type hold them. */
function momentOf(type: LogicalType, text: string): number | bigint {
  const own = serverTime(text)
  const [, year, month, day] = dateText.exec(own) ?? []
  const days = year === undefined ? 0 : dayNumber(Number(year), Number(month), Number(day))
  if (type.kind === 'date') return days
  const [, sign, hours, minutes, seconds, fraction = ''] = clockText.exec(own) ?? []
  const clockUs =
    (Number(hours) * 3600 + Number(minutes) * 60 + Number(seconds)) * 1e6 +
    Number(fraction.padEnd(6, '0'))
  if (type.kind === 'time') return sign === '-' ? -clockUs : clockUs
  return narrow(BigInt(days) * BigInt(dayUs) + BigInt(clockUs))
}

function compareDecimals(
  column: Column,
  { rows, signs }: Rows,
  type: LogicalType,
  bound: string,
): void {
  const scale = type.kind === 'decimal' ? (type.scale ?? 0) : 0
  if (column.encoding !== 'bytes' && column.encoding !== 'dictionary') {
    return compareNumbers(column, { rows, signs }, narrow(scaled(bound, scale)))
  }
  const exact = scaled(bound, scale)
  for (let i = 0; i < rows.length; i++) {
    if (signs[i] !== 0) continue
    const value = scaled(textAt(type, column, rows[i]!)!, scale)
    signs[i] = value < exact ? -1 : value > exact ? 1 : 0
  }
}

/** The value × 10^scale; no value has more digits after the point than its column's scale. */
function scaled(text: string, scale: number): bigint {
  const point = text.indexOf('.')
  const fraction = point < 0 ? 0 : text.length - point - 1
  return BigInt(text.replace('.', '') + '0'.repeat(scale - fraction))
}

function compareBytes(column: Column, { rows, signs }: Rows, bound: Buffer, padded: boolean): void {
  for (let i = 0; i < rows.length; i++) {
    if (signs[i] !== 0) continue
    const value = bytesAt(column, rows[i]!)
    signs[i] = padded ? comparePadded(value, bound) : Buffer.compare(value, bound)
  }
}

/** As if the shorter one went on with spaces, as collations with PAD SPACE compare. */
export function comparePadded(a: Uint8Array, b: Uint8Array): number {
  const space = 0x20
  const length = Math.max(a.length, b.length)
  for (let i = 0; i < length; i++) {
    const difference = (a[i] ?? space) - (b[i] ?? space)
    if (difference !== 0) return difference < 0 ? -1 : 1
  }
  return 0
}

/** Index 0 is what an enum holds that was given a label it does not have. */
function compareLabels(
  { column: { type } }: KeyColumn,
  { rows, signs }: Rows,
  column: Column,
  bound: string,
): void {
  const labels = type.kind === 'enum' ? type.labels : []
  const place = labels.indexOf(bound)
  for (let i = 0; i < rows.length; i++) {
    if (signs[i] !== 0) continue
    const value = labels.indexOf(Buffer.from(bytesAt(column, rows[i]!)).toString())
    signs[i] = Math.sign(value - place)
  }
}

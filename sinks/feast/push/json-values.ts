/**
 * Feast values as JSON, the way `feast serve` reads them into a data frame without changing them: the
 * bytes of a `feast.types.Value` (../layout/value.ts) in, a JSON text out.
 *
 *   int32, int64, unix_timestamp   number, all its digits: Python's are exact
 *   double, float                  shortest digits that read back the same; Infinity as Python's json reads it
 *   bool                           true, false
 *   string, json, uuid, decimal    string
 *   list                           array
 *   null                           null
 *
 * NaN has no JSON: Feast takes it for null. Bytes have none at all.
 */
const decoder = new TextDecoder('utf-8', { ignoreBOM: true })

const field = {
  string: 2,
  int32: 3,
  int64: 4,
  double: 5,
  float: 6,
  bool: 7,
  unixTimestamp: 8,
  stringList: 12,
  int32List: 13,
  int64List: 14,
  doubleList: 15,
  floatList: 16,
  boolList: 17,
  unixTimestampList: 18,
  json: 32,
  jsonList: 33,
  uuid: 36,
  uuidList: 38,
  valueList: 42,
  decimal: 44,
  decimalList: 45,
} as const

const texts: ReadonlySet<number> = new Set([field.string, field.json, field.uuid, field.decimal])
const textLists: ReadonlySet<number> = new Set([
  field.stringList,
  field.jsonList,
  field.uuidList,
  field.decimalList,
])

/** The value data[from, end) as JSON; null (not the text) for one that JSON cannot carry. */
export function jsonOf(data: Uint8Array, from: number, end: number): string | null {
  if (from === end) return 'null'
  const reader = new Reader(data, from, end)
  return value(reader)
}

function value(reader: Reader): string | null {
  const tag = reader.varint()
  const number = Number(tag >> 3n)
  if (texts.has(number)) return JSON.stringify(reader.text())
  if (textLists.has(number)) {
    const items = reader.inside()
    const parts: string[] = []
    while (!items.done) {
      items.varint()
      parts.push(JSON.stringify(items.text()))
    }
    return `[${parts.join(',')}]`
  }
  switch (number) {
    case field.int32:
    case field.int64:
    case field.unixTimestamp:
    case field.double:
    case field.float:
    case field.bool:
      return scalar(reader, number)
    case field.int32List:
      return numbers(reader, field.int32)
    case field.int64List:
      return numbers(reader, field.int64)
    case field.doubleList:
      return numbers(reader, field.double)
    case field.floatList:
      return numbers(reader, field.float)
    case field.boolList:
      return numbers(reader, field.bool)
    case field.unixTimestampList:
      return numbers(reader, field.unixTimestamp)
    case field.valueList:
      return values(reader)
    default:
      return null
  }
}

function scalar(reader: Reader, number: number): string | null {
  switch (number) {
    case field.double:
      return floatText(reader.double())
    case field.float:
      return floatText(reader.float())
    case field.bool:
      return reader.varint() === 0n ? 'false' : 'true'
    default:
      return BigInt.asIntN(64, reader.varint()).toString()
  }
}

function numbers(reader: Reader, number: number): string | null {
  const list = reader.inside()
  if (list.done) return '[]'
  list.varint()
  const items = list.inside()
  const parts: string[] = []
  while (!items.done) {
    const text = scalar(items, number)
    if (text === null) return null
    parts.push(text)
  }
  return `[${parts.join(',')}]`
}

function values(reader: Reader): string | null {
  const items = reader.inside()
  const parts: string[] = []
  while (!items.done) {
    items.varint()
    const inner = items.inside()
    const text = inner.done ? 'null' : value(inner)
    if (text === null) return null
    parts.push(text)
  }
  return `[${parts.join(',')}]`
}

/** A number that is whole needs its point, or Python would read an integer. */
function floatText(number: number): string | null {
  if (Number.isNaN(number)) return null
  if (!Number.isFinite(number)) return number > 0 ? 'Infinity' : '-Infinity'
  if (Object.is(number, -0)) return '-0.0'
  const text = String(number)
  return /[.e]/.test(text) ? text : `${text}.0`
}

class Reader {
  readonly #data: Uint8Array
  readonly #view: DataView
  readonly #end: number
  #at: number

  constructor(data: Uint8Array, from: number, end: number) {
    this.#data = data
    this.#view = new DataView(data.buffer, data.byteOffset, data.byteLength)
    this.#at = from
    this.#end = end
  }

  get done(): boolean {
    return this.#at >= this.#end
  }

  varint(): bigint {
    let number = 0n
    for (let shift = 0n; ; shift += 7n) {
      const byte = this.#data[this.#at++]!
      number |= BigInt(byte & 0x7f) << shift
      if (byte < 0x80) return number
    }
  }

  double(): number {
    this.#at += 8
    return this.#view.getFloat64(this.#at - 8, true)
  }

  float(): number {
    this.#at += 4
    return this.#view.getFloat32(this.#at - 4, true)
  }

  text(): string {
    const { from, end } = this.#span()
    return decoder.decode(this.#data.subarray(from, end))
  }

  inside(): Reader {
    const { from, end } = this.#span()
    return new Reader(this.#data, from, end)
  }

  #span(): { readonly from: number; readonly end: number } {
    const length = Number(this.varint())
    const from = this.#at
    this.#at += length
    return { from, end: this.#at }
  }
}

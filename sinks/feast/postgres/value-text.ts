/**
 * `value_text` and `value_num`, by which Feast searches and filters: what `extract_text_and_num` makes
 * of a value (feast 0.67, online_stores/helpers.py). Texts as they are, numbers as Python's str() writes
 * them, True and False; null for everything else, and for texts that are too long to be indexed.
 */
import type { EncodedValues } from '../target.ts'
import type { FeastType } from '../types.ts'
import type { Spans } from './arrays.ts'

const encoder = new TextEncoder()
/** Feast's index is of tsvectors, of at most 1 MiB, and words with their places take several times their text. */
const searchedBytesMax = 256 * 1024

export interface Searchable {
  readonly texts: Spans
  /** NaN: none. */
  readonly numbers: Float64Array
}

/** Of the values at `rows`, in that order. */
export function searchable(type: FeastType, values: EncodedValues, rows: Int32Array): Searchable {
  const numbers = new Float64Array(rows.length).fill(NaN)
  const from = new Int32Array(rows.length).fill(-1)
  const end = new Int32Array(rows.length)
  const name = type.kind === 'scalar' ? type.name : 'list'
  if (name === 'string') return { texts: ownTexts(values, rows, from, end), numbers }
  if (!isNumber(name)) return { texts: { data: new Uint8Array(0), from, end }, numbers }
  const texts: Uint8Array[] = []
  let bytes = 0
  const view = new DataView(values.data.buffer, values.data.byteOffset, values.data.byteLength)
  for (const [i, row] of rows.entries()) {
    const start = values.offsets[row]!
    if (values.offsets[row + 1] === start) continue
    const { text, number } = numberText(name, view, start + 1)
    const encoded = encoder.encode(text)
    texts.push(encoded)
    from[i] = bytes
    bytes += encoded.length
    end[i] = bytes
    numbers[i] = number
  }
  return { texts: { data: Buffer.concat(texts), from, end }, numbers }
}

type NumberName = 'int32' | 'int64' | 'float' | 'double' | 'bool'

function isNumber(name: string): name is NumberName {
  return ['int32', 'int64', 'float', 'double', 'bool'].includes(name)
}

/** A string's bytes stand behind its tag and its length. */
function ownTexts(
  { data, offsets }: EncodedValues,
  rows: Int32Array,
  from: Int32Array,
  end: Int32Array,
): Spans {
  for (const [i, row] of rows.entries()) {
    const start = offsets[row]!
    if (offsets[row + 1] === start) continue
    let at = start + 1
    while (data[at]! >= 0x80) at++
    at++
    // PostgreSQL's text cannot hold U+0000. Only searching is by this column: the value is exact.
    if (offsets[row + 1]! - at > searchedBytesMax) continue
    if (data.subarray(at, offsets[row + 1]).includes(0)) continue
    from[i] = at
    end[i] = offsets[row + 1]!
  }
  return { data, from, end }
}

function numberText(
  name: NumberName,
  view: DataView,
  at: number,
): { readonly text: string; readonly number: number } {
  if (name === 'double' || name === 'float') {
    const number = name === 'double' ? view.getFloat64(at, true) : view.getFloat32(at, true)
    return { text: pythonFloat(number), number }
  }
  const value = signedVarint(view, at)
  if (name === 'bool') return { text: value === 0n ? 'False' : 'True', number: Number(value) }
  return { text: value.toString(), number: Number(value) }
}

function signedVarint(view: DataView, at: number): bigint {
  let value = 0n
  for (let shift = 0n; ; shift += 7n) {
    const byte = view.getUint8(at++)
    value |= BigInt(byte & 0x7f) << shift
    if (byte < 0x80) return BigInt.asIntN(64, value)
  }
}

/** repr() of a float: the shortest digits that read back the same, with an exponent below 1e-4 and from 1e16 on. */
export function pythonFloat(value: number): string {
  if (Number.isNaN(value)) return 'nan'
  if (!Number.isFinite(value)) return value > 0 ? 'inf' : '-inf'
  if (Object.is(value, -0)) return '-0.0'
  const size = Math.abs(value)
  if (size !== 0 && (size < 1e-4 || size >= 1e16)) {
    return value.toExponential().replace(/e([+-])(\d)$/, 'e$10$2')
  }
  const text = String(value)
  return text.includes('.') ? text : `${text}.0`
}

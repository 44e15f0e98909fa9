/**
 * What a partial update says about a JSON document (binlog_row_value_options=PARTIAL_JSON), as an edit of
 * the document's text. Texts are cut and joined, never parsed into values, so numbers keep their digits.
 *
 *   diffs     = { operation path [ value ] }        value: not with remove
 *   operation = 0 replace, 1 insert, 2 remove
 *   path      = length '$' { '.' name | '.' '"' JSON string '"' | '[' cell ']' }
 *   cell      = number | 'last' [ '-' number ]
 *   value     = length, binary JSON                 length: as in the client protocol, 1, 3, 4 or 9 bytes
 *
 * sql-common/json_diff.cc (MySQL 9.7): Json_diff::write_binary, apply_json_diff.
 */
import type { ValueEdit } from '../../../core/connector/source.ts'
import { SluiceError } from '../../../core/errors/error.ts'
import { JsonText } from './json-binary.ts'
import { elementsOf, membersOf, type Item } from './json-scan.ts'
import { JsonWriter } from './json-writer.ts'
import { badImage } from './values.ts'

/** A member's name, or an element's place: from the front, or from the last one backwards. */
type Leg = { readonly name: Uint8Array } | Cell
interface Cell {
  readonly cell: number
  readonly fromLast: boolean
}

interface Diff {
  readonly operation: 'replace' | 'insert' | 'remove'
  readonly path: readonly Leg[]
  readonly value: Uint8Array
}

const operations = ['replace', 'insert', 'remove'] as const
const nothing = new Uint8Array(0)
const json = new JsonText()
const encoder = new TextEncoder()

/**
 * Reads the diffs source[at, end). The edit keeps nothing of `source`; it takes and gives the text of a
 * document as the server prints it. Throws `source.mysql.protocol`; the edit `source.mysql.json_diff`.
 */
export function jsonDiff(
  source: Uint8Array,
  at: number,
  end: number,
): { next: number; edit: ValueEdit } {
  const diffs: Diff[] = []
  let from = at
  while (from < end) {
    const operation = operations[source[from]!]
    if (operation === undefined) throw badImage('change of a JSON document')
    const path = sized(source, from + 1, end)
    from = path.end
    let value: Uint8Array = nothing
    if (operation !== 'remove') {
      const bytes = sized(source, from, end)
      value = json.text(source, bytes.start, bytes.end)
      from = bytes.end
    }
    diffs.push({ operation, path: parsePath(source.subarray(path.start, path.end)), value })
  }
  return { next: from, edit: (before) => apply(diffs, before) }
}

function apply(diffs: readonly Diff[], before: Uint8Array | null): Uint8Array {
  if (before === null) throw misfit()
  let document = before
  for (const diff of diffs) document = applyOne(diff, document)
  return document
}

function misfit(): SluiceError {
  return new SluiceError('source.mysql.json_diff', {
    message: 'A partial update of a JSON document does not fit the document known from before.',
  })
}

function applyOne({ operation, path, value }: Diff, text: Uint8Array): Uint8Array {
  let start = skipSpace(text, 0)
  let end = text.length
  const last = path.at(-1)
  if (last === undefined) throw misfit()
  for (const leg of path.slice(0, -1)) {
    const item = find(itemsOf(text, start, end, leg), leg, text)
    if (item === null) throw misfit()
    start = item.start
    end = item.end
  }
  const items = itemsOf(text, start, end, last)
  const item = find(items, last, text)
  if (operation === 'insert') {
    if (item !== null && 'name' in last) throw misfit()
    return insert(text, start, { items, last, value })
  }
  if (item === null) throw misfit()
  if (operation === 'replace') return spliced(text, item.start, item.end, value)
  const index = items.indexOf(item)
  const next = items[index + 1]
  if (index > 0) return spliced(text, items[index - 1]!.end, item.end, nothing)
  return spliced(text, item.from, next === undefined ? item.end : next.from, nothing)
}

interface Insertion {
  readonly items: readonly Item[]
  readonly last: Leg
  readonly value: Uint8Array
}

function insert(
  text: Uint8Array,
  container: number,
  { items, last, value }: Insertion,
): Uint8Array {
  const place =
    'name' in last
      ? items.findIndex((item) => compareKeys(last.name, item.key!) < 0)
      : cellOf(last, items.length)
  const written = 'name' in last ? member(last.name, value) : value
  const before = place < 0 ? undefined : items[place]
  const comma = encoder.encode(', ')
  if (before !== undefined) {
    return spliced(text, before.from, before.from, Buffer.concat([written, comma]))
  }
  const previous = items.at(-1)
  if (previous === undefined) return spliced(text, container + 1, container + 1, written)
  return spliced(text, previous.end, previous.end, Buffer.concat([comma, written]))
}

function member(name: Uint8Array, value: Uint8Array): Uint8Array {
  const out = new JsonWriter()
  out.string(name, 0, name.length)
  out.colon()
  return Buffer.concat([out.bytes.subarray(0, out.length), value])
}

/** The server's order of keys: shorter ones first, then by bytes (Json_key_comparator). */
function compareKeys(a: Uint8Array, b: Uint8Array): number {
  return a.length === b.length ? Buffer.compare(a, b) : a.length - b.length
}

function itemsOf(text: Uint8Array, start: number, end: number, leg: Leg): readonly Item[] {
  const items = 'name' in leg ? membersOf(text, start, end) : elementsOf(text, start, end)
  if (items === null) throw misfit()
  return items
}

function find(items: readonly Item[], leg: Leg, text: Uint8Array): Item | null {
  if (text.length === 0) return null
  if ('name' in leg) return items.find((item) => compareKeys(item.key!, leg.name) === 0) ?? null
  return items[cellOf(leg, items.length)] ?? null
}

/** The index that a cell means in an array of so many elements; −1 when it has too few of them. */
function cellOf(leg: Cell, elements: number): number {
  return leg.fromLast ? elements - 1 - leg.cell : leg.cell
}

function spliced(text: Uint8Array, from: number, to: number, value: Uint8Array): Uint8Array {
  const out = new Uint8Array(text.length - (to - from) + value.length)
  out.set(text.subarray(0, from))
  out.set(value, from)
  out.set(text.subarray(to), from + value.length)
  return out
}

function skipSpace(text: Uint8Array, at: number): number {
  let from = at
  while (text[from] === 0x20) from++
  return from
}

/** Bytes with their length before them. */
function sized(source: Uint8Array, at: number, end: number): { start: number; end: number } {
  const first = at < end ? source[at]! : 0xff
  const width = first < 0xfb ? 0 : first === 0xfc ? 2 : first === 0xfd ? 3 : first === 0xfe ? 8 : -1
  const start = at + 1 + width
  if (width < 0 || start > end) throw badImage('change of a JSON document')
  let length = 0
  // Without a width the first byte is the length itself.
  for (let from = start - 1; from >= Math.min(at + 1, start - 1); from--) {
    length = length * 256 + source[from]!
  }
  if (start + length > end) throw badImage('change of a JSON document')
  return { start, end: start + length }
}

const utf8 = new TextDecoder('utf-8', { ignoreBOM: true })

function parsePath(path: Uint8Array): Leg[] {
  const text = utf8.decode(path)
  const legs: Leg[] = []
  if (text[0] !== '$') throw badImage('path into a JSON document')
  const pattern = /\.("(?:[^"\\]|\\.)*")|\.([^.["]+)|\[(\d+)\]|\[last(?:-(\d+))?\]/gsy
  pattern.lastIndex = 1
  while (pattern.lastIndex < text.length) {
    const match = pattern.exec(text)
    if (match === null) throw badImage('path into a JSON document')
    const [, quoted, name, cell, back] = match
    if (quoted !== undefined) legs.push({ name: encoder.encode(unquoted(quoted)) })
    else if (name !== undefined) legs.push({ name: encoder.encode(name) })
    else if (cell !== undefined) legs.push({ cell: Number(cell), fromLast: false })
    else legs.push({ cell: Number(back ?? 0), fromLast: true })
  }
  if (legs.length === 0) throw badImage('path into a JSON document')
  return legs
}

function unquoted(quoted: string): string {
  try {
    return String(JSON.parse(quoted))
  } catch (cause) {
    throw new SluiceError('source.mysql.protocol', {
      message: 'A path into a JSON document in the binlog has a name that is not written as one.',
      cause,
    })
  }
}

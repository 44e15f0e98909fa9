/**
 * Places of values in a JSON document by a path, found over its bytes: what is at the place is never
 * rewritten, so that numbers keep all their digits.
 *
 *   path     = '$' *( segment )                          the part of RFC 9535 that names places
 *   segment  = '.' name | '.*' | '[' selector ']'
 *   selector = quoted name | integer | '*'               negative integers count from the end
 *   name     = first *( first | digit )                  first = letter | '_' | anything beyond ASCII
 *
 * Filters, slices, unions and `..` are refused: they search, and what they find in an answer that changed
 * its shape is a guess.
 */
import { byteOrderMark } from '../../core/connector/format/csv-scan.ts'
import type { ReadFault } from '../../core/connector/format/format.ts'
import { jsonElements, JsonMembers, Ranges } from '../../core/connector/format/json-ranges.ts'
import {
  closeBrace,
  comma,
  endsHere,
  failed,
  jsonProblem,
  openBrace,
  openBracket,
  skipBlanks,
  stringEnd,
  valueEnd,
  valueStart,
} from '../../core/connector/format/json-scan.ts'

export type Segment =
  | { readonly kind: 'name'; readonly name: string }
  | { readonly kind: 'index'; readonly index: number }
  | { readonly kind: 'all' }

/** `mistake` completes "the path …". */
export type ParsedPath = { readonly segments: readonly Segment[] } | { readonly mistake: string }

const dotName = /^\.\s*([A-Za-z_\u0080-\u{10ffff}][\w\u0080-\u{10ffff}]*)/u
const dotAll = /^\.\s*\*/
const bracket =
  /^\[\s*(?:(\*)|(0|-?[1-9]\d{0,9})|'((?:[^'\\]|\\[^])*)'|"((?:[^"\\]|\\[^])*)")\s*\]/u

/** Reads a path; what it may not hold is named. */
export function parseJsonPath(text: string): ParsedPath {
  if (!text.startsWith('$')) return { mistake: 'begins with $, as in $.data.items' }
  const segments: Segment[] = []
  let at = 1
  for (;;) {
    at += /^\s*/.exec(text.slice(at))![0].length
    if (at === text.length) return { segments }
    const rest = text.slice(at)
    const read = readSegment(rest)
    if (read === null) return { mistake: `cannot go on with ${why(rest)}` }
    segments.push(read.segment)
    at += read.length
  }
}

function readSegment(rest: string): { segment: Segment; length: number } | null {
  const name = dotName.exec(rest)
  if (name !== null) return { segment: { kind: 'name', name: name[1]! }, length: name[0].length }
  const all = dotAll.exec(rest)
  if (all !== null) return { segment: { kind: 'all' }, length: all[0].length }
  const found = bracket.exec(rest)
  if (found === null) return null
  const [whole, star, index, single, double] = found
  if (star !== undefined) return { segment: { kind: 'all' }, length: whole.length }
  if (index !== undefined) {
    return { segment: { kind: 'index', index: Number(index) }, length: whole.length }
  }
  const quoted = unquoted(single?.replaceAll("\\'", "'").replaceAll('"', '\\"') ?? double!)
  return quoted === null ? null : { segment: { kind: 'name', name: quoted }, length: whole.length }
}

function unquoted(text: string): string | null {
  try {
    return JSON.parse(`"${text}"`) as string
  } catch {
    return null
  }
}

function why(rest: string): string {
  const shown = rest.length > 20 ? `${rest.slice(0, 20)}…` : rest
  if (rest.startsWith('..')) return `${shown}: there is no \`..\`, say each name`
  if (/^\[\s*\?/.test(rest)) return `${shown}: there are no filters`
  if (/^\[[^\]]*:/.test(rest)) return `${shown}: there are no slices`
  if (/^\[[^\]]*,/.test(rest)) return `${shown}: one name or index at a time`
  return `${shown}: expected .name, ['name'], [0], .* or [*]`
}

export class JsonFinder {
  /** Segments that found something, the last time. */
  reached = 0
  readonly segments: readonly Segment[]
  readonly #members: readonly (JsonMembers | null)[]
  #from = new Ranges()
  #to = new Ranges()

  constructor(segments: readonly Segment[]) {
    this.segments = segments
    this.#members = segments.map((segment) =>
      segment.kind === 'name' ? new JsonMembers([segment.name]) : null,
    )
  }

  /**
   * Adds the places that the path names in the document bytes[start, end), in its order and without blanks
   * around them; a document that is no JSON is a fault.
   */
  find(bytes: Uint8Array, start: number, end: number, into: Ranges): ReadFault | null {
    const first = skipBlanks(bytes, start + byteOrderMark(bytes, start, end), end)
    const last = valueEnd(bytes, first, end)
    if (last === failed || !endsHere(bytes, last, end)) {
      return { field: null, message: `not JSON: ${jsonProblem(start)}` }
    }
    this.#from.count = 0
    this.#from.add(first, last)
    this.reached = 0
    for (const [at, segment] of this.segments.entries()) {
      this.#to.count = 0
      for (let i = 0; i < this.#from.count; i++) {
        this.#step(bytes, segment, this.#members[at]!, i)
      }
      ;[this.#from, this.#to] = [this.#to, this.#from]
      if (this.#from.count === 0) return null
      this.reached = at + 1
    }
    for (let i = 0; i < this.#from.count; i++) into.add(this.#from.starts[i]!, this.#from.ends[i]!)
    return null
  }

  /** Adds to `#to` what the segment finds in place `i` of `#from`, which is JSON. */
  #step(bytes: Uint8Array, segment: Segment, members: JsonMembers | null, i: number): void {
    const start = this.#from.starts[i]!
    const end = this.#from.ends[i]!
    const isObject = bytes[start] === openBrace
    if (segment.kind === 'name') {
      if (!isObject || members === null) return
      members.find(bytes, start, end)
      if (members.starts[0]! >= 0) this.#to.add(members.starts[0]!, members.ends[0]!)
    } else if (bytes[start] === openBracket) {
      const before = this.#to.count
      jsonElements(bytes, start, end, this.#to)
      if (segment.kind === 'index') this.#keep(before, segment.index)
    } else if (segment.kind === 'all' && isObject) memberValues(bytes, start, end, this.#to)
  }

  /** Of the elements from place `before` on, keeps the one at the index. */
  #keep(before: number, index: number): void {
    const count = this.#to.count - before
    const at = index < 0 ? count + index : index
    this.#to.count = before
    if (at < 0 || at >= count) return
    this.#to.add(this.#to.starts[before + at]!, this.#to.ends[before + at]!)
  }
}

/** Adds the values of the members of an object that is known to be JSON. */
function memberValues(bytes: Uint8Array, start: number, end: number, into: Ranges): void {
  let at = skipBlanks(bytes, start + 1, end)
  while (at < end && bytes[at] !== closeBrace) {
    const value = valueStart(bytes, Math.abs(stringEnd(bytes, at + 1, end)) + 1, end)
    at = valueEnd(bytes, value, end)
    into.add(value, at)
    at = skipBlanks(bytes, at, end)
    if (bytes[at] === comma) at = skipBlanks(bytes, at + 1, end)
  }
}

/**
 * Adds the records that the path leads to: the elements of arrays, and objects as they are. Where the path
 * ends in `*`, what it names are the records. The last name may be missing where `mayBeMissing`, since many an
 * API leaves an empty list out; whatever comes before it has to be there.
 */
export function findRecords(
  finder: JsonFinder,
  bytes: Uint8Array,
  { start, end }: { readonly start: number; readonly end: number },
  into: Ranges,
  mayBeMissing: boolean,
): ReadFault | null {
  const found = new Ranges()
  const fault = finder.find(bytes, start, end, found)
  if (fault !== null) return fault
  const { segments, reached } = finder
  const missing = segments[reached]
  if (missing?.kind === 'name' && (!mayBeMissing || reached < segments.length - 1)) {
    return { field: null, message: `there is no "${missing.name}" where the path wants one` }
  }
  const isWhole = segments.at(-1)?.kind === 'all'
  for (let i = 0; i < found.count; i++) {
    const from = found.starts[i]!
    if (!isWhole && bytes[from] === openBracket) jsonElements(bytes, from, found.ends[i]!, into)
    else if (isWhole || bytes[from] !== 0x6e) into.add(from, found.ends[i]!)
  }
  return null
}

const decoder = new TextDecoder('utf-8', { ignoreBOM: true })

/**
 * The first scalar at the path as text, without its quotes. '' where it says that there is none: null, false or an
 * empty text; null where the path leads nowhere, or to an object or a list.
 */
export function findSaid(finder: JsonFinder, bytes: Uint8Array): string | null {
  const found = new Ranges()
  if (finder.find(bytes, 0, bytes.length, found) !== null || found.count === 0) return null
  const text = decoder.decode(bytes.subarray(found.starts[0], found.ends[0]))
  // Half a character that is escaped stands for none, and would fit into no address.
  if (text.startsWith('"')) return Buffer.from(JSON.parse(text) as string).toString()
  if (/^[{[]/.test(text)) return null
  return text === 'null' || text === 'false' ? '' : text
}

/** The same where what says that there is none is none. */
export function findText(finder: JsonFinder, bytes: Uint8Array): string | null {
  return findSaid(finder, bytes) || null
}

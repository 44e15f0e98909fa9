/**
 * Sets of MySQL's global transaction ids.
 *
 *   text     = [ source { ',' source } ]
 *   source   = uuid { ':' interval } { ':' tag { ':' interval } }
 *   interval = first [ '-' last ]                tag = [a-z_][a-z0-9_]{0,31}
 *
 *   binary   = Int64 sources, { uuid (16 bytes), intervals }                    no tags
 *            | Int8 1, Int48 sources, Int8 1, { uuid, tag, intervals }          with tags (8.3 and on)
 *   tag      = Int8 2 × length, characters                                      length 0 = no tag
 *   intervals = Int64 count, { Int64 first, Int64 last + 1 }
 *
 * MySQL Reference Manual 9.7, "GTID Format and Storage"; mysql-server, sql/rpl_gtid_set.cc (encode).
 * Numbers beyond 2^53 are refused: a server that gives every transaction one does not get there.
 */
import { SluiceError } from '../../../core/errors/error.ts'
import { safeUint64At } from './events.ts'

const uuidPattern = /^[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}$/
const tagPattern = /^[a-z_][a-z0-9_]{0,31}$/
const intervalPattern = /^(\d{1,16})(?:\s*-\s*(\d{1,16}))?$/

/** First and end (exclusive) of each interval, one after the other; ascending, and apart. */
type Intervals = number[]

export class GtidSet {
  /** By `uuid` or `uuid:tag`. */
  readonly #sources = new Map<string, Intervals>()
  #text: string | null = null
  /** Of the last `add`, since most transactions come from one server. */
  #lastSource = ''
  #lastIntervals: Intervals | null = null

  /** Throws `source.mysql.protocol` for a text that is no GTID set. */
  static parse(text: string): GtidSet {
    const set = new GtidSet()
    for (const part of text.split(',')) {
      const words = part.split(':').map((word) => word.trim().toLowerCase())
      const uuid = words[0] ?? ''
      if (uuid === '' && words.length === 1) continue
      if (!uuidPattern.test(uuid)) throw badSet()
      set.#parseSource(formatUuid(uuid.replaceAll('-', '')), words.slice(1))
    }
    return set
  }

  #parseSource(uuid: string, words: readonly string[]): void {
    let source = uuid
    for (const word of words) {
      const match = intervalPattern.exec(word)
      if (match !== null) {
        const first = Number(match[1])
        const last = Number(match[2] ?? match[1])
        // The server reads an empty interval as none.
        if (first < 1 || !Number.isSafeInteger(last + 1)) throw badSet()
        if (last >= first) this.addInterval(source, first, last + 1)
      } else if (tagPattern.test(word)) source = `${uuid}:${word}`
      else throw badSet()
    }
  }

  /** Either binary form, source[start, end). */
  static decode(source: Uint8Array, start: number, end: number): GtidSet {
    const set = new GtidSet()
    if (end - start < 8) throw badSet()
    const tagged = source[start + 7] === 1
    let count = tagged ? 0 : safeUint64At(source, start)
    if (tagged) for (let i = 6; i >= 1; i--) count = count * 256 + source[start + i]!
    let at = start + 8
    // A source takes 24 bytes or more, so that a wrong count does not run for long.
    if (!(count <= (end - at) / 24)) throw badSet()
    for (let i = 0; i < count; i++) {
      if (end - at < 24) throw badSet()
      let name = uuidAt(source, at)
      at += 16
      if (tagged) {
        const length = source[at++]! >> 1
        const tag = Buffer.from(source.subarray(at, Math.min(at + length, end))).toString('latin1')
        if (length > 0 && !tagPattern.test(tag)) throw badSet()
        if (length > 0) name = `${name}:${tag}`
        at += length
      }
      at = set.#decodeIntervals(name, source, at, end)
    }
    if (at !== end) throw badSet()
    return set
  }

  #decodeIntervals(name: string, source: Uint8Array, start: number, end: number): number {
    const count = end - start < 8 ? NaN : safeUint64At(source, start)
    let at = start + 8
    if (!(count <= (end - at) / 16)) throw badSet()
    for (let i = 0; i < count; i++, at += 16) {
      const first = safeUint64At(source, at)
      const stop = safeUint64At(source, at + 8)
      if (!(first >= 1 && stop > first)) throw badSet()
      this.addInterval(name, first, stop)
    }
    return at
  }

  /** The binary form that COM_BINLOG_DUMP_GTID takes; the one with tags only where there are any. */
  encode(): Buffer {
    const names = this.#names()
    const tagged = names.some((name) => name.length > uuidTextLength)
    const parts: Buffer[] = []
    const head = Buffer.alloc(8)
    if (tagged) {
      head[0] = 1
      head.writeUIntLE(names.length, 1, 6)
      head[7] = 1
    } else head.writeBigUInt64LE(BigInt(names.length))
    parts.push(head)
    for (const name of names) {
      parts.push(Buffer.from(name.slice(0, uuidTextLength).replaceAll('-', ''), 'hex'))
      if (tagged) {
        const tag = name.slice(uuidTextLength + 1)
        parts.push(Buffer.from([tag.length << 1]), Buffer.from(tag, 'latin1'))
      }
      const intervals = this.#sources.get(name)!
      const numbers = Buffer.alloc(8 + intervals.length * 8)
      numbers.writeBigUInt64LE(BigInt(intervals.length / 2))
      intervals.forEach((value, i) => numbers.writeBigUInt64LE(BigInt(value), 8 + i * 8))
      parts.push(numbers)
    }
    return Buffer.concat(parts)
  }

  /** As the server prints it, without line breaks; equal sets have equal texts. */
  toString(): string {
    this.#text ??= this.#format()
    return this.#text
  }

  #format(): string {
    let text = ''
    let uuid = ''
    for (const name of this.#names()) {
      const own = name.slice(0, uuidTextLength)
      if (own !== uuid) text += `${text === '' ? '' : ','}${own}`
      uuid = own
      text += name.slice(uuidTextLength)
      const intervals = this.#sources.get(name)!
      for (let i = 0; i < intervals.length; i += 2) {
        const [first, last] = [intervals[i]!, intervals[i + 1]! - 1]
        text += first === last ? `:${first}` : `:${first}-${last}`
      }
    }
    return text
  }

  /** A uuid comes before its own tags, as the server has it. */
  #names(): string[] {
    return [...this.#sources.keys()].toSorted()
  }

  get isEmpty(): boolean {
    return this.#sources.size === 0
  }

  /** `source`: `uuid` or `uuid:tag`, in lower case. In order of the stream this takes no time. */
  add(source: string, number: number): void {
    let intervals = this.#lastIntervals
    if (source !== this.#lastSource || intervals === null) {
      intervals = this.#sources.get(source) ?? null
      if (intervals === null) {
        intervals = []
        this.#sources.set(source, intervals)
      }
      this.#lastSource = source
      this.#lastIntervals = intervals
    }
    this.#text = null
    const length = intervals.length
    if (length > 0 && intervals[length - 1] === number) intervals[length - 1] = number + 1
    else insertInterval(intervals, number, number + 1)
  }

  /** Numbers from `first` to before `end`. */
  addInterval(source: string, first: number, end: number): void {
    let intervals = this.#sources.get(source)
    if (intervals === undefined) {
      intervals = []
      this.#sources.set(source, intervals)
    }
    this.#text = null
    insertInterval(intervals, first, end)
  }

  addAll(other: GtidSet): void {
    for (const [source, intervals] of other.#sources) {
      for (let i = 0; i < intervals.length; i += 2) {
        this.addInterval(source, intervals[i]!, intervals[i + 1]!)
      }
    }
  }

  has(source: string, number: number): boolean {
    const intervals = this.#sources.get(source)
    if (intervals === undefined) return false
    const place = firstEndingAfter(intervals, number)
    return place < intervals.length && intervals[place]! <= number
  }

  /** Whether everything in `other` is in this one. */
  contains(other: GtidSet): boolean {
    for (const [source, intervals] of other.#sources) {
      const own = this.#sources.get(source)
      if (own === undefined) return false
      for (let i = 0; i < intervals.length; i += 2) {
        const place = firstEndingAfter(own, intervals[i]!)
        if (!(own[place]! <= intervals[i]! && own[place + 1]! >= intervals[i + 1]!)) return false
      }
    }
    return true
  }

  equals(other: GtidSet): boolean {
    return this.toString() === other.toString()
  }

  clone(): GtidSet {
    const set = new GtidSet()
    for (const [source, intervals] of this.#sources) set.#sources.set(source, [...intervals])
    set.#text = this.#text
    return set
  }

  union(other: GtidSet): GtidSet {
    const set = this.clone()
    set.addAll(other)
    return set
  }

  /** What is in this set and not in `other`. */
  subtract(other: GtidSet): GtidSet {
    const set = new GtidSet()
    for (const [source, intervals] of this.#sources) {
      const taken = other.#sources.get(source) ?? []
      for (let i = 0; i < intervals.length; i += 2) {
        let first = intervals[i]!
        const end = intervals[i + 1]!
        for (let k = firstEndingAfter(taken, first); k < taken.length && first < end; k += 2) {
          if (taken[k]! > first) set.addInterval(source, first, Math.min(taken[k]!, end))
          first = Math.max(first, taken[k + 1]!)
        }
        if (first < end) set.addInterval(source, first, end)
      }
    }
    return set
  }
}

const uuidTextLength = 36

/** Index of the first interval that ends after `value`; `length` when there is none. */
function firstEndingAfter(intervals: Intervals, value: number): number {
  let low = 0
  let high = intervals.length >> 1
  while (low < high) {
    const middle = (low + high) >> 1
    if (intervals[middle * 2 + 1]! > value) high = middle
    else low = middle + 1
  }
  return low * 2
}

function insertInterval(intervals: Intervals, first: number, end: number): void {
  // From the first interval that touches this one to the last: they become one.
  const from = firstEndingAfter(intervals, first - 1)
  let to = from
  let [low, high] = [first, end]
  while (to < intervals.length && intervals[to]! <= end) {
    low = Math.min(low, intervals[to]!)
    high = Math.max(high, intervals[to + 1]!)
    to += 2
  }
  intervals.splice(from, to - from, low, high)
}

/** 16 bytes as the text of a uuid. */
export function uuidAt(source: Uint8Array, at: number): string {
  return formatUuid(Buffer.from(source.buffer, source.byteOffset + at, 16).toString('hex'))
}

function formatUuid(hex: string): string {
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
}

function badSet(): SluiceError {
  return new SluiceError('source.mysql.protocol', {
    message: 'A GTID set is not written as MySQL writes one.',
  })
}

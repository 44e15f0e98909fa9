/**
 * The events that begin a transaction in MySQL: who numbered it, and when it was committed.
 *
 *   gtid   = Int8 flags, uuid (16 bytes), Int64 number
 *            [ Int8 2, Int64 last committed, Int64 sequence number                       5.7.6 and on
 *              [ time immediate, [ time original ], packed length of the transaction,    8.0.1 and on
 *                Int32 immediate version, [ Int32 original version ], [ Int64 ticket ] ] ]
 *   time   = Int56 µs since 1970; its highest bit says that the original's own follows
 *
 *   tagged = version 1, size, last field that must be known, { field id, field }             8.3 and on
 *   fields = 0 flags (1 byte) · 1 uuid (16 integers) · 2 number (signed) · 3 tag (length, characters) ·
 *            4 last committed (signed) · 5 sequence number (signed) · 6 immediate commit time ·
 *            7 original commit time, absent when the same · 8 length of the transaction ·
 *            9 immediate version · 10 original version, absent when the same · 11 ticket, may be absent
 *   version, size, ids, lengths and unsigned fields: varint; signed fields: varint of (value << 1 | sign)
 *   varint = as many bytes as the first has trailing ones, plus one; the bits above them are the value
 *
 * mysql-server 9.7, libs/mysql/binlog/event/control_events.h (Gtid_event), libs/mysql/serialization.
 */
import { EventType, protocolError, safeUint64At, uint32At, uint55At } from './events.ts'
import { uuidAt } from './gtid-set.ts'

export interface GtidEvent {
  /** `uuid` or `uuid:tag`. */
  readonly source: string
  readonly number: number
  /** When the server that made the transaction committed it, µs since 1970; null where that is not said. */
  readonly timeUs: number | null
}

const uuidBytes = 16
const untaggedBytes = 1 + uuidBytes + 8
const clockBytes = 17
const timeBytes = 7

/** GTID and ANONYMOUS_GTID (whose uuid and number are 0), source[at, end) from the post-header on. */
export function parseGtid(source: Uint8Array, at: number, end: number, type: number): GtidEvent {
  if (end - at < untaggedBytes) throw protocolError('is cut short', type)
  const number = safeUint64At(source, at + 1 + uuidBytes)
  if (type === EventType.gtid && !(number >= 1)) throw protocolError('has no valid number', type)
  return {
    source: uuidAt(source, at + 1),
    number,
    timeUs: commitTime(source, at + untaggedBytes, end),
  }
}

/** The original commit time: µs fit a double exactly until 2255. */
function commitTime(source: Uint8Array, at: number, end: number): number | null {
  const immediate = at + clockBytes
  if (immediate + timeBytes > end || source[at] !== 2) return null
  const original = immediate + timeBytes
  const follows = (source[immediate + 6]! & 0x80) !== 0
  if (!follows || original + timeBytes > end) return knownTime(uint55At(source, immediate))
  return knownTime(uint55At(source, original)) ?? knownTime(uint55At(source, immediate))
}

/** A server that does not know it (an older one upstream) writes 0. */
function knownTime(timeUs: number): number | null {
  return timeUs > 0 && Number.isSafeInteger(timeUs) ? timeUs : null
}

/** GTID_TAGGED, source[at, end) from the post-header on. */
export function parseTaggedGtid(source: Uint8Array, at: number, end: number): GtidEvent {
  const reader = new VarintReader(source, at, end)
  if (reader.unsigned() !== formatVersion) throw tagged('is of a serialization that is not known')
  reader.unsigned()
  const required = reader.unsigned()
  if (required > lastField) throw tagged(`has a field ${required} that must be known`)
  let uuid = ''
  let tag = ''
  let number = 0
  let immediateUs = 0
  let originalUs = 0
  while (reader.at < end) {
    const id = reader.unsigned()
    if (id === 0) reader.byte()
    else if (id === 1) uuid = reader.uuid()
    else if (id === 2) number = reader.signed()
    else if (id === 3) tag = reader.text()
    else if (id === 6) immediateUs = reader.unsigned()
    else if (id === 7) originalUs = reader.unsigned()
    else if (id <= lastField) reader.skip()
    // Fields come in the order of their ids: what is beyond the last known one can be left.
    else break
  }
  if (uuid === '' || !(number >= 1)) throw tagged('has no valid number')
  const timeUs = knownTime(originalUs) ?? knownTime(immediateUs)
  return { source: tag === '' ? uuid : `${uuid}:${tag}`, number, timeUs }
}

/** MySQL 8.3 to 9.7. */
const formatVersion = 1
const lastField = 11
const tagBytesMax = 32

class VarintReader {
  at: number
  readonly #source: Uint8Array
  readonly #end: number
  constructor(source: Uint8Array, at: number, end: number) {
    this.#source = source
    this.at = at
    this.#end = end
  }
  byte(): number {
    if (this.at >= this.#end) throw tagged('is cut short')
    return this.#source[this.at++]!
  }
  #varint(): bigint {
    const first = this.byte()
    // Trailing ones of the first byte: how many bytes follow it.
    const more = first === 0xff ? 8 : 31 - Math.clz32(~first & (first + 1))
    if (this.at + more > this.#end) throw tagged('is cut short')
    let value = 0n
    for (let i = more - 1; i >= 0; i--) value = (value << 8n) | BigInt(this.#source[this.at + i]!)
    this.at += more
    if (more >= 7) return value
    return (value << BigInt(7 - more)) | BigInt(first >> (more + 1))
  }
  skip(): void {
    this.#varint()
  }
  /** Throws for what a double cannot hold. */
  unsigned(): number {
    return exact(this.#varint())
  }
  signed(): number {
    const value = this.#varint()
    return exact((value & 1n) === 0n ? value >> 1n : -(value >> 1n) - 1n)
  }
  uuid(): string {
    const bytes = new Uint8Array(uuidBytes)
    for (let i = 0; i < uuidBytes; i++) bytes[i] = this.unsigned()
    return uuidAt(bytes, 0)
  }
  text(): string {
    const length = this.unsigned()
    if (length > tagBytesMax) throw tagged('has a tag that is too long')
    let text = ''
    for (let i = 0; i < length; i++) text += String.fromCharCode(this.byte())
    return text
  }
}

function exact(value: bigint): number {
  const number = Number(value)
  if (!Number.isSafeInteger(number)) throw tagged('has a number beyond 2^53')
  return number
}

function tagged(what: string): Error {
  return protocolError(what, EventType.gtidTagged)
}

/**
 * What ends the first phase of an XA transaction.
 *
 *   xaPrepare = Int8 one phase, Int32 format, Int32 bytes of gtrid, Int32 bytes of bqual, gtrid, bqual
 */
export interface XaPrepare {
  /** XA COMMIT … ONE PHASE: the transaction is committed with it. */
  readonly onePhase: boolean
  readonly xid: string
}

export function parseXaPrepare(source: Uint8Array, at: number, end: number): XaPrepare {
  if (end - at < 13) throw protocolError('is cut short', EventType.xaPrepare)
  const gtrid = safeLength(source, at + 5)
  const bqual = safeLength(source, at + 9)
  if (end - at < 13 + gtrid + bqual) throw protocolError('is cut short', EventType.xaPrepare)
  const data = Buffer.from(source.subarray(at + 13, at + 13 + gtrid + bqual)).toString('hex')
  const format = uint32At(source, at + 1)
  return {
    onePhase: source[at] !== 0,
    xid: formatXid(data.slice(0, gtrid * 2), data.slice(gtrid * 2), format),
  }
}

/** XIDDATASIZE: 128 bytes, 64 each. */
function safeLength(source: Uint8Array, at: number): number {
  const length = uint32At(source, at)
  if (length > 64) throw protocolError('has an xid that is too long', EventType.xaPrepare)
  return length
}

/** As XA statements in the binlog name it: X'gtrid',X'bqual',format. */
export function formatXid(gtrid: string, bqual: string, format: number): string {
  return `${gtrid.toLowerCase()},${bqual.toLowerCase()},${format}`
}

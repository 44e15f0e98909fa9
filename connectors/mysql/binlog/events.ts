/**
 * Binlog events as data: their type bytes, the flags of their headers, and the integers they are made
 * of (little-endian but where said). Numbers and names are those of mysql-server 9.7,
 * libs/mysql/binlog/event/binlog_event.h, and MariaDB 12.3, sql/log_event.h.
 */
import { SluiceError } from '../../../core/errors/error.ts'

export const EventType = {
  query: 2,
  stop: 3,
  rotate: 4,
  intvar: 5,
  appendBlock: 9,
  deleteFile: 11,
  rand: 13,
  userVar: 14,
  formatDescription: 15,
  xid: 16,
  beginLoadQuery: 17,
  executeLoadQuery: 18,
  tableMap: 19,
  writeRowsV0: 20,
  updateRowsV0: 21,
  deleteRowsV0: 22,
  writeRowsV1: 23,
  updateRowsV1: 24,
  deleteRowsV1: 25,
  incident: 26,
  heartbeat: 27,
  ignorable: 28,
  rowsQuery: 29,
  writeRows: 30,
  updateRows: 31,
  deleteRows: 32,
  gtid: 33,
  anonymousGtid: 34,
  previousGtids: 35,
  transactionContext: 36,
  viewChange: 37,
  xaPrepare: 38,
  partialUpdateRows: 39,
  transactionPayload: 40,
  heartbeatV2: 41,
  gtidTagged: 42,
  annotateRows: 160,
  binlogCheckpoint: 161,
  mariadbGtid: 162,
  gtidList: 163,
  startEncryption: 164,
  queryCompressed: 165,
  writeRowsCompressedV1: 166,
  updateRowsCompressedV1: 167,
  deleteRowsCompressedV1: 168,
  writeRowsCompressed: 169,
  updateRowsCompressed: 170,
  deleteRowsCompressed: 171,
  partialRowData: 172,
} as const

const names: ReadonlyMap<number, string> = new Map(
  Object.entries(EventType).map(([name, type]) => [type, name]),
)

export function eventName(type: number): string {
  return names.get(type) ?? `of type ${type}`
}

/** A reader that does not know the event may pass over it. */
export const flagIgnorable = 0x80
/** Made up by the server for the reader; it is in no file. */
export const flagArtificial = 0x20
/** The file was open when the event was read; not part of the checksum. */
export const flagInUse = 0x01

export function uint16At(source: Uint8Array, at: number): number {
  return source[at]! | (source[at + 1]! << 8)
}
export function uint32At(source: Uint8Array, at: number): number {
  return (
    (source[at]! | (source[at + 1]! << 8) | (source[at + 2]! << 16) | (source[at + 3]! << 24)) >>> 0
  )
}
/** Table ids. */
export function uint48At(source: Uint8Array, at: number): number {
  return uint32At(source, at) + uint16At(source, at + 4) * 4_294_967_296
}
/** Commit times: 7 bytes, of which the highest bit is a flag that is left out. */
export function uint55At(source: Uint8Array, at: number): number {
  return uint48At(source, at) + (source[at + 6]! & 0x7f) * 281_474_976_710_656
}
export function uint64At(source: Uint8Array, at: number): bigint {
  return (BigInt(uint32At(source, at + 4)) << 32n) | BigInt(uint32At(source, at))
}
/** A 64-bit count or place; NaN where a double cannot hold it, which no bound lets through. */
export function safeUint64At(source: Uint8Array, at: number): number {
  const value = uint32At(source, at) + uint32At(source, at + 4) * 4_294_967_296
  return Number.isSafeInteger(value) ? value : NaN
}

/**
 * Packed integers ("length-encoded"), one after the other.
 *
 *   packed = Int8 below 251 | 0xfc Int16 | 0xfd Int24 | 0xfe Int64
 */
export class PackedReader {
  at: number
  readonly end: number
  readonly #source: Uint8Array
  readonly #type: number

  /** source[at, end), of an event of this type. */
  constructor(source: Uint8Array, at: number, end: number, type: number) {
    this.#source = source
    this.at = at
    this.end = end
    this.#type = type
  }
  byte(): number {
    if (this.at >= this.end) throw protocolError('is cut short', this.#type)
    return this.#source[this.at++]!
  }
  packed(): number {
    const source = this.#source
    const first = this.byte()
    if (first < 251) return first
    const bytes = first === 0xfc ? 2 : first === 0xfd ? 3 : first === 0xfe ? 8 : -1
    if (bytes < 0) throw protocolError('has a packed integer of no known form', this.#type)
    const at = this.skip(bytes)
    if (bytes === 2) return uint16At(source, at)
    if (bytes === 3) return uint16At(source, at) | (source[at + 2]! << 16)
    const value = safeUint64At(source, at)
    if (Number.isNaN(value)) throw protocolError('has a length beyond 2^53', this.#type)
    return value
  }
  /** Passes over so many bytes and returns where they begin. */
  skip(bytes: number): number {
    const start = this.at
    if (!(bytes <= this.end - start)) throw protocolError('is cut short', this.#type)
    this.at = start + bytes
    return start
  }
  bytes(length: number): Uint8Array {
    const start = this.skip(length)
    return this.#source.subarray(start, this.at)
  }
}

export function protocolError(what: string, type: number, cause?: unknown): SluiceError {
  return new SluiceError('source.mysql.protocol', {
    message: `Binlog event ${eventName(type)} ${what}.`,
    cause,
  })
}

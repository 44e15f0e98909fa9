/**
 * MariaDB's own events.
 *
 *   gtid       = Int64 number, Int32 domain, Int8 flags, [ Int64 commit id ], [ xid ], [ extra … ], zeros
 *   xid        = Int32 format, Int8 bytes of gtrid, Int8 bytes of bqual, gtrid, bqual
 *   flags      = 1 one statement, nothing ends it · 2 commit id · 4 transactional · 8 parallel ·
 *                16 waited · 32 DDL · 64 XA prepare, with xid · 128 XA commit or rollback, with xid
 *   compressed = Int8 128 | algorithm << 4 (0 = zlib) | bytes of the length, length (big-endian), zlib stream
 *   fragment   = Int32 fragments, Int32 which (from 1), Int8 flags, [ Int64 bytes of the whole: flag 1 ],
 *                bytes of a rows event, header included                                12.3 and on
 *
 * The server of a GTID is that of the event's header. MariaDB 11.8, sql/log_event.cc (Gtid_log_event),
 * log_event_server.cc, sql/log_event.h (binlog_buf_compress); its documentation, "GTID_EVENT" and
 * "PARTIAL_ROW_DATA_EVENT".
 */
import { inflateSync } from 'node:zlib'
import { EventType, protocolError, safeUint64At, uint32At } from './events.ts'
import { formatXid } from './gtid-event.ts'
import type { MariadbGtid } from './mariadb-gtid.ts'

const standalone = 1
const withCommitId = 2
const preparesXa = 64
const completesXa = 128

export interface MariadbGtidEvent {
  readonly gtid: MariadbGtid
  /** One statement follows and ends the group; else it ends by XID, COMMIT, ROLLBACK or XA PREPARE. */
  readonly standalone: boolean
  /** Of the XA transaction that the group prepares, commits or rolls back. */
  readonly xid: string | null
  readonly preparesXa: boolean
}

/** source[at, end) from the post-header on. */
export function parseMariadbGtid(
  source: Uint8Array,
  at: number,
  end: number,
  server: number,
): MariadbGtidEvent {
  if (end - at < 13) throw protocolError('is cut short', EventType.mariadbGtid)
  const number = safeUint64At(source, at)
  if (Number.isNaN(number)) {
    throw protocolError('has a number beyond 2^53', EventType.mariadbGtid)
  }
  const flags = source[at + 12]!
  const isXa = (flags & (preparesXa | completesXa)) !== 0
  const xidAt = at + 13 + ((flags & withCommitId) !== 0 ? 8 : 0)
  return {
    gtid: { domain: uint32At(source, at + 8), server, number },
    standalone: (flags & standalone) !== 0,
    xid: isXa ? xidText(source, xidAt, end) : null,
    preparesXa: (flags & preparesXa) !== 0,
  }
}

function xidText(source: Uint8Array, at: number, end: number): string {
  if (at + 6 > end) throw protocolError('is cut short', EventType.mariadbGtid)
  const data = at + 6
  const gtrid = source[at + 4]!
  const dataEnd = data + gtrid + source[at + 5]!
  if (dataEnd > end) throw protocolError('is cut short', EventType.mariadbGtid)
  const hex = Buffer.from(source.subarray(data, dataEnd)).toString('hex')
  return formatXid(hex.slice(0, gtrid * 2), hex.slice(gtrid * 2), uint32At(source, at))
}

/** No event is longer: max_allowed_packet's own bound (1 GiB). */
const eventBytesMax = 1 << 30

/** source[at, end) unpacked; `type`: of the event that it is part of. */
export function unpackMariadb(
  source: Uint8Array,
  at: number,
  end: number,
  type: number,
): Uint8Array {
  const head = source[at] ?? 0
  const lengthBytes = head & 7
  if (at + 1 + lengthBytes > end || (head & 0xf0) !== 0x80 || lengthBytes === 0) {
    throw protocolError('is compressed in a way that is not known', type)
  }
  let length = 0
  for (let i = 1; i <= lengthBytes; i++) length = length * 256 + source[at + i]!
  if (length > eventBytesMax) throw protocolError('unpacks to more than an event can be', type)
  if (length === 0) return new Uint8Array(0)
  let unpacked: Buffer
  try {
    unpacked = inflateSync(source.subarray(at + 1 + lengthBytes, end), { maxOutputLength: length })
  } catch (cause) {
    throw protocolError('does not unpack', type, cause)
  }
  if (unpacked.length !== length) throw protocolError('unpacks to another length', type)
  return unpacked
}

/** Joins the fragments of a rows event that was too large for one. */
export class Fragments {
  #parts: Uint8Array[] = []
  #bytes = 0
  #count = 0

  get isOpen(): boolean {
    return this.#count !== 0
  }
  /** Bytes held. */
  get bytes(): number {
    return this.#bytes
  }

  /** source[at, end) from the post-header on; the whole event with its last fragment, else null. */
  add(source: Uint8Array, at: number, end: number): Uint8Array | null {
    if (end - at < 9) throw fragment('is cut short')
    const count = uint32At(source, at)
    const which = uint32At(source, at + 4)
    const withSize = (source[at + 8]! & 1) !== 0
    const data = at + 9 + (withSize ? 8 : 0)
    if (data > end) throw fragment('is cut short')
    if (which === 1) {
      if (this.isOpen) throw fragment('begins before the one before it has ended')
      this.#count = count
    }
    if (count !== this.#count || which !== this.#parts.length + 1 || which > count) {
      throw fragment('is out of its order')
    }
    this.#parts.push(source.slice(data, end))
    this.#bytes += end - data
    if (this.#bytes > eventBytesMax) throw fragment('makes more than an event can be')
    if (which < count) return null
    const whole = Buffer.concat(this.#parts)
    this.clear()
    return whole
  }

  clear(): void {
    this.#parts = []
    this.#bytes = 0
    this.#count = 0
  }
}

function fragment(what: string): Error {
  return protocolError(what, EventType.partialRowData)
}

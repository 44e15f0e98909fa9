/**
 * What surrounds every event: its header, its checksum, and the event that says how the others of its
 * file are laid out.
 *
 *   event   = header, post-header (length by type), body, [ Int32 CRC-32 of all before it ]
 *   header  = Int32 seconds since 1970, Int8 type, Int32 server id, Int32 length of the whole event,
 *             Int32 place of its end in the file (modulo 2^32; 0 = none), Int16 flags
 *   format  = Int16 binlog version, 50 bytes server version, Int32 created, Int8 header length (19),
 *             { Int8 post-header length, of type 1 and on }, Int8 checksum algorithm, Int32 CRC-32
 *
 * mysql-server, libs/mysql/binlog/event/{binlog_event,control_events}.h.
 */
import { crc32 } from '@node-rs/crc32'
import { SluiceError } from '../../../core/errors/error.ts'
import { EventType, eventName, flagInUse, protocolError, uint16At, uint32At } from './events.ts'

export const headerBytes = 19
const checksumBytes = 4
const versionBytes = 50
/** Before the post-header lengths. */
const formatFixedBytes = 2 + versionBytes + 4 + 1

export function typeOf(source: Uint8Array, start: number): number {
  return source[start + 4]!
}
export function secondsOf(source: Uint8Array, start: number): number {
  return uint32At(source, start)
}
export function serverIdOf(source: Uint8Array, start: number): number {
  return uint32At(source, start + 5)
}
export function lengthOf(source: Uint8Array, start: number): number {
  return uint32At(source, start + 9)
}
export function endPlaceOf(source: Uint8Array, start: number): number {
  return uint32At(source, start + 13)
}
export function flagsOf(source: Uint8Array, start: number): number {
  return uint16At(source, start + 17)
}

/** Throws unless source[start, end) is as long as its header says. */
export function checkLength(source: Uint8Array, start: number, end: number): void {
  if (end - start < headerBytes) {
    throw new SluiceError('source.mysql.protocol', {
      message: `A binlog event has ${end - start} bytes, less than its header.`,
    })
  }
  if (lengthOf(source, start) !== end - start) {
    throw protocolError('is not as long as its header says', typeOf(source, start))
  }
}

/** How the events of the present file are laid out. */
export interface EventFormat {
  /** CRC-32 at the end of each event. */
  readonly checksums: boolean
  readonly serverVersion: string
  /** Table ids have 4 bytes where the post-header of their events has 6 (before 5.1.4). */
  readonly tableIdBytes: 4 | 6
  /** Written by MariaDB, whose table maps count other columns as text than MySQL's. */
  readonly isMariadb: boolean
}

/** Until the first format event. */
export const noFormat: EventFormat = {
  checksums: false,
  serverVersion: '',
  tableIdBytes: 6,
  isMariadb: false,
}

export function parseFormat(source: Uint8Array, start: number, end: number): EventFormat {
  const at = start + headerBytes
  if (end - at < formatFixedBytes) throw protocolError('is cut short', EventType.formatDescription)
  const version = uint16At(source, at)
  if (version !== 4) {
    throw protocolError(`has binlog version ${version}, not 4`, EventType.formatDescription)
  }
  if (source[at + formatFixedBytes - 1] !== headerBytes) {
    throw protocolError('asks for another header length', EventType.formatDescription)
  }
  const serverVersion = textUntilZero(source.subarray(at + 2, at + 2 + versionBytes))
  const aware = knowsChecksums(serverVersion)
  const lengths = at + formatFixedBytes
  const lengthsEnd = aware ? end - 1 - checksumBytes : end
  if (lengthsEnd - lengths < EventType.tableMap) {
    throw protocolError('is cut short', EventType.formatDescription)
  }
  const algorithm = aware ? source[lengthsEnd]! : 0
  if (algorithm > 1) {
    throw protocolError(`names checksum algorithm ${algorithm}`, EventType.formatDescription)
  }
  const tableIdBytes = source[lengths + EventType.tableMap - 1] === 6 ? 4 : 6
  const isMariadb = serverVersion.includes('MariaDB')
  return { checksums: algorithm === 1, serverVersion, tableIdBytes, isMariadb }
}

/** The algorithm's byte came with MySQL 5.6.1 and MariaDB 5.3. */
function knowsChecksums(version: string): boolean {
  const match = /^(\d+)\.(\d+)\.(\d+)/.exec(version)
  if (match === null) return true
  const [major, minor, patch] = [Number(match[1]), Number(match[2]), Number(match[3])]
  if (version.includes('MariaDB')) return major * 100 + minor >= 503
  return major * 10_000 + minor * 100 + patch >= 50_601
}

function textUntilZero(bytes: Uint8Array): string {
  const zero = bytes.indexOf(0)
  return Buffer.from(bytes.subarray(0, zero < 0 ? bytes.length : zero)).toString('latin1')
}

/**
 * Where the event's body ends, its checksum left out and checked. Throws `source.mysql.checksum`: the
 * bytes changed on their way, so that reading them again is the cure.
 */
export function bodyEnd(
  source: Uint8Array,
  start: number,
  end: number,
  checksums: boolean,
): number {
  if (!checksums) return end
  const body = end - checksumBytes
  if (body - start < headerBytes) throw protocolError('is cut short', typeOf(source, start))
  if (!hasChecksum(source, start, end)) {
    const type = typeOf(source, start)
    throw new SluiceError('source.mysql.checksum', {
      message: `Binlog event ${eventName(type)} of ${end - start} bytes does not match its CRC-32.`,
    })
  }
  return body
}

/** Whether the last four bytes are the CRC-32 of those before them. */
export function hasChecksum(source: Uint8Array, start: number, end: number): boolean {
  const body = end - checksumBytes
  if (body - start < headerBytes) return false
  let bytes = source.subarray(start, body)
  const flags = flagsOf(source, start)
  if (typeOf(source, start) === EventType.formatDescription && (flags & flagInUse) !== 0) {
    // Set in an open file after the checksum was made.
    bytes = bytes.slice()
    bytes[17]! &= ~flagInUse
  }
  return crc32(bytes) === uint32At(source, body)
}

/**
 * The messages of the pgoutput plugin as data: their type bytes, the integers they are made of, and
 * Relation messages, which come once a table and session and after every change of the table. Row
 * messages are read in decode.ts.
 *
 * PostgreSQL documentation, "Logical Replication Message Formats" (protocol-logicalrep-message-formats).
 */
import { SluiceError } from '../../core/errors/error.ts'
import type { ReplicaIdentity } from './catalog.ts'

/** First byte of each message. Protocol 1 (PostgreSQL 10), 2 (14), 3 (15). */
export const MessageType = {
  begin: 0x42, // B
  commit: 0x43, // C
  origin: 0x4f, // O
  relation: 0x52, // R
  type: 0x59, // Y
  insert: 0x49, // I
  update: 0x55, // U
  delete: 0x44, // D
  truncate: 0x54, // T
  message: 0x4d, // M
  streamStart: 0x53, // S
  streamStop: 0x45, // E
  streamCommit: 0x63, // c
  streamAbort: 0x41, // A
} as const

/** Microseconds from 1970-01-01 to 2000-01-01, from where the server counts. */
const epochUs = 946_684_800_000_000

export function int16At(source: Uint8Array, at: number): number {
  return ((source[at]! << 24) >> 16) | source[at + 1]!
}
export function int32At(source: Uint8Array, at: number): number {
  return (source[at]! << 24) | (source[at + 1]! << 16) | (source[at + 2]! << 8) | source[at + 3]!
}
/** LSNs. */
export function bigintAt(source: Uint8Array, at: number): bigint {
  return (BigInt(int32At(source, at) >>> 0) << 32n) | BigInt(int32At(source, at + 4) >>> 0)
}
/** A timestamp, as µs since 1970: exact in a double until 2255. */
export function timeUsAt(source: Uint8Array, at: number): number {
  return int32At(source, at) * 4_294_967_296 + (int32At(source, at + 4) >>> 0) + epochUs
}

/** `type` is the message's first byte; `offset` counts from it. */
export function protocolError(what: string, type: number, offset: number): SluiceError {
  const name = type >= 0x21 && type <= 0x7e ? String.fromCharCode(type) : `0x${type.toString(16)}`
  return new SluiceError('source.postgres.protocol', {
    message: `Replication message "${name}" ${what} at byte ${offset}.`,
  })
}

export interface RelationMessage {
  readonly oid: number
  readonly schema: string
  readonly name: string
  readonly identity: ReplicaIdentity
  readonly columns: readonly RelationColumn[]
  /** The message from the oid on: equal bytes mean an unchanged table. */
  readonly bytes: Uint8Array
}
export interface RelationColumn {
  readonly name: string
  readonly typeOid: number
  readonly typmod: number
  /** Part of the replica identity; under FULL every column is. */
  readonly inKey: boolean
}

const identities: ReadonlyMap<number, ReplicaIdentity> = new Map([
  [0x64, 'default'],
  [0x69, 'index'],
  [0x66, 'full'],
  [0x6e, 'nothing'],
])
const decoder = new TextDecoder()

/**
 * Relation = 'R' [ Int32 xid: in a stream block ] Int32 oid, String namespace ('' = pg_catalog),
 *            String name, Int8 replica identity, Int16 columns, { column }
 * column   = Int8 flags (1 = in the replica identity), String name, Int32 type oid, Int32 typmod
 * String   = bytes without 0, 0
 *
 * source[start, end) begins with the oid.
 */
export function parseRelation(source: Uint8Array, start: number, end: number): RelationMessage {
  let at = start + 4
  const text = (): string => {
    const from = at
    while (at < end && source[at] !== 0) at++
    if (at >= end) throw protocolError('ends within a name', MessageType.relation, at - start)
    return decoder.decode(source.subarray(from, at++))
  }
  const schema = text()
  const name = text()
  const identity = identities.get(source[at] ?? 0)
  if (identity === undefined || at + 3 > end) {
    throw protocolError('has an unknown replica identity', MessageType.relation, at - start)
  }
  const count = int16At(source, at + 1)
  at += 3
  const columns: RelationColumn[] = []
  for (let i = 0; i < count; i++) {
    const inKey = (source[at++]! & 1) !== 0
    const column = text()
    if (at + 8 > end) throw protocolError('ends within a column', MessageType.relation, at - start)
    const typeOid = int32At(source, at) >>> 0
    columns.push({ name: column, typeOid, typmod: int32At(source, at + 4), inKey })
    at += 8
  }
  if (at !== end) throw protocolError('has a wrong length', MessageType.relation, at - start)
  return {
    oid: int32At(source, start) >>> 0,
    schema: schema === '' ? 'pg_catalog' : schema,
    name,
    identity,
    columns,
    bytes: source.slice(start, end),
  }
}

/**
 * A column of a table map → its type. The type byte alone does not tell a tinyint(1), a UUID, an INET6,
 * MariaDB's JSON or its vectors; where the table map has no metadata (NO_LOG, old servers) not even
 * sign and character set. There the catalog's type of the same column is the hint.
 *
 * Metadata, as in sql/rpl_utility.cc (table_def): float, double, blob, json, geometry, vector: the
 * bytes of a value or of its length · time2, datetime2, timestamp2: digits of fraction · varchar: the
 * longest value in bytes · decimal: precision << 8 | scale · bit: whole bytes << 8 | bits beyond them ·
 * enum, set: bytes of the value · string: its bytes, or still packed as the event has it.
 */
import { decodeText } from './charset.ts'
import { wireCodes } from './column-types-codes.ts'
import { isUtf8 } from './column-types.ts'
import type { MysqlType, WireColumn } from '../types.ts'

/** What a table map and the catalog say about a column beside its wire form; null = not said. */
export interface WireDetails {
  readonly unsigned: boolean | null
  /** `binary` for what is bytes. */
  readonly charset: string | null
  readonly labels: readonly Uint8Array[] | null
  /** The catalog's type of the same column, if it is known to be the same. */
  readonly hint: MysqlType | null
}

/** The type of a column in a table map; `unknown` when neither it nor the hint says enough. */
export function mysqlTypeOf(wire: WireColumn, details: WireDetails): MysqlType {
  const { hint } = details
  switch (wire.code) {
    case wireCodes.tiny:
      return integer(1, details)
    case wireCodes.short:
      return integer(2, details)
    case wireCodes.int24:
      return integer(3, details)
    case wireCodes.long:
      return integer(4, details)
    case wireCodes.longlong:
      return integer(8, details)
    case wireCodes.float:
      return { kind: 'float' }
    case wireCodes.double:
      return { kind: 'double' }
    case wireCodes.newDecimal:
      return { kind: 'decimal', precision: wire.meta >> 8, scale: wire.meta & 0xff }
    case wireCodes.bit:
      return { kind: 'bit', bits: bitsOf(wire) }
    case wireCodes.year:
      return hint?.kind === 'year2' ? hint : { kind: 'year' }
    case wireCodes.date:
    case wireCodes.newDate:
      return { kind: 'date' }
    case wireCodes.time2:
      return { kind: 'time', fraction: wire.meta }
    case wireCodes.datetime2:
      return { kind: 'datetime', fraction: wire.meta }
    case wireCodes.timestamp2:
      return { kind: 'timestamp', fraction: wire.meta }
    case wireCodes.time:
    case wireCodes.datetime:
    case wireCodes.timestamp:
      return oldTemporal(wire.code, hint)
    case wireCodes.json:
      return { kind: 'json' }
    case wireCodes.geometry:
      return { kind: 'geometry' }
    case wireCodes.vector:
      return { kind: 'vector' }
    case wireCodes.enum:
    case wireCodes.set:
      return labelled(wire.code === wireCodes.enum ? 'enum' : 'set', details)
    default:
      return bytesOrText(wire, details)
  }
}

function integer(bytes: 1 | 2 | 3 | 4 | 8, { unsigned, hint }: WireDetails): MysqlType {
  const known = hint?.kind === 'int' && hint.bytes === bytes ? hint : null
  const sign = unsigned ?? known?.unsigned
  if (sign === undefined) return { kind: 'unknown', name: 'integer of unknown sign' }
  return { kind: 'int', bytes, unsigned: sign, displayOne: known?.displayOne ?? false }
}

/** MariaDB's own format from before 10.1 keeps fractions under the old type bytes and without metadata. */
function oldTemporal(code: number, hint: MysqlType | null): MysqlType {
  const kind =
    code === wireCodes.time ? 'time' : code === wireCodes.datetime ? 'datetime' : 'timestamp'
  return hint?.kind === kind ? hint : { kind, fraction: 0 }
}

function labelled(kind: 'enum' | 'set', { charset, labels, hint }: WireDetails): MysqlType {
  if (labels !== null && charset !== null) {
    return { kind, labels: labels.map((label) => decodeText(charset, label)) }
  }
  return hint?.kind === kind ? hint : { kind: 'unknown', name: `${kind} of unknown labels` }
}

function bytesOrText(wire: WireColumn, { charset, hint }: WireDetails): MysqlType {
  const isString = wire.code === wireCodes.string
  const length = isString ? stringBytes(wire.meta) : 0
  if (hint !== null) {
    if (isString && hint.kind === 'uuid' && length === 16) return hint
    if (isString && hint.kind === 'inet6' && length === 16) return hint
    if (isString && hint.kind === 'inet4' && length === 4) return hint
    if (wire.code === wireCodes.varchar && hint.kind === 'vector') return hint
    const mayBeJson = charset === null || isUtf8(charset)
    if (isBlob(wire.code) && hint.kind === 'json' && mayBeJson) return hint
  }
  if (!isString && !isBlob(wire.code) && !isVarchar(wire.code)) {
    return { kind: 'unknown', name: `type ${wire.code}` }
  }
  const name = charset ?? charsetOf(hint)
  if (name === null) return { kind: 'unknown', name: 'text of unknown character set' }
  if (name !== 'binary') return { kind: 'text', charset: name }
  return { kind: 'bytes', fixed: isString ? length : null }
}

function charsetOf(hint: MysqlType | null): string | null {
  if (hint?.kind === 'text') return hint.charset
  return hint?.kind === 'bytes' ? 'binary' : null
}

export function isBlob(code: number): boolean {
  return (code >= wireCodes.tinyBlob && code <= wireCodes.blob) || code === wireCodes.blobCompressed
}

export function isVarchar(code: number): boolean {
  return (
    code === wireCodes.varchar ||
    code === wireCodes.varString ||
    code === wireCodes.varcharCompressed
  )
}

/**
 * Bytes of a CHAR or BINARY column. Beyond 255 the event hides two bits of the length in the type byte
 * before it, inverted: bits 4 and 5 of 0xfe (sql/field.cc, Field_string::do_save_field_metadata).
 */
export function stringBytes(meta: number): number {
  if (meta < 0x400) return meta
  return (meta & 0xff) | ((((meta >> 8) & 0x30) ^ 0x30) << 4)
}

/** Bits of a BIT column. */
export function bitsOf({ meta }: WireColumn): number {
  return (meta >> 8) * 8 + (meta & 0xff)
}

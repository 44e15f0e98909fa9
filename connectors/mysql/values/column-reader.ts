/**
 * One reader a column, for both wires: row images of the binlog and result sets of the first copy. What
 * a copy has to select so that its text is exactly the stream's value stands beside it. Every reader
 * stays inside the bytes that it is given and refuses what follows no format.
 */
import { charsetDecoder, type CharsetDecoder } from './charset.ts'
import {
  BytesReader,
  FixedBytesReader,
  GeometryReader,
  JsonReader,
  TextReader,
} from './column-reader-bytes.ts'
import { CompressedReader } from './column-reader-compressed.ts'
import { LongDecimalReader, ScaledDecimalReader } from './column-reader-decimal.ts'
import {
  BitReader,
  BoolReader,
  FloatReader,
  Int32Reader,
  Int64Reader,
  Uint32Reader,
  YearReader,
} from './column-reader-number.ts'
import {
  AddressReader,
  EnumReader,
  SetReader,
  UnknownReader,
  UuidReader,
  VectorReader,
} from './column-reader-other.ts'
import { TemporalTextReader } from './column-reader-time-text.ts'
import {
  DateReader,
  DatetimeReader,
  TimeReader,
  TimestampReader,
  type TimeFormat,
} from './column-reader-time.ts'
import { wireCodes } from './column-types-codes.ts'
import { isUtf8 } from './column-types.ts'
import { isBlob, isVarchar, stringBytes } from './column-types-wire.ts'
import type { ColumnReader, MysqlColumn, MysqlType, ValuePolicies, WireColumn } from '../types.ts'

/**
 * A new reader with a builder of its own. `wire` is null where only result sets are read; `binlog` and
 * `skip` must not be called then. Calls throw `source.mysql.protocol`, `.value`, `.type`, `.zero_date`.
 */
export function columnReader(
  type: MysqlType,
  wire: WireColumn | null,
  policies: ValuePolicies,
): ColumnReader {
  switch (type.kind) {
    case 'int':
      if (type.displayOne && policies.tinyint1 === 'bool') return new BoolReader(false)
      if (type.bytes === 8) return new Int64Reader(!type.unsigned)
      if (type.bytes === 4 && type.unsigned) return new Uint32Reader()
      return new Int32Reader(type.bytes, !type.unsigned)
    case 'decimal':
      return type.precision <= 18
        ? new ScaledDecimalReader(type.precision, type.scale)
        : new LongDecimalReader(type.precision, type.scale)
    case 'float':
      return new FloatReader(4)
    case 'double':
      return new FloatReader(8)
    case 'bit':
      return type.bits === 1 ? new BoolReader(true) : new BitReader(type.bits)
    case 'year':
    case 'year2':
      return new YearReader(type.kind === 'year2')
    case 'date':
      return temporalReader('date', 0, wire, policies)
    case 'time':
    case 'datetime':
    case 'timestamp':
      return temporalReader(type.kind, type.fraction, wire, policies)
    case 'enum':
      return new EnumReader(type.labels, storageBytes(wire, type.labels.length > 255 ? 2 : 1))
    case 'set':
      return new SetReader(type.labels, storageBytes(wire, setBytes(type.labels.length)))
    case 'uuid':
      return new UuidReader()
    case 'inet4':
    case 'inet6':
      return new AddressReader(type.kind === 'inet4' ? 4 : 16)
    case 'unknown':
      return new UnknownReader(type.name)
    case 'text':
      return textReader(charsetDecoder(type.charset), wire)
    case 'bytes':
      if (isCompressed(wire)) return textReader(charsetDecoder('binary'), wire)
      return type.fixed === null
        ? new BytesReader(lengthBytes(wire))
        : new FixedBytesReader(lengthBytes(wire), type.fixed)
    case 'json':
      // MariaDB's JSON is text in UTF-8 and never in MySQL's binary form.
      return wire === null || wire.code === wireCodes.json
        ? new JsonReader(lengthBytes(wire))
        : textReader(charsetDecoder('utf8mb4'), wire)
    case 'geometry':
      return new GeometryReader(lengthBytes(wire))
    case 'vector':
      return new VectorReader(lengthBytes(wire))
  }
}

function textReader(decoder: CharsetDecoder, wire: WireColumn | null): ColumnReader {
  const width = lengthBytes(wire)
  return isCompressed(wire) ? new CompressedReader(width, decoder) : new TextReader(width, decoder)
}

function isCompressed(wire: WireColumn | null): boolean {
  return wire?.code === wireCodes.blobCompressed || wire?.code === wireCodes.varcharCompressed
}

type TemporalKind = 'date' | 'time' | 'datetime' | 'timestamp'

function temporalReader(
  kind: TemporalKind,
  fraction: number,
  wire: WireColumn | null,
  { zeroDates }: ValuePolicies,
): ColumnReader {
  const format = timeFormat(kind, fraction, wire)
  if (kind === 'time') return new TimeReader(format)
  if (zeroDates === 'text') return new TemporalTextReader(kind, format)
  if (kind === 'date') return new DateReader(zeroDates)
  return kind === 'datetime'
    ? new DatetimeReader(format, zeroDates)
    : new TimestampReader(format, zeroDates)
}

function timeFormat(kind: TemporalKind, fraction: number, wire: WireColumn | null): TimeFormat {
  const code = wire?.code
  const isOld =
    kind === 'date' ||
    code === wireCodes.time ||
    code === wireCodes.datetime ||
    code === wireCodes.timestamp
  if (!isOld) return { form: 'packed', fraction }
  return { form: fraction === 0 ? 'old' : 'hires', fraction }
}

function storageBytes(wire: WireColumn | null, ofLabels: number): number {
  const said = wire === null ? 0 : wire.meta & 0xff
  return said === 0 ? ofLabels : said
}

function setBytes(labels: number): number {
  const bytes = (labels + 7) >> 3
  return bytes > 4 ? 8 : Math.max(bytes, 1)
}

/** Bytes of the length before a value in a row image. */
function lengthBytes(wire: WireColumn | null): number {
  if (wire === null) return 1
  if (wire.code === wireCodes.string) return stringBytes(wire.meta) > 255 ? 2 : 1
  if (isVarchar(wire.code)) return wire.meta > 255 ? 2 : 1
  const isSized =
    isBlob(wire.code) ||
    wire.code === wireCodes.json ||
    wire.code === wireCodes.geometry ||
    wire.code === wireCodes.vector
  return isSized && wire.meta >= 1 && wire.meta <= 4 ? wire.meta : 1
}

/**
 * What the first copy selects for a column, so that `text` reads the value which the stream gives:
 * - floats times 1: SELECT prints a float with 6 digits, the product, a double, with all of them; a
 *   double(10,2) would be rounded to its declared digits;
 * - text in its own character set, because the server's conversion writes '?' for what it cannot
 *   convert; Sluice decodes both wires itself. UTF-8 needs no conversion.
 * The session has time_zone '+00:00', character_set_results utf8mb4, and no PAD_CHAR_TO_FULL_LENGTH.
 */
export function selectSql({ name, type }: MysqlColumn): string {
  const column = `\`${name.replaceAll('`', '``')}\``
  if (type.kind === 'float' || type.kind === 'double') return `(${column} * 1e0)`
  if (type.kind === 'text' && !isUtf8(type.charset)) return `CONVERT(${column} USING binary)`
  return column
}

/**
 * TABLE_MAP events: what the rows that follow under a table id look like.
 *
 *   tableMap = Int48 table id, Int16 flags, name database, name table, packed columns,
 *              { Int8 type }, packed length, { metadata }, nullable bits, { option }
 *   name     = Int8 length, bytes, 0
 *   metadata = by type, below            nullable bits: least significant first, one a column
 *   option   = Int8 kind, packed length, content
 *
 *   kind  1 signedness            bits of the numeric columns, most significant first; 1 = unsigned
 *         2 default collation     packed collation, { packed nth text column, packed its collation }
 *         3 collations            { packed collation } of the text columns
 *         4 names                 { Int8 length, bytes }
 *         5 labels of sets        { packed count, { packed length, bytes } } of the set columns
 *         6 labels of enums       likewise, of the enum columns
 *         7 geometry types        { packed type }
 *         8 primary key           { packed column }
 *         9 primary key           { packed column, packed bytes of its prefix; 0 = the whole value }
 *        10, 11                   as 2 and 3, of the enum and set columns
 *        12 visibility            bits, most significant first; 1 = visible
 *        13 dimensions of vectors { packed count }
 *
 * mysql-server 9.7, libs/mysql/binlog/event/rows_event.h; MariaDB 11.8, sql/log_event_server.cc, which
 * has 1 to 11. Options of other kinds are passed over: later versions may add some.
 */
import { wireCodes } from '../values/column-types-codes.ts'
import type { EventFormat } from './event-header.ts'
import { EventType, PackedReader, protocolError, uint16At, uint32At, uint48At } from './events.ts'
import type { TableMap } from '../schema/table-directory.ts'
import type { WireColumn } from '../types.ts'

/** As many as a table of MySQL can have, and more than one of MariaDB. */
export const columnsMax = 4096

const type = EventType.tableMap
const utf8 = new TextDecoder()

/** Id of the table, of a TABLE_MAP or rows event whose post-header begins at `at`. */
export function tableIdAt(source: Uint8Array, at: number, tableIdBytes: 4 | 6): number {
  return tableIdBytes === 4 ? uint32At(source, at) : uint48At(source, at)
}

/** The event's post-header and body, source[start, end). */
export function parseTableMap(
  source: Uint8Array,
  start: number,
  end: number,
  { tableIdBytes, isMariadb }: Pick<EventFormat, 'tableIdBytes' | 'isMariadb'>,
): TableMap {
  const reader = new PackedReader(source, start, end, type)
  reader.skip(tableIdBytes + 2)
  const database = name(reader)
  const table = name(reader)
  const count = reader.packed()
  if (count > columnsMax) throw protocolError(`has ${count} columns`, type)
  const codes = reader.bytes(count)
  const metadataBytes = reader.packed()
  const metadata = new PackedReader(source, reader.skip(metadataBytes), reader.at, type)
  const columns = Array.from(codes, (code) => wireColumn(code, metadata, source))
  const nullable = bits(reader.bytes((count + 7) >> 3), count)
  return {
    tableId: tableIdAt(source, start, tableIdBytes),
    database,
    table,
    columns,
    nullable,
    ...readOptions(reader, source, columns, isMariadb ? isMariadbText : isMysqlText),
    body: source.slice(start, end),
  }
}

function name(reader: PackedReader): string {
  const text = utf8.decode(reader.bytes(reader.byte()))
  if (reader.byte() !== 0) throw protocolError('has a name without its end', type)
  return text
}

/** types.ts, WireColumn: what `meta` holds of each type is said in column-types-wire.ts. */
function wireColumn(code: number, metadata: PackedReader, source: Uint8Array): WireColumn {
  switch (code) {
    case wireCodes.float:
    case wireCodes.double:
    case wireCodes.blob:
    case wireCodes.blobCompressed:
    case wireCodes.json:
    case wireCodes.geometry:
    case wireCodes.vector:
    case wireCodes.timestamp2:
    case wireCodes.datetime2:
    case wireCodes.time2:
      return { code, meta: metadata.byte() }
    case wireCodes.varchar:
    case wireCodes.varcharCompressed:
    case wireCodes.varString:
    case wireCodes.bit:
      return { code, meta: uint16At(source, metadata.skip(2)) }
    case wireCodes.newDecimal:
      return { code, meta: bigEndian16(metadata) }
    case wireCodes.string: {
      const meta = bigEndian16(metadata)
      const real = meta >> 8
      // Enums and sets hide in the type byte of strings, and long strings two bits of their length.
      if (real === wireCodes.enum || real === wireCodes.set)
        return { code: real, meta: meta & 0xff }
      return { code, meta: (meta & 0xff) | (((real & 0x30) ^ 0x30) << 4) }
    }
    case typedArray:
      return { code, meta: typedArrayMeta(metadata, source) }
    default:
      return { code, meta: 0 }
  }
}

/** The hidden column of a multi-valued index: the type of its elements, and that type's metadata. */
const typedArray = 20

function typedArrayMeta(metadata: PackedReader, source: Uint8Array): number {
  const element = metadata.byte()
  wireColumn(element, metadata, source)
  return element
}

function bigEndian16(metadata: PackedReader): number {
  const high = metadata.byte()
  return (high << 8) | metadata.byte()
}

type Options = Pick<TableMap, 'unsigned' | 'collations' | 'names' | 'labels' | 'primaryKey'>

function readOptions(
  reader: PackedReader,
  source: Uint8Array,
  columns: readonly WireColumn[],
  isText: (column: WireColumn) => boolean,
): Options {
  let unsigned: boolean[] | null = null
  let names: string[] | null = null
  let primaryKey: number[] | null = null
  const collations: (number | null)[] = columns.map(() => null)
  const labels: (readonly Uint8Array[] | null)[] = columns.map(() => null)
  let withCollations = false
  let withLabels = false
  while (reader.at < reader.end) {
    const kind = reader.byte()
    const length = reader.packed()
    const content = new PackedReader(source, reader.skip(length), reader.at, type)
    if (kind === 1) unsigned = signedness(content, columns)
    else if (kind === 2 || kind === 10) {
      defaultCollations(content, placesOf(columns, kind === 2 ? isText : isLabelled), collations)
      withCollations = true
    } else if (kind === 3 || kind === 11) {
      eachCollation(content, placesOf(columns, kind === 3 ? isText : isLabelled), collations)
      withCollations = true
    } else if (kind === 4) names = columns.map(() => utf8.decode(content.bytes(content.byte())))
    else if (kind === 5 || kind === 6) {
      const code = kind === 5 ? wireCodes.set : wireCodes.enum
      readLabels(
        content,
        placesOf(columns, (column) => column.code === code),
        labels,
      )
      withLabels = true
    } else if (kind === 8 || kind === 9) primaryKey = keyColumns(content, kind, columns.length)
    else continue
    if (content.at < content.end && kind !== 1) {
      throw protocolError(`has an option ${kind} of a wrong length`, type)
    }
  }
  return {
    unsigned,
    collations: withCollations ? collations : null,
    names,
    labels: withLabels ? labels : null,
    primaryKey,
  }
}

function signedness(content: PackedReader, columns: readonly WireColumn[]): boolean[] {
  const places = placesOf(columns, isNumeric)
  const bytes = content.bytes(content.end - content.at)
  if (bytes.length * 8 < places.length) throw protocolError('has too few signs', type)
  const unsigned = columns.map(() => false)
  places.forEach((place, i) => {
    unsigned[place] = (bytes[i >> 3]! & (0x80 >> (i & 7))) !== 0
  })
  return unsigned
}

function defaultCollations(
  content: PackedReader,
  places: readonly number[],
  collations: (number | null)[],
): void {
  const usual = content.packed()
  for (const place of places) collations[place] = usual
  while (content.at < content.end) {
    const place = places[content.packed()]
    const collation = content.packed()
    if (place === undefined) throw protocolError('names a text column that it has not', type)
    collations[place] = collation
  }
}

function eachCollation(
  content: PackedReader,
  places: readonly number[],
  collations: (number | null)[],
): void {
  for (const place of places) collations[place] = content.packed()
}

function readLabels(
  content: PackedReader,
  places: readonly number[],
  labels: (readonly Uint8Array[] | null)[],
): void {
  for (const place of places) {
    const count = content.packed()
    // A label takes at least its length.
    if (count > content.end - content.at) throw protocolError('is cut short', type)
    labels[place] = Array.from({ length: count }, () => content.bytes(content.packed()).slice())
  }
}

/** A key of prefixes tells whole values apart as well (catalog.ts, loadKey): how long they are does not matter. */
function keyColumns(content: PackedReader, kind: 8 | 9, columns: number): number[] {
  const key: number[] = []
  while (content.at < content.end) {
    const place = content.packed()
    if (place >= columns) throw protocolError('has a key column that it has not', type)
    key.push(place)
    if (kind === 9) content.packed()
  }
  return key
}

function placesOf(
  columns: readonly WireColumn[],
  isOne: (column: WireColumn) => boolean,
): readonly number[] {
  const places: number[] = []
  columns.forEach((column, i) => {
    if (isOne(column)) places.push(i)
  })
  return places
}

const numeric: ReadonlySet<number> = new Set([
  wireCodes.tiny,
  wireCodes.short,
  wireCodes.int24,
  wireCodes.long,
  wireCodes.longlong,
  wireCodes.float,
  wireCodes.double,
  wireCodes.year,
  wireCodes.newDecimal,
  // DECIMAL of before 5.0.
  0,
])

function isNumeric({ code }: WireColumn): boolean {
  return numeric.has(code)
}

/** On both servers. */
const text: ReadonlySet<number> = new Set([
  wireCodes.varchar,
  wireCodes.varcharCompressed,
  wireCodes.varString,
  wireCodes.string,
  wireCodes.blob,
  wireCodes.blobCompressed,
])

/** With vectors (9.0 and on), which are of the binary character set; JSON and geometries are not text. */
function isMysqlText({ code }: WireColumn): boolean {
  return text.has(code) || code === wireCodes.vector
}

/** With geometries, which are blobs there. */
function isMariadbText({ code }: WireColumn): boolean {
  return text.has(code) || code === wireCodes.geometry
}

function isLabelled({ code }: WireColumn): boolean {
  return code === wireCodes.enum || code === wireCodes.set
}

function bits(bytes: Uint8Array, count: number): boolean[] {
  return Array.from({ length: count }, (_, i) => (bytes[i >> 3]! & (1 << (i & 7))) !== 0)
}

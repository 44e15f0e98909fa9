/**
 * Rows events: which table, which columns, and where the rows begin. The rows are table-writer.ts's.
 *
 *   rows       = Int48 table id, Int16 flags, [ Int16 length of extra + 2, extra ], packed columns,
 *                present bits, [ present bits of the new image: updates ], rows
 *   extra      = since version 2 (type 30 and on; MariaDB 169 and on): NDB's own, partition ids; not used
 *   present    = least significant bit first, one a column: the images have it
 *   rows       = { image } | { image, new image } | { image, partial image } | compressed: mariadb-events.ts
 *   image      = null bits of the columns present, { value that is not null }
 *   partial    = packed options, [ partial bits, one a JSON column of the table: option 1 ], null bits,
 *                { value | Int32 length, JSON diffs: where the partial bit is set }     type 39
 *   flags      = 1 the statement ends here · 2, 4, 8, 16 how a replica is to apply it
 *
 * mysql-server 9.7, libs/mysql/binlog/event/rows_event.h, sql/rpl_record.cc (unpack_row).
 */
import { EventType, PackedReader, protocolError, uint16At } from './events.ts'
import { columnsMax, tableIdAt } from './table-map.ts'

export type RowsKind = 'write' | 'update' | 'delete'

const statementEnd = 1
const kinds: readonly RowsKind[] = ['write', 'update', 'delete']

/** null: no rows event. */
export function rowsKindOf(type: number): RowsKind | null {
  if (type >= EventType.writeRowsV0 && type <= EventType.deleteRowsV1) {
    return kinds[(type - EventType.writeRowsV0) % 3]!
  }
  if (type >= EventType.writeRows && type <= EventType.deleteRows) {
    return kinds[type - EventType.writeRows]!
  }
  if (type === EventType.partialUpdateRows) return 'update'
  if (type >= EventType.writeRowsCompressedV1 && type <= EventType.deleteRowsCompressed) {
    return kinds[(type - EventType.writeRowsCompressedV1) % 3]!
  }
  return null
}

export function isCompressedRows(type: number): boolean {
  return type >= EventType.writeRowsCompressedV1 && type <= EventType.deleteRowsCompressed
}

function hasExtra(type: number): boolean {
  return (
    (type >= EventType.writeRows && type <= EventType.deleteRows) ||
    type === EventType.partialUpdateRows ||
    type >= EventType.writeRowsCompressed
  )
}

/** What stands before the rows of an event. */
export interface RowsHead {
  readonly kind: RowsKind
  readonly tableId: number
  /** The table maps before it are not used after it. */
  readonly endsStatement: boolean
  readonly columns: number
  /** Where the present bits of the first, and only, image are; and of an update's new image. */
  readonly presentAt: number
  readonly newPresentAt: number
  readonly rowsAt: number
}

/** source[start, end) from the post-header on. */
export function parseRowsHead(
  source: Uint8Array,
  start: number,
  end: number,
  type: number,
  tableIdBytes: 4 | 6,
): RowsHead {
  const kind = rowsKindOf(type)!
  const reader = new PackedReader(source, start, end, type)
  reader.skip(tableIdBytes)
  const flags = uint16At(source, reader.skip(2))
  if (hasExtra(type)) {
    const extra = uint16At(source, reader.skip(2))
    if (extra < 2) throw protocolError('has extra data of a wrong length', type)
    reader.skip(extra - 2)
  }
  const columns = reader.packed()
  if (columns > columnsMax) throw protocolError(`has ${columns} columns`, type)
  const presentBytes = (columns + 7) >> 3
  const presentAt = reader.skip(presentBytes)
  const newPresentAt = kind === 'update' ? reader.skip(presentBytes) : presentAt
  return {
    kind,
    tableId: tableIdAt(source, start, tableIdBytes),
    endsStatement: (flags & statementEnd) !== 0,
    columns,
    presentAt,
    newPresentAt,
    rowsAt: reader.at,
  }
}

/** Table id of an event that only says that a statement ends, without a table and without rows. */
export const dummyTableId = 0x0000_00ff_ffff

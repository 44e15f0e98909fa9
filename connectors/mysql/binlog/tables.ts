/**
 * The tables that the rows of the open transaction are of: table maps by their ids, and the writers of
 * those that are followed. A server maps its tables anew in every statement, nearly always with the same
 * bytes, which are then not read again. Hot: one `rows` an event.
 */
import type { EventFormat } from './event-header.ts'
import { protocolError } from './events.ts'
import { unpackMariadb } from './mariadb-events.ts'
import type { Output } from './output.ts'
import { PartialJson } from './partial-json.ts'
import { dummyTableId, isCompressedRows, parseRowsHead } from './rows-event.ts'
import type { FollowedTable, TableDirectory, TableMap } from '../schema/table-directory.ts'
import { parseTableMap, tableIdAt } from './table-map.ts'
import { TableWriter } from './table-writer.ts'

interface Mapped {
  readonly map: TableMap
  /** null: not followed. */
  readonly table: FollowedTable | null
  /** As of which answer of the directory. */
  readonly asOf: number
  /** The last statement that mapped it. */
  statement: number
  writer: TableWriter | null
  /** Of the rows gathered, for which `writer` is good. */
  version: number
}

/** What of an event is not in its bytes. */
export interface RowsContext {
  readonly type: number
  readonly tableIdBytes: 4 | 6
  readonly timeUs: number
}

/** More are kept only while one statement needs them. */
const mappedMax = 1024

export class Tables {
  readonly #directory: TableDirectory
  readonly #output: Output
  readonly #mapped = new Map<number, Mapped>()
  #statement = 0
  /** Counts what may change the directory's answers. */
  #asOf = 0

  constructor(directory: TableDirectory, output: Output) {
    this.#directory = directory
    this.#output = output
  }

  /** The directory may answer otherwise from now on. */
  invalidate(): void {
    this.#asOf++
  }

  /** The table maps before are not used after. */
  endStatement(): void {
    this.#statement++
  }

  /** A TABLE_MAP event; the table to be loaded first, if any. */
  map(source: Uint8Array, at: number, end: number, format: EventFormat): TableMap | null {
    if (end - at < 8) return parseTableMap(source, at, end, format)
    const known = this.#mapped.get(tableIdAt(source, at, format.tableIdBytes))
    if (
      known !== undefined &&
      known.asOf === this.#asOf &&
      isSame(known.map.body, source, at, end)
    ) {
      known.statement = this.#statement
      return null
    }
    return this.#resolve(parseTableMap(source, at, end, format))
  }

  /** After the table was loaded; the same if it has to be loaded once more. */
  loaded(map: TableMap): TableMap | null {
    this.#asOf++
    return this.#resolve(map)
  }

  #resolve(map: TableMap): TableMap | null {
    const table = this.#directory.resolve(map)
    if (table === 'lookup') return map
    if (this.#mapped.size >= mappedMax) this.#forgetOthers()
    this.#mapped.set(map.tableId, {
      map,
      table,
      asOf: this.#asOf,
      statement: this.#statement,
      writer: null,
      version: -1,
    })
    return null
  }

  #forgetOthers(): void {
    for (const [id, { statement }] of this.#mapped) {
      if (statement !== this.#statement) this.#mapped.delete(id)
    }
  }

  /** The rows of one event, source[at, end) from its post-header on. */
  rows(source: Uint8Array, at: number, end: number, context: RowsContext): void {
    const { type } = context
    const head = parseRowsHead(source, at, end, type, context.tableIdBytes)
    const mapped = this.#mapped.get(head.tableId)
    if (mapped === undefined || mapped.statement !== this.#statement) {
      // Such an event only ends a statement whose tables were filtered out.
      if (head.tableId !== dummyTableId || head.rowsAt < end) {
        throw protocolError('is of a table that was not mapped', type)
      }
    } else if (mapped.table !== null) {
      const writer = this.#writerOf(mapped, mapped.table)
      const rows = isCompressedRows(type)
        ? unpackedRows(source, head.rowsAt, end, type)
        : { source, at: head.rowsAt, end }
      writer.event(type, head, source, rows, context.timeUs)
      this.#output.added(rows.end - rows.at)
    }
    if (head.endsStatement) this.#statement++
  }

  #writerOf(mapped: Mapped, table: FollowedTable): TableWriter {
    const { gathered } = this.#output
    const { writer } = mapped
    if (writer !== null && mapped.version === gathered.version) {
      gathered.enter(writer.rows)
      return writer
    }
    const rows = this.#output.rowsOf(table)
    mapped.version = gathered.version
    if (writer !== null && writer.rows === rows) return writer
    mapped.writer = new TableWriter(table, rows, new PartialJson(mapped.map.columns))
    return mapped.writer
  }
}

function unpackedRows(
  source: Uint8Array,
  at: number,
  end: number,
  type: number,
): { source: Uint8Array; at: number; end: number } {
  const unpacked = unpackMariadb(source, at, end, type)
  return { source: unpacked, at: 0, end: unpacked.length }
}

function isSame(body: Uint8Array, source: Uint8Array, start: number, end: number): boolean {
  if (body.length !== end - start) return false
  for (let i = 0; i < body.length; i++) if (body[i] !== source[start + i]) return false
  return true
}

/**
 * Row images out of a server's binlog files, as bytes: what the readers of values are tried on. Reads the
 * files themselves, so that no transport stands between the server and the test.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  bodyEnd,
  headerBytes,
  lengthOf,
  noFormat,
  parseFormat,
  typeOf,
} from '../../connectors/mysql/binlog/event-header.ts'
import { EventType } from '../../connectors/mysql/binlog/events.ts'
import { parseRowsHead, rowsKindOf } from '../../connectors/mysql/binlog/rows-event.ts'
import type { TableMap } from '../../connectors/mysql/schema/table-directory.ts'
import { parseTableMap } from '../../connectors/mysql/binlog/table-map.ts'
import type { MysqlServer } from '../services/mysql-family.ts'

/** The rows of one event: source[at, end). */
export interface RowsOf {
  readonly map: TableMap
  readonly kind: 'write' | 'update' | 'delete'
  readonly type: number
  readonly source: Uint8Array
  readonly at: number
  readonly end: number
}

/** The rows events of all binlog files, in order. */
export function rowsInBinlog(server: MysqlServer): RowsOf[] {
  const folder = join(server.dir, 'data')
  const files = readdirSync(folder).filter((name) => /^binlog\.\d+$/.test(name))
  return files.sort().flatMap((name) => rowsInFile(readFileSync(join(folder, name))))
}

function rowsInFile(source: Uint8Array): RowsOf[] {
  const rows: RowsOf[] = []
  const maps = new Map<number, TableMap>()
  let format = noFormat
  // The file begins with 0xfe 'bin'.
  for (let at = 4; at < source.length; at += lengthOf(source, at)) {
    const type = typeOf(source, at)
    const eventEnd = at + lengthOf(source, at)
    if (type === EventType.formatDescription) format = parseFormat(source, at, eventEnd)
    const end = bodyEnd(source, at, eventEnd, format.checksums)
    const start = at + headerBytes
    if (type === EventType.tableMap) {
      const map = parseTableMap(source, start, end, format)
      maps.set(map.tableId, map)
    }
    if (rowsKindOf(type) === null) continue
    const head = parseRowsHead(source, start, end, type, format.tableIdBytes)
    const map = maps.get(head.tableId)
    if (map === undefined) continue
    rows.push({ map, kind: head.kind, type, source, at: head.rowsAt, end })
  }
  return rows
}

/**
 * Where the server's binlog ends now, and whether it still has what comes after a place of ours.
 */
import { textOf, type Query } from './schema/catalog.ts'
import { MariadbGtids } from './binlog/mariadb-gtid.ts'
import { readFrom, type StreamPlace } from './place.ts'
import type { ServerInfo } from './server-info.ts'
import { textLiteral } from './schema/table-pattern.ts'

/** The first byte after a binlog file's magic. */
const fileStart = 4

/** The end of the binlog: file and offset. Throws what `query` throws; null when there is no binlog. */
export async function binlogEnd(
  query: Query,
  info: ServerInfo,
): Promise<{ readonly file: string; readonly offset: number; readonly executed: string } | null> {
  const [row] = await query(
    // Since 8.2 under this name, and since 8.4 under no other.
    info.flavour === 'mysql' && info.versionNumber >= 80_200
      ? 'SHOW BINARY LOG STATUS'
      : 'SHOW MASTER STATUS',
  )
  if (row === undefined) return null
  return {
    file: textOf(row['File']),
    offset: Number(row['Position']),
    executed: textOf(row['Executed_Gtid_Set']).replaceAll(/\s+/g, ''),
  }
}

/**
 * A place such that everything after it is still to be streamed. Null when there is no binlog.
 *
 * MySQL writes a transaction into the file before its GTID is executed, so the file's end may lie
 * behind transactions that `executed` lacks and that will be streamed. With GTIDs the place is therefore
 * said to be at the file's start: before a file is begun, the server waits for the commits in the one
 * before (MYSQL_BIN_LOG::new_file_impl). The stream's first heartbeat moves it on.
 */
export async function placeNow(query: Query, info: ServerInfo): Promise<StreamPlace | null> {
  const end = await binlogEnd(query, info)
  if (end === null) return null
  const { file, offset } = end
  const place = { flavour: info.flavour, server: info.identity, file, offset }
  if (info.flavour === 'mariadb') {
    return { ...place, gtids: await gtidsAt(query, file, offset) }
  }
  return info.gtids
    ? { ...place, offset: fileStart, gtids: end.executed }
    : { ...place, gtids: null }
}

/** MariaDB: the last GTID of each domain before a place in a file. */
async function gtidsAt(query: Query, file: string, offset: number): Promise<string> {
  const [row] = await query(`SELECT BINLOG_GTID_POS(${textLiteral(file)}, ${offset}) AS gtids`)
  return textOf(row?.['gtids'])
}

export type PlaceState =
  | { readonly kind: 'fine' }
  /** `what` says what is missing, in the server's own terms. */
  | { readonly kind: 'purged' | 'ahead' | 'other' | 'off'; readonly what: string }

const fine: PlaceState = { kind: 'fine' }

/** Whether the stream can go on after `place`, with what has to be read again before it. Throws what `query` throws. */
export async function placeState(
  query: Query,
  info: ServerInfo,
  place: StreamPlace,
): Promise<PlaceState> {
  if (place.flavour !== info.flavour) {
    return {
      kind: 'other',
      what: `a ${info.flavour} server; the log was read from ${place.flavour}`,
    }
  }
  if (!info.logBin) return { kind: 'off', what: 'log_bin is OFF' }
  const from = readFrom(place)
  if (place.gtids === null) return fileState(query, info, place, from)
  const gtids = { reached: place.gtids, from: from.gtids ?? place.gtids }
  return info.flavour === 'mariadb' ? mariadbState(query, gtids) : mysqlState(query, info, gtids)
}

/** What the log has, and from where the binlog is read. */
interface PlaceGtids {
  readonly reached: string
  readonly from: string
}

async function mysqlState(
  query: Query,
  info: ServerInfo,
  { reached, from }: PlaceGtids,
): Promise<PlaceState> {
  if (!info.gtids) return { kind: 'off', what: 'gtid_mode is not ON any more' }
  const [row] = await query(
    `SELECT GTID_SUBTRACT(${textLiteral(reached)}, @@GLOBAL.gtid_executed) AS unknown,
            GTID_SUBTRACT(@@GLOBAL.gtid_purged, ${textLiteral(from)}) AS purged`,
  )
  const unknown = textOf(row?.['unknown']).replaceAll(/\s+/g, '')
  const purged = textOf(row?.['purged']).replaceAll(/\s+/g, '')
  if (unknown !== '') return { kind: 'ahead', what: `transactions ${short(unknown)}` }
  return purged === '' ? fine : { kind: 'purged', what: `transactions ${short(purged)}` }
}

async function mariadbState(query: Query, { reached, from }: PlaceGtids): Promise<PlaceState> {
  const [row] = await query('SELECT @@GLOBAL.gtid_binlog_pos AS end')
  const end = MariadbGtids.parse(textOf(row?.['end']))
  const unknown = [...MariadbGtids.parse(reached).domains()].filter(
    ({ domain, number }) => (end.get(domain)?.number ?? 0) < number,
  )
  if (unknown.length > 0) {
    const names = unknown.map(({ domain, server, number }) => `${domain}-${server}-${number}`)
    return { kind: 'ahead', what: `transactions up to ${short(names.join(','))}` }
  }
  const [first] = await query('SHOW BINARY LOGS')
  const start = await gtidsAt(query, textOf(first?.['Log_name']), fileStart)
  return MariadbGtids.parse(from).contains(MariadbGtids.parse(start))
    ? fine
    : { kind: 'purged', what: `transactions up to ${short(start)}` }
}

async function fileState(
  query: Query,
  info: ServerInfo,
  { server, file, offset }: StreamPlace,
  from: StreamPlace,
): Promise<PlaceState> {
  if (server !== info.identity) {
    return { kind: 'other', what: `server ${info.identity}; the log was read from ${server}` }
  }
  const logs = await query('SHOW BINARY LOGS')
  const log = logs.find((row) => row['Log_name'] === file)
  const oldest = fileNumber(textOf(logs[0]?.['Log_name']))
  if (fileNumber(from.file) < oldest) return { kind: 'purged', what: `binlog file ${from.file}` }
  if (log === undefined) return { kind: 'ahead', what: `binlog file ${file}` }
  return Number(log['File_size']) >= offset
    ? fine
    : { kind: 'ahead', what: `${file} from byte ${textOf(log['File_size'])} on` }
}

/** Files are named in their order: `binlog.000042`. */
export function fileNumber(file: string): number {
  return Number(/\.(\d+)$/.exec(file)?.[1] ?? NaN)
}

/** Sets may have thousands of intervals. */
function short(gtids: string): string {
  return gtids.length <= 200 ? gtids : `${gtids.slice(0, 200)}…`
}

/**
 * A snapshot that shows everything up to a place of the stream, and the place from which the stream has
 * nothing more that the snapshot shows.
 *
 * MySQL's binlog sender hands a transaction out once it is in the binlog, before the engine commits it,
 * so a snapshot begun after the stream gave a row need not show it. With GTIDs the server is asked to
 * wait: gtid_executed takes a GTID in after its engine commit (MYSQL_BIN_LOG::process_commit_stage_queue).
 * Without, commit-locks.ts waits for the commits that are under way. The other way round, what a snapshot shows was in the binlog
 * before its engine commit, so before the end of the binlog that is asked for after the snapshot.
 *
 * MariaDB takes the snapshot of engine and binlog at once and says where (binlog_snapshot_file,
 * binlog_snapshot_position): it is taken again until that place is at or after the stream's.
 */
import type { Clock } from '../../../core/connector/context.ts'
import { SluiceError } from '../../../core/errors/error.ts'
import { binlogEnd } from '../binlog-place.ts'
import type { Query } from '../schema/catalog.ts'
import { waitForCommits } from './commit-locks.ts'
import { GtidSet } from '../binlog/gtid-set.ts'
import { MariadbGtids } from '../binlog/mariadb-gtid.ts'
import { comparePlaces, type StreamPlace } from '../place.ts'
import type { ServerInfo } from '../server-info.ts'
import { textLiteral, type TableName } from '../schema/table-pattern.ts'

/** A place in the binlog of one server. */
export interface BinlogEnd {
  readonly server: string
  readonly file: string
  readonly offset: number
  /** All transactions before it, and maybe some after: for a stream that goes on from another server. */
  readonly gtids: string | null
}

export interface SnapshotWait {
  readonly info: ServerInfo
  readonly table: TableName
  readonly from: StreamPlace
  readonly clock: Clock
}

/** How long one statement waits at most, so that nobody waits long for its end. */
const waitSeconds = 1
const retryMs = [1, 2, 5, 10, 20, 50]

/**
 * Begins a read-only transaction whose snapshot shows everything up to `from`; waits until the server
 * can. The session must be outside a transaction; COMMIT ends this one. Throws what `query` throws, the
 * signal's reason, and `source.mysql.other_server`.
 */
export async function beginSnapshot(
  query: Query,
  wait: SnapshotWait,
  signal: AbortSignal,
): Promise<void> {
  if (wait.info.flavour === 'mariadb') return beginAtPlace(query, wait, signal)
  if (wait.from.gtids === null) await waitForWriters(query, wait, signal)
  else await waitForGtids(query, wait.from.gtids, signal)
  await startSnapshot(query)
}

/** Begins the transaction, whatever its snapshot shows. */
export async function startSnapshot(query: Query): Promise<void> {
  await query('SET TRANSACTION ISOLATION LEVEL REPEATABLE READ')
  await query('START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY')
}

async function waitForGtids(query: Query, gtids: string, signal: AbortSignal): Promise<void> {
  if (gtids === '') return
  const sql = `SELECT WAIT_FOR_EXECUTED_GTID_SET(${textLiteral(gtids)}, ${waitSeconds}) AS late`
  for (;;) {
    signal.throwIfAborted()
    const [row] = await query(sql)
    if (textOf(row, 'late') === '0') return
  }
}

/** Without GTIDs a place says nothing about another server. */
async function waitForWriters(
  query: Query,
  { info, table, from, clock }: SnapshotWait,
  signal: AbortSignal,
): Promise<void> {
  if (info.identity !== from.server) throw otherServer()
  await waitForCommits(query, { table, clock }, signal)
}

async function beginAtPlace(
  query: Query,
  { info, from, clock }: SnapshotWait,
  signal: AbortSignal,
): Promise<void> {
  for (let attempt = 0; ; attempt++) {
    signal.throwIfAborted()
    await startSnapshot(query)
    const end = await endOfSnapshot(query, info, from.server !== info.identity)
    if (isAtOrAfter(info, end, from)) return
    await query('COMMIT')
    await clock.sleep(retryMs[Math.min(attempt, retryMs.length - 1)]!, signal)
  }
}

/**
 * Asked inside the transaction: the place from which the stream has nothing that the snapshot shows.
 * `withGtids`: said by GTIDs as well, for which MariaDB reads the binlog file up to there.
 */
export async function endOfSnapshot(
  query: Query,
  info: ServerInfo,
  withGtids: boolean,
): Promise<BinlogEnd> {
  return info.flavour === 'mariadb'
    ? mariadbEnd(query, info, withGtids)
    : mysqlEnd(query, info, withGtids)
}

async function mysqlEnd(query: Query, info: ServerInfo, withGtids: boolean): Promise<BinlogEnd> {
  const end = await binlogEnd(query, info)
  if (end === null) throw binlogOff()
  const gtids = withGtids && info.gtids ? await mysqlGtids(query) : null
  return { server: info.identity, file: end.file, offset: end.offset, gtids }
}

/**
 * gtid_executed alone would lack what the engine has committed just now; until it is taken in there, a
 * GTID is owned by its thread. Asked for in this order, so that none slips through between the two.
 */
async function mysqlGtids(query: Query): Promise<string> {
  const [row] = await query(
    'SELECT @@global.gtid_owned AS owned, @@global.gtid_executed AS executed',
  )
  // Each owned GTID with its thread: `uuid:7#12, uuid:8#13`.
  const owned = GtidSet.parse(textOf(row, 'owned').replaceAll(/#\d+/g, ''))
  return GtidSet.parse(textOf(row, 'executed')).union(owned).toString()
}

async function mariadbEnd(query: Query, info: ServerInfo, withGtids: boolean): Promise<BinlogEnd> {
  const rows = await query(`SHOW STATUS LIKE 'binlog_snapshot_%'`)
  const values = new Map(
    rows.map((row) => [textOf(row, 'Variable_name').toLowerCase(), textOf(row, 'Value')]),
  )
  const file = values.get('binlog_snapshot_file') ?? ''
  if (file === '') throw binlogOff()
  const offset = Number(values.get('binlog_snapshot_position'))
  if (!withGtids) return { server: info.identity, file, offset, gtids: null }
  const [row] = await query(`SELECT BINLOG_GTID_POS(${textLiteral(file)}, ${offset}) AS gtids`)
  return { server: info.identity, file, offset, gtids: textOf(row, 'gtids') }
}

/** Whether the first place is at or after the second: by the files of one server, else by GTIDs. */
export function isAtOrAfter(
  { flavour }: Pick<ServerInfo, 'flavour'>,
  a: BinlogEnd,
  b: BinlogEnd,
): boolean {
  const order = a.server === b.server ? comparePlaces(a, b) : null
  if (order !== null) return order >= 0
  if (a.gtids === null || b.gtids === null) throw otherServer()
  return flavour === 'mariadb'
    ? MariadbGtids.parse(a.gtids).contains(MariadbGtids.parse(b.gtids))
    : GtidSet.parse(a.gtids).contains(GtidSet.parse(b.gtids))
}

function textOf(row: Readonly<Record<string, unknown>> | undefined, name: string): string {
  const value = row?.[name]
  return typeof value === 'string' ? value : ''
}

/** By itself it passes: the stream, too, is connected anew. */
function otherServer(): SluiceError {
  return new SluiceError('source.mysql.other_server', {
    message:
      'The binlog is read from another server than a table’s first copy, and no GTIDs say how far each is.',
    fault: 'transient',
  })
}

function binlogOff(): SluiceError {
  return new SluiceError('source.mysql.binlog_off', {
    message: 'The server has no binary log, so it cannot be said what a first copy shows of it.',
  })
}

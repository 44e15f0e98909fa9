/**
 * XA transactions that are prepared when a source begins to read. Their rows are in the binlog where they
 * were prepared, which is before the place to begin at, and count from their commit, which is after it:
 * the stream brings a commit without rows, and a copy that read before it shows none either. So the
 * source begins once every transaction that was prepared at the start has ended.
 *
 *   begin at           the end of the binlog; what is prepared after it is in the stream
 *   wait               until what was prepared by then has ended
 *   up to              the end of the binlog now, a commit of what was not read is shown by the copies
 *
 * What is not seen here, for want of the privilege or of luck, is found out at its commit
 * (`source.mysql.xa_unknown`).
 */
import type { Context } from '../../core/connector/context.ts'
import { binlogEnd, placeNow } from './binlog-place.ts'
import { textOf, type Query } from './schema/catalog.ts'
import { formatXid } from './binlog/gtid-event.ts'
import type { StreamPlace } from './place.ts'
import type { ServerInfo } from './server-info.ts'
import type { Flavour } from './types.ts'

const pollMs = 1000
/** ER_XAER_RMERR, MySQL's answer to who lacks XA_RECOVER_ADMIN (sql/xa.cc); ER_SPECIFIC_ACCESS_DENIED. */
const denied: ReadonlySet<unknown> = new Set([1401, 1227])

/**
 * A place such that everything after it is still to be streamed; null when there is no binlog. Throws
 * what `query` throws, and the signal's reason.
 */
export async function placeToBegin(
  query: Query,
  info: ServerInfo,
  { clock, logger, report }: Pick<Context, 'clock' | 'logger' | 'report'>,
  signal: AbortSignal,
): Promise<StreamPlace | null> {
  const first = await placeNow(query, info)
  let waiting = (await preparedXa(query, info.flavour)) ?? []
  if (first === null || waiting.length === 0) return first
  logger.warn('waiting for prepared XA transactions to end; XA RECOVER lists them', {
    transactions: waiting.length,
  })
  while (waiting.length > 0) {
    const detail = `waiting for ${waiting.length} prepared XA transactions to end`
    report({ state: 'starting', detail })
    await clock.sleep(pollMs, signal)
    const now = new Set(await preparedXa(query, info.flavour))
    waiting = waiting.filter((xid) => now.has(xid))
  }
  const end = await binlogEnd(query, info)
  if (end === null) return null
  return { ...first, xaEnded: { server: info.identity, file: end.file, offset: end.offset } }
}

/** The xids of transactions that are prepared now; null when the user may not ask. */
export async function preparedXa(
  query: Query,
  flavour: Flavour,
): Promise<readonly string[] | null> {
  try {
    const rows = await query(
      flavour === 'mysql' ? 'XA RECOVER CONVERT XID' : `XA RECOVER FORMAT='SQL'`,
    )
    return rows.map((row) => {
      const hex = flavour === 'mysql' ? textOf(row['data']).slice(2) : hexOf(textOf(row['data']))
      const gtrid = 2 * Number(row['gtrid_length'])
      return formatXid(hex.slice(0, gtrid), hex.slice(gtrid), Number(row['formatID']))
    })
  } catch (error) {
    if (error instanceof Error && 'errno' in error && denied.has(error.errno)) return null
    throw error
  }
}

/**
 * MariaDB prints an xid as the statement has it, without the format where it is 1:
 *
 *   data = part [ ',' part ] [ ',' format ]
 *   part = "'" text "'" | "X'" hexadecimal "'"
 */
function hexOf(data: string): string {
  const parts = data.matchAll(/(X?)'([^']*)'/g)
  return Array.from(parts, ([, isHex, text]) =>
    isHex === '' ? Buffer.from(text!, 'latin1').toString('hex') : text!,
  ).join('')
}

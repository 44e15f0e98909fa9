/** What a crash run must not have done: lose, double or reorder. See judge.ts for the comparisons. */
import type { Log } from '../../core/log/log.ts'
import type { ClickHouse } from '../services/clickhouse.ts'
import type { Receiver } from '../services/webhook-receiver.ts'
import { compare, foldTopic, liveRows, type Bag, type FoldedTopic } from './judge.ts'
import type { CrashSource } from './source.ts'

export interface Parties {
  readonly log: Log
  readonly source: CrashSource
  readonly clickhouse: ClickHouse
  readonly receiver: Receiver
  readonly say: (text: string) => void
}

export interface Verdict {
  lost: number
  doubled: number
  disordered: number
}

export async function judge({ log, source, clickhouse, receiver, say }: Parties): Promise<Verdict> {
  const verdict: Verdict = { lost: 0, doubled: 0, disordered: 0 }
  const check = (what: string, expected: Bag, actual: Bag): void => {
    const { missing, extra, examples } = compare(expected, actual)
    verdict.lost += missing
    verdict.doubled += extra
    if (missing + extra > 0)
      say(`${what}: ${missing} missing, ${extra} extra\n  ${examples.join('\n  ')}`)
  }
  const folded = new Map<string, FoldedTopic>()
  for (const table of source.tables) {
    const topic = `${source.name}.${source.schema}.${table.name}`
    const fold = await foldTopic(log, `crash.source.${source.name}`, topic)
    folded.set(table.name, fold)
    const truth = await source.rows(table)
    check(`log ${table.name}`, truth, fold.rows)
    const disordered = source.disordered?.(table, fold.rows) ?? 0
    verdict.disordered += disordered
    if (disordered > 0) say(`log ${table.name}: ${disordered} out of order`)
    const view = `${table.name}_live`
    if (table.live) check(view, truth, await liveRows(clickhouse, view, table.columns))
  }
  const expected = await source.totals()
  const live = ['kind', 'n', 'amount', 'most'].map((name) => ({ name, kind: 'text' as const }))
  check('totals_live', expected, await liveRows(clickhouse, 'totals_live', live))
  await judgeLedger(clickhouse, folded, verdict, say)
  judgeHooks(receiver, folded.get('accounts')!, verdict, say)
  return verdict
}

/** Every offset of the topic once, none twice. */
async function judgeLedger(
  clickhouse: ClickHouse,
  folded: ReadonlyMap<string, FoldedTopic>,
  verdict: Verdict,
  say: Parties['say'],
): Promise<void> {
  for (const table of ['accounts', 'events']) {
    const [row] = await clickhouse.query(
      `SELECT count() AS n, uniqExact(_sluice_offset) AS distinct FROM ${table}_ledger`,
    )
    const { nextOffset } = folded.get(table)!
    const doubled = Number(row?.['n']) - Number(row?.['distinct'])
    const lost = nextOffset - Number(row?.['distinct'])
    verdict.doubled += doubled
    verdict.lost += lost
    if (doubled + lost !== 0) say(`${table}_ledger: ${lost} missing, ${doubled} doubled`)
  }
}

/** Every change was taken at least once, under one id, and each key's changes first came in order. */
function judgeHooks(
  receiver: Receiver,
  accounts: FoldedTopic,
  verdict: Verdict,
  say: Parties['say'],
): void {
  const first = new Map<number, string>()
  const lastOfKey = new Map<string, number>()
  for (const { id, event } of receiver.taken) {
    const known = first.get(event.offset)
    if (known !== undefined) {
      if (known !== id) verdict.doubled++
      continue
    }
    first.set(event.offset, id)
    const key = JSON.stringify(event.key)
    if ((lastOfKey.get(key) ?? -1) > event.offset) verdict.disordered++
    lastOfKey.set(key, event.offset)
  }
  const missing = accounts.changes.filter(({ offset }) => !first.has(offset)).length
  verdict.lost += missing
  if (missing > 0) say(`webhooks: ${missing} of ${accounts.changes.length} changes never came`)
  if (verdict.disordered > 0) say(`webhooks: ${verdict.disordered} out of order`)
}

/**
 * One crash run: writers on a real Postgres, the real command line killed again and again (at random
 * times and at its failpoints), and at the end a judge. Attacks invariants 1 to 6.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { openLog, type Log } from '../../core/log/log.ts'
import { readHead } from '../../core/log/head.ts'
import { openStore } from '../../core/store/open.ts'
import { startClickHouse, type ClickHouse } from '../services/clickhouse.ts'
import { startPostgres, type PostgresServer } from '../services/postgres.ts'
import { startReceiver, type Received, type Receiver } from '../services/webhook-receiver.ts'
import { tempDir, waitFor } from '../support/env.ts'
import { compare, foldTopic, liveRows, tableRows, type Bag, type FoldedTopic } from './judge.ts'
import { SluiceProcess } from './pipeline.ts'
import { seeded, type Random } from './random.ts'
import { createTables, runWriter } from './workload.ts'

export interface CrashOptions {
  readonly kills: number
  readonly seed: number
  readonly say: (text: string) => void
  /** An S3 server for the log; a local directory when absent. */
  readonly s3?: {
    readonly url: string
    readonly yaml: string
    readonly options: Record<string, unknown>
  }
}

export interface CrashResult {
  readonly kills: number
  readonly rows: number
  readonly lost: number
  readonly doubled: number
  readonly disordered: number
  readonly seed: number
  readonly ok: boolean
}

/** Each durable step; a run dies at one of them every other time. */
export const failpoints = [
  'log.commit.before_create',
  'log.commit.after_create',
  'log.segment.after_put',
  'log.snapshot.after_put',
  'log.fence.after_create',
  'ingest.after_commit',
  'ingest.after_ack',
  'transform.before_commit',
  'transform.after_commit',
  'deliver.after_plan',
  'deliver.before_send',
  'deliver.after_send',
] as const

const secret = `whsec_${Buffer.from('a secret for the crash test only').toString('base64')}`

export async function crashRun(options: CrashOptions): Promise<CrashResult> {
  const random = seeded(options.seed)
  await using postgres = await startPostgres({ settings: { logical_decoding_work_mem: '64kB' } })
  await using clickhouse = await startClickHouse()
  await using receiver = await startReceiver({ secret, behaviour: flaky(random) })
  using folder = tempDir('crash')
  await createTables(postgres)
  const log = options.s3?.yaml ?? '{ url: file://./log }'
  const endpoints = {
    postgres: postgres.url,
    clickhouse: clickhouse.url,
    hook: receiver.url,
    secret,
    log,
  }
  const sluice = new SluiceProcess(folder.path, endpoints)
  const stop = new AbortController()
  const writers = [1, 2, 3].map(async (n) =>
    runWriter(await postgres.client(), options.seed * 10 + n, stop.signal),
  )
  try {
    await killing(sluice, random, options)
    stop.abort()
    const written = await Promise.all(writers)
    sluice.start()
    const url = options.s3?.url ?? `file://${folder.path}/log`
    await using store = openStore(url, options.s3?.options ?? {})
    const opened = await openLog(store, { signal: AbortSignal.timeout(30_000) })
    await settle(opened, postgres, sluice, receiver)
    const end = await sluice.kill('SIGTERM')
    if (end.code !== 0) throw new Error(`SIGTERM ended with ${end.code}`)
    const verdict = await judge({ log: opened, postgres, clickhouse, receiver, say: options.say })
    const rows = written.reduce((sum, count) => sum + count, 0)
    const ok = verdict.lost + verdict.doubled + verdict.disordered === 0
    return { kills: options.kills, rows, ...verdict, seed: options.seed, ok }
  } catch (cause) {
    throw new Error(`crash run with seed ${options.seed} failed; sluice said:\n${sluice.output}`, {
      cause,
    })
  } finally {
    stop.abort()
    await Promise.allSettled(writers)
    await sluice.kill('SIGKILL')
  }
}

/** Now and then the receiver fails, or takes an event and does not answer. */
function flaky(
  random: Random,
): (request: Received) => { status?: number; drop?: 'answerless' } | undefined {
  return () => {
    if (random.chance(0.01)) return { status: 503 }
    return random.chance(0.005) ? { drop: 'answerless' } : undefined
  }
}

async function killing(
  sluice: SluiceProcess,
  random: Random,
  options: CrashOptions,
): Promise<void> {
  for (let kill = 1; kill <= options.kills; kill++) {
    const failpoint = kill % 2 === 0 ? random.pick(failpoints) : null
    sluice.start(failpoint === null ? '' : `${failpoint}=${1 + random.int(4)}`)
    // A failpoint that is not reached in time is a kill at a random time after all.
    const patience = sleep(failpoint === null ? 400 + random.int(2500) : 4000)
    await Promise.race([patience, sluice.ended()])
    const { code } = await sluice.kill('SIGKILL')
    if (code !== null) throw new Error(`sluice ended by itself with exit code ${code}`)
    options.say(`kill ${kill} of ${options.kills}${failpoint === null ? '' : ` at ${failpoint}`}`)
  }
}

/** Waits until the log has everything of the source and the sinks everything of the log. */
async function settle(
  log: Log,
  postgres: PostgresServer,
  sluice: SluiceProcess,
  receiver: Receiver,
): Promise<void> {
  const signal = AbortSignal.timeout(180_000)
  const [now] = await postgres.query<{ lsn: string }>(
    'SELECT pg_current_wal_insert_lsn()::text AS lsn',
  )
  // A last row behind everything else: once it is in the log, all before it is.
  await postgres.query(`INSERT INTO events VALUES ('end', 0)`)
  const reached = async (): Promise<boolean> => {
    if (!sluice.running) throw new Error('sluice ended')
    const source = await readHead(log, 'crash.source.pg', signal)
    const [slot] = await postgres.query<{ behind: boolean }>(
      `SELECT confirmed_flush_lsn <= $1::pg_lsn AS behind FROM pg_replication_slots`,
      [now!.lsn],
    )
    if (source === null || slot === undefined || slot.behind) return false
    for (const sink of ['warehouse', 'ledger', 'hooks']) {
      const head = await readHead(log, `crash.sink.${sink}`, signal)
      const notes = head?.notes as { topics?: Record<string, { done: number }> } | null | undefined
      for (const [topic, { done }] of Object.entries(notes?.topics ?? {})) {
        const chain = topic.startsWith('pg.') ? 'crash.source.pg' : 'crash.transform.totals'
        const end = (await readHead(log, chain, signal))?.topics.get(topic)?.nextOffset
        if (end !== done) return false
      }
      if (Object.keys(notes?.topics ?? {}).length === 0) return false
    }
    return true
  }
  await waitFor('everything to arrive', reached, 180_000)
  const taken = receiver.taken.length
  await sleep(1500)
  if (!(await reached()) || receiver.taken.length !== taken)
    await settle(log, postgres, sluice, receiver)
}

interface Parties {
  readonly log: Log
  readonly postgres: PostgresServer
  readonly clickhouse: ClickHouse
  readonly receiver: Receiver
  readonly say: (text: string) => void
}

interface Verdict {
  lost: number
  doubled: number
  disordered: number
}

const columns = {
  accounts: ['id', 'owner', 'balance', 'note', 'updated_at'],
  items: ['a', 'b', 'qty'],
  events: ['kind', 'amount', 'at'],
} as const

async function judge({ log, postgres, clickhouse, receiver, say }: Parties): Promise<Verdict> {
  const verdict: Verdict = { lost: 0, doubled: 0, disordered: 0 }
  const check = (what: string, expected: Bag, actual: Bag): void => {
    const { missing, extra, examples } = compare(expected, actual)
    verdict.lost += missing
    verdict.doubled += extra
    if (missing + extra > 0)
      say(`${what}: ${missing} missing, ${extra} extra\n  ${examples.join('\n  ')}`)
  }
  const folded = new Map<string, FoldedTopic>()
  for (const [table, names] of Object.entries(columns)) {
    const topic = await foldTopic(log, 'crash.source.pg', `pg.public.${table}`)
    folded.set(table, topic)
    check(`log ${table}`, await tableRows(postgres, table, names), topic.rows)
  }
  const accounts = await tableRows(postgres, 'accounts', columns.accounts)
  const items = await tableRows(postgres, 'items', columns.items)
  const kinds = { balance: 'decimal', updated_at: 'timestamptz' } as const
  const typed = columns.accounts.map((name) => ({
    name,
    kind: (kinds as Record<string, 'decimal' | 'timestamptz'>)[name] ?? ('text' as const),
  }))
  check('accounts_live', accounts, await liveRows(clickhouse, 'accounts_live', typed))
  check(
    'items_live',
    items,
    await liveRows(
      clickhouse,
      'items_live',
      columns.items.map((name) => ({ name, kind: 'text' as const })),
    ),
  )
  const totals = await postgres.query<{ r: string }>(
    `SELECT json_build_array(kind, count(*)::text, sum(amount)::text, max(amount)::text)::text AS r FROM events GROUP BY kind`,
  )
  const expected: Bag = new Map(totals.map(({ r }) => [JSON.stringify(JSON.parse(r)), 1]))
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

/**
 * What the crash tests of retries and replays share: a log whose rows a ClickHouse table in append mode
 * has, but for a few that are dead letters; and a process that is killed while it sends again. The table
 * has forgotten its tokens, so that nothing but the offsets in it says what it holds.
 */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import type { SinkConnector } from '../../core/connector/sink.ts'
import { readHead } from '../../core/log/head.ts'
import { openLog, type Log } from '../../core/log/log.ts'
import { openStore } from '../../core/store/open.ts'
import { makeSchema } from '../../core/record/schema.ts'
import { batchOfKept, keptRow } from '../../core/task/dead-letter-entry.ts'
import type { LetterRow } from '../../core/task/dead-letters.ts'
import { runDeliver } from '../../core/task/deliver.ts'
import { openLetters } from '../../core/task/letter-book.ts'
import { editRow } from '../../core/task/value-edit.ts'
import { clickhouse } from '../../sinks/clickhouse/connector.ts'
import { batchOf } from '../conformance/rows.ts'
import type { ClickHouse } from '../services/clickhouse.ts'
import { killedAt } from '../support/child.ts'
import { waitFor } from '../support/env.ts'
import { lettersOf, notesOf, sinkChain } from '../support/letters.ts'
import { sourceChain, writeTopics } from '../support/scripted-sink.ts'
import { taskContext } from '../support/task-context.ts'
import { whileRunning } from '../support/while-running.ts'

const { signal } = new AbortController()

const schema = makeSchema(
  [
    { name: 'n', type: { kind: 'int64' }, nullable: false },
    { name: 'at', type: { kind: 'timestamp' }, nullable: true },
  ],
  [],
  'append',
)
/** No server has a place for it. */
const never = Infinity

export const rows = 22
export const bad: ReadonlySet<number> = new Set([3, 4, 9, 17])

/** `name=n`: the process is killed when it passes the place for the n-th time. */
export const failpoints = [
  'request.before_accept=1',
  'request.after_accept=1',
  'again.after_plan=1',
  'sink.clickhouse.after_insert=1',
  'sink.clickhouse.after_insert=2',
  'again.after_send=1',
  'again.after_done=1',
  'log.commit.before_create=2',
  'log.commit.after_create=2',
  'log.commit.before_create=3',
  'log.commit.after_create=3',
] as const

/** Delivers topic `s.t` of the log to the table until the signal is aborted. */
export async function deliver(
  log: Log,
  target: { readonly url: string; readonly table: string },
  stop: AbortSignal,
): Promise<void> {
  const config = clickhouse.config.parse({
    url: target.url,
    mode: 'append',
    tables: { 's.t': target.table },
    flush: { rows: 5, interval: '1ms' },
  })
  const connector = clickhouse as unknown as SinkConnector<unknown>
  const task = { connector, config, from: ['s.t'], chains: [sourceChain] }
  await runDeliver(task, taskContext(log, 'k', `test ${process.pid}`), stop)
}

/** Delivers until `until` has seen what it waits for. */
export async function deliverUntil<T>(
  folder: string,
  target: { readonly url: string; readonly table: string },
  until: (log: Log) => Promise<T>,
): Promise<T> {
  // A log of its own each time, as a process has it: it holds no chain that another one took over.
  const log = await openLog(openStore(`file://${folder}`), { signal })
  return whileRunning(
    (stop) => deliver(log, target, stop),
    () => until(log),
  )
}

/** The same in a process that dies of the failpoint. */
export async function deliverAndDie(
  folder: string,
  { url, table }: { readonly url: string; readonly table: string },
  failpoint: string,
): Promise<void> {
  const program = join(import.meta.dirname, 'again-child.ts')
  await killedAt(failpoint, [program, folder, url, table])
}

/** Writes the rows and has them delivered, but for the bad ones. */
export async function prepare(folder: string, server: ClickHouse, table: string): Promise<void> {
  const target = { url: server.url, table }
  await deliverUntil(folder, target, async (log) => {
    const batch = batchOf(
      schema,
      Array.from({ length: rows }, (_, n) => ({ values: { n, at: bad.has(n) ? never : n } })),
    )
    await writeTopics(log, { kind: 'rows', topic: 's.t', batch })
    await waitFor('the rows', async () => (await notesOf(log))?.topics['s.t']?.done === rows)
    assert.equal((await lettersOf(log)).length, bad.size)
  })
  await server.command(
    `ALTER TABLE ${table} MODIFY SETTING non_replicated_deduplication_window = 0`,
  )
  assert.deepEqual(await counts(server, table), [rows - bad.size, rows - bad.size])
}

/** Rows, and offsets among them. */
export async function counts(server: ClickHouse, table: string): Promise<[number, number]> {
  const [row] = await server.query(
    `SELECT count() AS c, uniqExact(_sluice_offset) AS u FROM ${table}`,
  )
  return [Number(row?.['c']), Number(row?.['u'])]
}

/** The letters with a time that the table holds. */
export async function mended(log: Log): Promise<LetterRow[]> {
  const letters = { log, chain: sinkChain, topic: 'k.dead_letters' }
  const edited: LetterRow[] = []
  const head = await readHead(log, sinkChain, signal)
  for await (const { entry, batch, row } of openLetters(letters, head, null, signal)) {
    const changes = new Map([['at', '2026-01-01T00:00:00']])
    const result = editRow(batchOfKept([keptRow(batch, row)!]), changes)
    assert.deepEqual(result.problems, [])
    const { letter, topic, offset, code, message, attempts, firstUs, atUs } = entry
    const common = { letter, topic, offset, code, message, attempts, firstUs, atUs }
    const place = { batch: result.batch!, row: 0 }
    edited.push({ ...common, state: 'open', request: null, row: place })
  }
  return edited
}

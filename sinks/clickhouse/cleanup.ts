/**
 * Removes tombstones that are old enough, on the user's word (`cleanup`), so that no older row lives
 * again:
 *
 *   1  the newest version V among the tombstones to go is written into the table's comment
 *   2  OPTIMIZE … FINAL: of every key with versions up to V only the newest row is left, in one part
 *   3  DELETE of tombstones up to V that are old enough
 *
 * Without 2, a tombstone could go while an older row of its key is still in another part. Rows that
 * come after 1 have higher versions, but for those that are sent once more (`origin`): of them, those up
 * to V are refused from then on. A crash between the steps leaves tombstones, and at most refuses rows
 * that could have been taken.
 *
 * The server's own `OPTIMIZE … FINAL CLEANUP` (allow_experimental_replacing_merge_with_cleanup) looks at
 * no age: it would refuse, or let live again, what is retried a day later.
 */
import { SluiceError, toSluiceError } from '../../core/errors/error.ts'
import { failpoint } from '../../core/errors/failpoint.ts'
import type { ClickHouseConfig } from './config.ts'
import { withMark } from './comment.ts'
import { deleteTombstones, modifyComment, optimizeTable } from './ddl.ts'
import { describeTable } from './describe.ts'
import { qualified } from './identifiers.ts'
import type { TablePlan } from './plan.ts'
import type { Evolution } from './run-ddl.ts'

export type CleanupConfig = NonNullable<ClickHouseConfig['cleanup']>

export interface Round {
  readonly plan: TablePlan
  /** Highest version among the tombstones to go. */
  readonly version: number
  readonly beforeUs: number
}

/** Steps 0 and 1; null when nothing is old enough. Nothing is written into the table meanwhile. */
export async function planRound(
  plan: TablePlan,
  { deleted_after }: CleanupConfig,
  { server, ctx, signal }: Evolution,
): Promise<Round | null> {
  const beforeUs = (ctx.clock.nowMs() - deleted_after) * 1000
  const [found] = await server.query<{ version: string }>(
    `Look for old tombstones in ${plan.table}`,
    `SELECT max(\`_sluice_version\`) AS version FROM ${qualified(server.database, plan.table)}
     WHERE \`_sluice_deleted\` = 1 AND toUnixTimestamp64Micro(\`_sluice_ts\`) < {before:Int64}`,
    { signal, params: { before: beforeUs } },
  )
  const version = Number(found?.version ?? 0)
  if (version === 0) return null
  const table = await describeTable(server, plan.table, signal)
  if (table === null) return null
  const comment = withMark(table.comment, 'gone', version)
  const statement = modifyComment(server.database, plan, comment)
  await server.command(`Mark table ${plan.table}`, statement, { signal })
  failpoint('sink.clickhouse.cleanup_marked')
  return { plan, version, beforeUs }
}

/** The rounds under way, at most one a topic. Each ends with the sink. */
export class Rounds implements AsyncDisposable {
  readonly #running = new Map<string, Running>()

  has(topic: string): boolean {
    return this.#running.has(topic)
  }

  begin(round: Round, evolutionOf: (signal: AbortSignal) => Evolution): void {
    const { topic } = round.plan
    const merging = new AbortController()
    const removing = new AbortController()
    const evolution = evolutionOf(removing.signal)
    const over = runRound(round, merging.signal, evolution).finally(() =>
      this.#running.delete(topic),
    )
    this.#running.set(topic, { merging, removing, over })
  }

  /**
   * Before another table takes the name: tombstones of that one must not go, which was not merged. A
   * merge is left, and a removal waited for, since nobody could tell which table it would find.
   */
  async end(topic: string, signal: AbortSignal): Promise<void> {
    const running = this.#running.get(topic)
    if (running === undefined) return
    const { merging, removing, over } = running
    const stop = (): void => removing.abort()
    merging.abort()
    signal.addEventListener('abort', stop, { once: true })
    await over
    signal.removeEventListener('abort', stop)
    signal.throwIfAborted()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const all = [...this.#running.values()]
    for (const { merging, removing } of all) {
      merging.abort()
      removing.abort()
    }
    await Promise.all(all.map(({ over }) => over))
  }
}

interface Running {
  /** Ends its step 2, and with it the round. */
  readonly merging: AbortController
  /** Ends its step 3. */
  readonly removing: AbortController
  /** Never rejects. */
  readonly over: Promise<void>
}

/** Steps 2 and 3; takes as long as a merge of the whole table. Never rejects. */
async function runRound(
  { plan, version, beforeUs }: Round,
  merging: AbortSignal,
  { server, ctx, signal }: Evolution,
): Promise<void> {
  const { database } = server
  try {
    await server.command(`Merge table ${plan.table}`, optimizeTable(database, plan), {
      signal: merging,
      // Otherwise a merge that could not be done is passed over in silence.
      settings: { optimize_throw_if_noop: 1, alter_sync: plan.replication === null ? '1' : '2' },
    })
    failpoint('sink.clickhouse.cleanup_merged')
    merging.throwIfAborted()
    const statement = deleteTombstones(database, plan, version, beforeUs)
    await server.command(`Remove tombstones of ${plan.table}`, statement, {
      signal,
      settings: { mutations_sync: plan.replication === null ? '1' : '2' },
    })
    ctx.logger.info('tombstones removed', { table: plan.table, version })
  } catch (thrown) {
    if (merging.aborted) return
    // The rows are all there and right; the next round tries again.
    const { code, message, remedy } = toSluiceError(thrown)
    ctx.logger.warn('tombstones not removed', { table: plan.table, code, message, remedy })
  }
}

/** What a row's dead letter says. */
export function cleanedUp(plan: TablePlan, version: number): SluiceError {
  return new SluiceError('sink.clickhouse.cleaned_up', {
    message: `The row is sent once more, and is older than tombstones up to version ${version} that were removed from table ${plan.table}.`,
  })
}

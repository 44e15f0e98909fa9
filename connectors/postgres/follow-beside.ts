/**
 * The change stream with the copy of added tables woven in. Large transactions come whole meanwhile:
 * their rows are sorted by what is committed, and before their commit nobody knows that.
 */
import type { ClientConfig } from 'pg'
import { snapshotBeside } from '../../core/connector/snapshot/beside.ts'
import type { SnapshotProgress } from '../../core/connector/snapshot/progress.ts'
import { position, type Position, type SourceBatch } from '../../core/connector/source.ts'
import type { Context } from '../../core/connector/context.ts'
import type { BesidePlan } from './beside-plan.ts'
import { topicName, type TypeCatalog } from './catalog.ts'
import type { CommitLog } from './commit-log.ts'
import { PostgresSnapshotReader } from './snapshot-reader.ts'

export interface BesideStream {
  /** The stream, until the signal aborts. */
  readonly stream: (signal: AbortSignal) => AsyncIterable<SourceBatch>
  /** Where the stream begins, as it says it. */
  readonly position: Position
  readonly commits: CommitLog
  readonly client: ClientConfig
  readonly publication: string
  readonly types: TypeCatalog
  readonly plan: BesidePlan
  /** By topic: what the configuration says under `resnapshot`. */
  readonly asked: Readonly<Record<string, string>>
  readonly ctx: Context
}

/** Ends, between two transactions, when everything is copied. */
export async function* followBeside(
  options: BesideStream,
  signal: AbortSignal,
): AsyncGenerator<SourceBatch, void, undefined> {
  const { plan, asked, ctx } = options
  await using reader = new PostgresSnapshotReader({
    ...options,
    tables: new Map(plan.tables.map((table) => [topicName(table), table])),
  })
  const woven = snapshotBeside(
    {
      stream: options.stream,
      reader,
      tables: plan.tables.map(topicName),
      asked,
      progress: plan.progress,
      position: options.position,
      join: joiner(),
      ctx,
    },
    signal,
  )
  for await (const batch of woven) {
    yield batch
    if (woven.isDone && batch.position !== null) return
  }
}

/** Adds the progress to a position of the stream, as position.ts writes it; its text is made once. */
function joiner(): (at: Position, progress: SnapshotProgress) => Position {
  let last: SnapshotProgress | null = null
  let text = ''
  return (at, progress) => {
    if (progress !== last) text = `,"beside":${JSON.stringify(progress)}}`
    last = progress
    return position(`${at.slice(0, -1)}${text}`)
  }
}

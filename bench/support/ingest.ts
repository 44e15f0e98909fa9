/**
 * One source into a durable log in this process: connector, ingest, commits with fsync into a new folder,
 * as `sluice run` puts them together, without what else runs beside them there.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { SourceConnector } from '../../core/connector/source.ts'
import { flushPolicy } from '../../core/hub/pipeline-tasks.ts'
import { openLog } from '../../core/log/log.ts'
import { DirectoryStore } from '../../core/store/directory.ts'
import type { TaskContext } from '../../core/task/context.ts'
import { runIngest } from '../../core/task/ingest.ts'
import { benchContext } from './context.ts'

export interface IngestOptions {
  readonly connector: SourceConnector<unknown>
  /** As the connector's schema gives it. */
  readonly config: unknown
  readonly rows: number
  /** Where the clock starts: at the start of the task, preflight included, or where the stream is asked for. */
  readonly from: 'start' | 'stream'
}

/** Seconds until `rows` rows are in commits in the folder, without the probe of a store used for the first time. */
export async function ingestSeconds({
  connector,
  config,
  rows,
  from,
}: IngestOptions): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-bench-'))
  const stop = new AbortController()
  let startMs = 0
  let endMs = 0
  let durable = 0
  try {
    const log = await openLog(new DirectoryStore(join(folder, 'log')), { signal: stop.signal })
    const ctx: TaskContext = {
      ...benchContext(),
      report: ({ state }) => {
        if (state === 'running' && startMs === 0) startMs = performance.now()
      },
      log,
      writer: 'bench',
      progress: (count) => {
        durable += count
        if (durable < rows || endMs !== 0) return
        endMs = performance.now()
        stop.abort()
      },
      trouble: () => {},
    }
    const task = {
      connector,
      config,
      flush: flushPolicy(log.store.url, null),
      openBytesMax: 32 << 20,
      stateDir: join(folder, 'state'),
    }
    if (from === 'start') startMs = performance.now()
    await runIngest(task, ctx, stop.signal)
  } catch (error) {
    // A copy that is cut off says so.
    if (!stop.signal.aborted) throw error
  } finally {
    rmSync(folder, { recursive: true, force: true })
    // The peak is to be that of one pipeline: the log of this round, with its cache, is not part of the next.
    globalThis.gc?.()
  }
  if (durable < rows) throw new Error(`only ${durable} of ${rows} rows became durable`)
  return (endMs - startMs) / 1000
}

/** From a checked pipeline to the tasks that run it: who reads what, from which chain. */
import type { LetterBudget } from '../connector/letter-budget.ts'
import type { SchemaPolicy } from '../connector/schema-policy.ts'
import type { SinkConnector } from '../connector/sink.ts'
import type { SourceConnector } from '../connector/source.ts'
import { readHead } from '../log/head.ts'
import type { Log } from '../log/log.ts'
import type { ParsedQuery } from '../sql/parse/parse.ts'
import { resolveTopic, tablesOf } from '../sql/plan/topics.ts'
import { isPaidFor } from '../store/store.ts'
import type { FlushPolicy, TaskContext } from '../task/context.ts'
import { runDeliver } from '../task/deliver.ts'
import { runIngest } from '../task/ingest.ts'
import { sideTopics, type IsSide } from '../task/from.ts'
import { chainName } from '../task/names.ts'
import { pollPauses } from '../task/poll.ts'
import { runTransform } from '../task/transform.ts'
import { aborted, timeoutOr } from '../task/wait.ts'
import type { HubTask } from './hub.ts'

export interface PipelineParts {
  readonly name: string
  readonly sources: readonly {
    readonly name: string
    readonly connector: SourceConnector<unknown>
    readonly config: unknown
  }[]
  readonly transforms: readonly {
    readonly name: string
    readonly sql: string
    readonly query: ParsedQuery
  }[]
  readonly sinks: readonly {
    readonly name: string
    readonly connector: SinkConnector<unknown>
    readonly config: unknown
    readonly from: readonly string[]
    readonly onSchemaChange?: SchemaPolicy
    readonly deadLetters?: LetterBudget
  }[]
}

export interface RunSettings {
  readonly flush: FlushPolicy
  /** Folder for what can be rebuilt from the log, one subfolder a task. */
  readonly stateDir: string
}

/** Memory for rows of source transactions that have not ended; above it they go to the store. */
const openBytesMax = 32 << 20

/** A source announces its topics one after the other; a name still unknown after this is an error. */
const announceMsMax = 10_000

/**
 * 20 ms suits a local disk, 250 ms an object store that is paid per request and is asked less often when it
 * is slow. To wait for a disk that is slow helps nobody: the commit after is ready when the one before is.
 */
export function flushPolicy(storeUrl: string, flushMs: number | null): FlushPolicy {
  const local = !isPaidFor(storeUrl)
  const intervalMs = flushMs ?? (local ? 20 : 250)
  return { bytesMax: 4 << 20, intervalMs, intervalMsMax: Math.max(intervalMs, local ? 0 : 5000) }
}

export function pipelineTasks(pipeline: PipelineParts, settings: RunSettings): HubTask[] {
  const { name, sources, transforms, sinks } = pipeline
  const inputChains = [
    ...sources.map((source) => chainName(name, 'ingest', source.name)),
    ...transforms.map((transform) => chainName(name, 'transform', transform.name)),
  ]
  const isSide = sideTopics({ sources, sinks: sinks.map((sink) => sink.name) })
  const { flush, stateDir } = settings
  const tasks: HubTask[] = []
  for (const { name: source, connector, config } of sources) {
    const folder = `${stateDir}/${chainName(name, 'ingest', source)}`
    const task = { connector, config, flush, openBytesMax, stateDir: folder }
    tasks.push({ kind: 'ingest', name: source, run: (ctx, signal) => runIngest(task, ctx, signal) })
  }
  for (const { name: transform, sql, query } of transforms) {
    const run: HubTask['run'] = async (ctx, signal) => {
      const chains = inputChains.filter(
        (chain) => chain !== chainName(name, 'transform', transform),
      )
      const inputs = await findInputs(query, { chains, isSide }, ctx, signal)
      if (inputs !== null) await runTransform({ query, sql, inputs, flush }, ctx, signal)
    }
    tasks.push({ kind: 'transform', name: transform, run })
  }
  for (const { name: sink, ...given } of sinks) {
    // What another sink writes of its own work are topics too, on its own chain.
    const beside = sinks.flatMap(({ name: other }) =>
      other !== sink && given.from.some((entry) => entry.startsWith(`${other}.`))
        ? [chainName(name, 'deliver', other)]
        : [],
    )
    const task = { ...given, chains: [...inputChains, ...beside], isSide }
    tasks.push({ kind: 'deliver', name: sink, run: (ctx, signal) => runDeliver(task, ctx, signal) })
  }
  return tasks
}

/**
 * The topics a query's tables mean, with their chains. Which topics there are is known once their
 * sources have announced them, so this waits; null when aborted first. A name that means nothing, or
 * more than one topic, is an error once every chain has said what it has.
 */
async function findInputs(
  query: ParsedQuery,
  { chains, isSide }: { readonly chains: readonly string[]; readonly isSide: IsSide },
  ctx: TaskContext,
  signal: AbortSignal,
): Promise<{ topic: string; chain: string }[] | null> {
  ctx.report({ state: 'starting', detail: 'waiting for its input topics' })
  const tables = tablesOf(query).map((table) => table.name)
  const full = new Set(tables.map((name) => name.join('.')))
  const givesUpMs = ctx.clock.nowMs() + announceMsMax
  const pauses = pollPauses(ctx.log.store.url)
  for (;;) {
    const { topics, complete } = await announcedTopics(
      ctx.log,
      chains,
      (topic) => full.has(topic) || !isSide(topic),
      signal,
    )
    try {
      const names = new Set(tables.map((name) => resolveTopic(name, [...topics.keys()])))
      return [...names].map((topic) => ({ topic, chain: topics.get(topic)! }))
    } catch (error) {
      if (complete && ctx.clock.nowMs() > givesUpMs) throw error
    }
    await timeoutOr(ctx.clock, pauses.next().value, [aborted(signal)])
    if (signal.aborted) return null
  }
}

async function announcedTopics(
  log: Log,
  chains: readonly string[],
  mayBeMeant: (topic: string) => boolean,
  signal: AbortSignal,
): Promise<{ readonly topics: ReadonlyMap<string, string>; readonly complete: boolean }> {
  const topics = new Map<string, string>()
  let complete = true
  for (const chain of chains) {
    const head = await readHead(log, chain, signal)
    const names = [...(head?.topics.keys() ?? [])].filter(mayBeMeant)
    if (names.length === 0) complete = false
    for (const name of names) topics.set(name, chain)
  }
  return { topics, complete }
}

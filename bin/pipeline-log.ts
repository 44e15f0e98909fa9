/**
 * The log of a pipeline file, for commands that look into it beside whatever is running, and the topics
 * it holds. Only the log matters to them: a sink that lacks its password must not keep anyone from
 * looking.
 */
import type { PipelineOutline } from '../config/pipeline.ts'
import type { ConfigProblem } from '../config/problem.ts'
import { loadPipeline } from '../config/load.ts'
import { didYouMean } from '../core/connector/nearest.ts'
import { isAbort } from '../core/errors/error.ts'
import { readHead, type LocateAt } from '../core/log/head.ts'
import { openLog, type Log } from '../core/log/log.ts'
import type { TopicHead } from '../core/log/types.ts'
import { chainName } from '../core/task/names.ts'
import { storeOf } from './open-log.ts'
import { codeOf, exitCode, printError, printProblems, type ExitCode } from './output.ts'
import { stopOnSignals } from './signals.ts'

export interface OpenedLog {
  readonly file: string
  readonly outline: PipelineOutline
  /** Of the whole file; references without a value are warnings. */
  readonly problems: readonly ConfigProblem[]
  /** The pipeline's. */
  readonly name: string
  readonly log: Log
  /** SIGINT and SIGTERM. */
  readonly signal: AbortSignal
}

/** Opens the log, and closes it when `use` is done. An abort by a signal is a good end. */
export async function withLog(
  file: string,
  use: (opened: OpenedLog) => Promise<ExitCode>,
): Promise<ExitCode> {
  const { outline, problems } = await loadPipeline(file, { env: process.env, offline: true })
  if (outline?.log == null || outline.name === null) {
    return refuse(problems, ['', 'log', 'name'])
  }
  using stop = stopOnSignals(() => {})
  await using store = storeOf(outline.log)
  // Opening a log that is not there would create it.
  if ((await store.get('format.json', stop.signal)) === null) {
    printError(`there is no log at ${outline.log.url} yet: \`sluice run ${file}\` creates it`)
    return exitCode.environment
  }
  const log = await openLog(store, { signal: stop.signal })
  try {
    return await use({ file, outline, problems, name: outline.name, log, signal: stop.signal })
  } catch (error) {
    if (!stop.signal.aborted || !isAbort(error)) throw error
    return exitCode.ok
  }
}

/**
 * Prints what keeps a command from the parts of the file that it needs, the values that they lack as
 * errors. What is wrong elsewhere does not keep it, and is shown only where nothing else is found.
 */
export function refuse(problems: readonly ConfigProblem[], parts: readonly string[]): ExitCode {
  const found = problemsAt(problems, parts)
  const shown = found.length > 0 ? found : problems
  printProblems(shown)
  const code = codeOf(shown)
  return code === exitCode.ok ? exitCode.environment : code
}

/** Problems at or under the places, as errors; '' = the file as a whole. */
export function problemsAt(
  problems: readonly ConfigProblem[],
  parts: readonly string[],
): readonly ConfigProblem[] {
  return problems
    .filter(({ path }) => parts.some((part) => path === part || path.startsWith(`${part}.`)))
    .map((problem) => ({
      ...problem,
      severity: problem.code === 'config.unresolved' ? 'error' : problem.severity,
    }))
}

export interface FoundTopic {
  readonly chain: string
  readonly head: TopicHead
}

/** Every topic that any chain of the pipeline has announced. */
export async function topicsOf({
  name,
  outline,
  log,
  signal,
}: OpenedLog): Promise<ReadonlyMap<string, FoundTopic>> {
  const { sources, transforms, sinks } = outline
  const chains = [
    ...sources.map((source) => chainName(name, 'ingest', source)),
    ...transforms.map((transform) => chainName(name, 'transform', transform.name)),
    ...sinks.map((sink) => chainName(name, 'deliver', sink)),
  ]
  const found = new Map<string, FoundTopic>()
  for (const chain of chains) {
    const head = await readHead(log, chain, signal)
    for (const [topic, topicHead] of head?.topics ?? []) {
      found.set(topic, { chain, head: topicHead })
    }
  }
  return found
}

/** The topic of that name, in full or its last part; or why there is none. */
export function findTopic(
  wanted: string,
  topics: readonly string[],
): string | { readonly problem: string } {
  if (topics.includes(wanted)) return wanted
  const candidates = topics.filter((topic) => topic.endsWith(`.${wanted}`))
  if (candidates.length === 1) return candidates[0]!
  if (candidates.length > 1) {
    return { problem: `"${wanted}" could be ${candidates.join(' or ')}: write the full name` }
  }
  const hint = didYouMean(wanted, topics)
  const list = topics.length === 0 ? 'it is empty so far' : `it has: ${topics.join(', ')}`
  return { problem: `the log has no topic "${wanted}"; ${hint ?? list}` }
}

export const placeForms = 'start, end, offset:N or time:2026-01-31T12:00:00Z'

/** A place in a topic as people write it; null when it is none. */
export function parsePlace(text: string): LocateAt | null {
  if (text === 'start' || text === 'end') return text
  const offset = /^offset:(\d{1,15})$/.exec(text)?.[1]
  if (offset !== undefined) return { offset: Number(offset) }
  const time = /^time:(.+)$/.exec(text)?.[1]
  const timeMs = time === undefined ? Number.NaN : Date.parse(time)
  return Number.isNaN(timeMs) ? null : { timeUs: timeMs * 1000 }
}

/**
 * `sluice tap`: rows of a topic straight from the log. It takes nothing over and registers nowhere, so
 * it may run beside the pipeline, or without it.
 */
import type { PipelineOutline } from '../../config/pipeline.ts'
import { loadPipeline } from '../../config/load.ts'
import { didYouMean } from '../../core/connector/nearest.ts'
import { isAbort } from '../../core/errors/error.ts'
import { locate, readHead, type LocateAt } from '../../core/log/head.ts'
import { openLog, type Log } from '../../core/log/log.ts'
import { ChainReader } from '../../core/log/reader.ts'
import type { TopicHead } from '../../core/log/types.ts'
import { chainName } from '../../core/task/names.ts'
import { storeOf } from '../open-log.ts'
import {
  codeOf,
  count,
  exitCode,
  print,
  printError,
  printProblems,
  type ExitCode,
} from '../output.ts'
import { stopOnSignals } from '../signals.ts'
import { rowPrinter, type RowPrinter, type TapFormat } from '../tap-format.ts'

export interface TapOptions {
  readonly from: string
  readonly limit?: number
  readonly follow: boolean
  readonly format: TapFormat
}

export async function tap(
  file: string,
  wanted: string | null,
  options: TapOptions,
): Promise<ExitCode> {
  const place = parsePlace(options.from)
  if (place === null) {
    printError(`"${options.from}" is no place: start, end, offset:N or time:2026-01-31T12:00:00Z`)
    return exitCode.invalid
  }
  const { outline, problems } = await loadPipeline(file, { env: process.env, offline: true })
  // Only the log matters here: a sink that lacks its password must not keep anyone from looking.
  if (outline?.log == null || outline.name === null) {
    printProblems(problems)
    return codeOf(problems) === exitCode.ok ? exitCode.environment : codeOf(problems)
  }
  using stop = stopOnSignals(() => {})
  await using store = storeOf(outline.log)
  // Opening a log that is not there would create it.
  if ((await store.get('format.json', stop.signal)) === null) {
    printError(`there is no log at ${outline.log.url} yet: \`sluice run ${file}\` creates it`)
    return exitCode.environment
  }
  const log = await openLog(store, { signal: stop.signal })
  const topics = await topicsOf(outline, log, stop.signal)
  if (wanted === null) return listTopics(topics, options.format)
  const found = findTopic(wanted, [...topics.keys()])
  if (typeof found !== 'string') {
    printError(found.problem)
    return exitCode.invalid
  }
  const printer = rowPrinter(found, options.format)
  try {
    const { chain } = topics.get(found)!
    await follow({ log, chain, topic: found, place, printer }, options, stop.signal)
  } catch (error) {
    if (!stop.signal.aborted || !isAbort(error)) throw error
  } finally {
    printer.end()
  }
  return exitCode.ok
}

interface Tapped {
  readonly log: Log
  readonly chain: string
  readonly topic: string
  readonly place: LocateAt
  readonly printer: RowPrinter
}

async function follow(
  { log, chain, topic, place, printer }: Tapped,
  options: TapOptions,
  signal: AbortSignal,
): Promise<void> {
  let left = options.limit ?? Infinity
  const start = await locate(log, chain, topic, place, signal)
  await using reader = ChainReader.open(log, chain, start.seq)
  while (left > 0 && !signal.aborted) {
    const commit = options.follow ? await reader.next(signal) : await reader.tryNext(signal)
    if (commit === null) return
    for (const [index, block] of commit.blocks.entries()) {
      if (block.topic !== topic || left <= 0) continue
      const skip = Math.max(0, start.offset - block.baseOffset)
      if (skip >= block.rows) continue
      const batch = await reader.readBlock(commit, index, signal)
      if (batch === null) printer.truncate(block.baseOffset)
      else printer.rows(batch, block.baseOffset, skip, Math.min(block.rows, skip + left))
      left -= block.rows - skip
    }
  }
}

interface FoundTopic {
  readonly chain: string
  readonly head: TopicHead
}

/** Every topic that any chain of the pipeline has announced. */
async function topicsOf(
  { name, sources, transforms, sinks }: PipelineOutline,
  log: Log,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, FoundTopic>> {
  const chains = [
    ...sources.map((source) => chainName(name ?? '', 'ingest', source)),
    ...transforms.map((transform) => chainName(name ?? '', 'transform', transform.name)),
    ...sinks.map((sink) => chainName(name ?? '', 'deliver', sink)),
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

function findTopic(wanted: string, topics: readonly string[]): string | { problem: string } {
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

function listTopics(topics: ReadonlyMap<string, FoundTopic>, format: TapFormat): ExitCode {
  const rows = [...topics].map(([topic, { chain, head }]) => ({
    topic,
    chain,
    nextOffset: head.nextOffset,
    columns: head.schemas.at(-1)?.fields.map((field) => field.name) ?? [],
  }))
  if (format === 'json') print(JSON.stringify(rows, null, 2))
  else if (format === 'jsonl') for (const row of rows) print(JSON.stringify(row))
  else {
    for (const { topic, nextOffset, columns } of rows) {
      print(`${topic}  ${count(nextOffset, 'offset')}  ${columns.join(', ')}`)
    }
    if (rows.length === 0) print('the log has no topics yet')
  }
  return exitCode.ok
}

function parsePlace(text: string): LocateAt | null {
  if (text === 'start' || text === 'end') return text
  const offset = /^offset:(\d{1,15})$/.exec(text)?.[1]
  if (offset !== undefined) return { offset: Number(offset) }
  const time = /^time:(.+)$/.exec(text)?.[1]
  const timeMs = time === undefined ? Number.NaN : Date.parse(time)
  return Number.isNaN(timeMs) ? null : { timeUs: timeMs * 1000 }
}

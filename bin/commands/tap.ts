/**
 * `sluice tap`: rows of a topic straight from the log. It takes nothing over and registers nowhere, so
 * it may run beside the pipeline, or without it.
 */
import { locate, type LocateAt } from '../../core/log/head.ts'
import type { Log } from '../../core/log/log.ts'
import { ChainReader } from '../../core/log/reader.ts'
import { count, exitCode, print, printError, type ExitCode } from '../output.ts'
import {
  findTopic,
  parsePlace,
  placeForms,
  topicsOf,
  withLog,
  type FoundTopic,
} from '../pipeline-log.ts'
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
    printError(`"${options.from}" is no place: ${placeForms}`)
    return exitCode.invalid
  }
  return withLog(file, async (opened) => {
    const topics = await topicsOf(opened)
    if (wanted === null) return listTopics(topics, options.format)
    const found = findTopic(wanted, [...topics.keys()])
    if (typeof found !== 'string') {
      printError(found.problem)
      return exitCode.invalid
    }
    const printer = rowPrinter(found, options.format)
    try {
      const { chain } = topics.get(found)!
      const { log, signal } = opened
      await follow({ log, chain, topic: found, place, printer }, options, signal)
    } finally {
      printer.end()
    }
    return exitCode.ok
  })
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

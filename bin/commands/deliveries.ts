/**
 * `sluice deliveries`: what came of the attempts of sinks that keep a log of them (`delivery_log` of a
 * webhook), the newest first. Reads the log only; the pipeline may run beside it, or not.
 */
import { parseDuration } from '../../core/connector/duration.ts'
import { readHead } from '../../core/log/head.ts'
import { ChainReader } from '../../core/log/reader.ts'
import type { Batch } from '../../core/record/batch.ts'
import { jsonRows } from '../../core/record/json.ts'
import { numberAt, textAt } from '../../core/record/value.ts'
import { chainName, deliveriesTopic } from '../../core/task/names.ts'
import { printItems, printTable, time, type LetterFormat } from '../letter-format.ts'
import { exitCode, printError, type ExitCode } from '../output.ts'
import { withLog, type OpenedLog } from '../pipeline-log.ts'

export interface DeliveriesOptions {
  readonly sink?: string
  /** Part of the endpoint's name. */
  readonly endpoint?: string
  /** `500`, `5xx`, or `none` for attempts without an answer. */
  readonly status?: string
  readonly outcome?: string
  readonly topic?: string
  /** `10m`, or a time. */
  readonly since?: string
  /** A webhook-id. */
  readonly id?: string
  readonly limit: number
  readonly format: LetterFormat
}

interface Found {
  readonly atUs: number
  readonly json: string
  readonly cells: readonly string[]
}

/** Commits read ahead of those at the end, doubled until there is enough. */
const firstSpan = 256
const shown = [
  'at',
  'endpoint',
  'status',
  'outcome',
  'attempt',
  'ms',
  'webhook_id',
  'error',
] as const

export async function deliveries(file: string, options: DeliveriesOptions): Promise<ExitCode> {
  if (options.status !== undefined && !/^(?:\d{3}|[1-5]xx|none)$/.test(options.status)) {
    printError(`"${options.status}" is no status: 500, 5xx, or none for no answer`)
    return exitCode.invalid
  }
  return withLog(file, async (opened) => {
    const { log, outline } = opened
    const sinceMs = options.since === undefined ? -Infinity : timeOf(options.since, log.nowMs())
    if (Number.isNaN(sinceMs)) {
      printError(`"${options.since ?? ''}" is no time: 10m, 2h, or 2026-01-31T12:00:00Z`)
      return exitCode.invalid
    }
    const sinks = options.sink === undefined ? outline.sinks : [options.sink]
    if (options.sink !== undefined && !outline.sinks.includes(options.sink)) {
      printError(`there is no sink "${options.sink}"; there are: ${outline.sinks.join(', ')}`)
      return exitCode.invalid
    }
    const found: Found[] = []
    for (const sink of sinks) found.push(...(await search(opened, sink, sinceMs, options)))
    const newest = found.toSorted((a, b) => b.atUs - a.atUs)
    print(newest.slice(0, options.limit), options.format)
    return exitCode.ok
  })
}

function print(rows: readonly Found[], format: LetterFormat): void {
  if (format === 'table') {
    if (rows.length === 0)
      printError('no attempt matches (without `delivery_log: all` there are failures only)')
    // An id is for --id, and to be looked for at the receiver.
    printTable(
      shown,
      rows.map(({ cells }) => cells),
      ['webhook_id'],
    )
  } else
    printItems(
      format,
      rows.map(({ json }) => json),
    )
}

function timeOf(text: string, nowMs: number): number {
  const ms = parseDuration(text)
  return ms === null ? Date.parse(text) : nowMs - ms
}

/** The newest rows of a sink that pass, from the end back in growing steps. */
async function search(
  { log, name, signal }: OpenedLog,
  sink: string,
  sinceMs: number,
  options: DeliveriesOptions,
): Promise<Found[]> {
  const chain = chainName(name, 'deliver', sink)
  const head = await readHead(log, chain, signal)
  const topic = deliveriesTopic(sink)
  if (head === null || !head.topics.has(topic)) return []
  const found: Found[] = []
  let end = head.seq + 1
  for (let span = firstSpan; end > 1 && found.length < options.limit; span *= 2) {
    const start = Math.max(1, end - span)
    const part: Found[] = []
    let oldestMs = Infinity
    await using reader = ChainReader.open(log, chain, start)
    while (reader.seq < end) {
      const commit = await reader.tryNext(signal)
      if (commit === null) break
      oldestMs = Math.min(oldestMs, commit.timeMs)
      for (const [index, block] of commit.blocks.entries()) {
        if (block.topic !== topic || block.rows === 0) continue
        const batch = await reader.readBlock(commit, index, signal)
        if (batch !== null) part.push(...passing(batch, sinceMs, options))
      }
    }
    found.unshift(...part)
    end = start
    // A row is at most as old as the commit that has it.
    if (oldestMs < sinceMs) break
  }
  return found
}

function passing(batch: Batch, sinceMs: number, options: DeliveriesOptions): Found[] {
  const json = jsonRows(batch)
  const found: Found[] = []
  for (let row = 0; row < batch.rows; row++) {
    const value = (name: string): string | null => {
      const index = batch.schema.fields.findIndex((field) => field.name === name)
      return textAt(batch.schema.fields[index]!.type, batch.columns[index]!, row)
    }
    const atUs = Number(numberAt(batch.columns[0]!, row))
    if (atUs / 1000 < sinceMs || !passes(value, options)) continue
    const [, ...cells] = shown.map((name) => value(name) ?? '')
    found.push({ atUs, json: json(row), cells: [time(atUs), ...cells] })
  }
  return found
}

function passes(value: (name: string) => string | null, options: DeliveriesOptions): boolean {
  const { endpoint, status, outcome, topic, id } = options
  if (endpoint !== undefined && !(value('endpoint') ?? '').includes(endpoint)) return false
  if (outcome !== undefined && value('outcome') !== outcome) return false
  if (topic !== undefined && value('topic') !== topic) return false
  if (id !== undefined && value('webhook_id') !== id) return false
  if (status === undefined) return true
  const seen = value('status')
  if (status === 'none') return seen === null
  return status.endsWith('xx') ? seen?.[0] === status[0] : seen === status
}

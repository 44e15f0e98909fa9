/**
 * `sluice replay`: has a sink get a stretch of the log once more. The sink's task does it beside the
 * live rows, in bounded memory, and goes on where it was after any restart.
 */
import { SluiceError } from '../../core/errors/error.ts'
import { locate, readHead, type LocateAt } from '../../core/log/head.ts'
import type { DeliveryNotes } from '../../core/task/delivery-log.ts'
import { chainName } from '../../core/task/names.ts'
import { RowFilter } from '../../core/task/row-filter.ts'
import { ask, followAll, type Asked } from '../ask.ts'
import { tasksOf, WrongArgument } from '../letter-filter.ts'
import { count, exitCode, print, printError, type ExitCode } from '../output.ts'
import {
  findTopic,
  parsePlace,
  placeForms,
  topicsOf,
  type FoundTopic,
  type OpenedLog,
} from '../pipeline-log.ts'
import { onLetters } from './dlq.ts'

export interface ReplayOptions {
  readonly sink: string
  readonly topic?: string
  readonly from?: string
  readonly to: string
  readonly where?: string
  readonly follow: boolean
  readonly cancel?: number
}

export function replay(file: string, options: ReplayOptions): Promise<ExitCode> {
  return onLetters(file, async (opened) => {
    tasksOf(opened, { sink: options.sink })
    if (options.cancel !== undefined) return cancel(opened, options, options.cancel)
    const asked: Asked[] = []
    for (const range of await rangesOf(opened, options)) {
      const { topic, from, to } = range
      if (to <= from) {
        print(`${topic}: no row lies between these places`)
        continue
      }
      const body = { kind: 'replay', topic, from, to, where: options.where ?? null } as const
      const one = await ask(opened, { kind: 'deliver', name: options.sink }, body)
      print(
        `${options.sink}: request ${one.request.number} for ${count(to - from, 'offset')} of ${topic}, ${from} to ${to}`,
      )
      asked.push(one)
    }
    if (options.follow) return followAll(opened, asked)
    if (asked.length > 0)
      printError(
        `a running pipeline does it, one that is not at its next start; see \`sluice dlq requests ${file}\`, end it with --cancel`,
      )
    return exitCode.ok
  })
}

export async function cancel(
  opened: OpenedLog,
  { sink, follow }: Pick<ReplayOptions, 'sink' | 'follow'>,
  request: number,
): Promise<ExitCode> {
  const one = await ask(opened, { kind: 'deliver', name: sink }, { kind: 'cancel', request })
  print(`${sink}: request ${one.request.number} to end request ${request}`)
  return follow ? followAll(opened, [one]) : exitCode.ok
}

interface Range {
  readonly topic: string
  readonly from: number
  readonly to: number
}

async function rangesOf(opened: OpenedLog, options: ReplayOptions): Promise<Range[]> {
  const from = placeOf(options.from, '--from')
  const to = placeOf(options.to, '--to')
  const topics = await topicsOf(opened)
  const wanted = await delivered(opened, options, topics)
  const byOffset = [from, to].some((place) => typeof place === 'object' && 'offset' in place)
  if (byOffset && wanted.length > 1)
    throw new WrongArgument(
      `an offset is a place in one topic: name it with --topic (${wanted.join(', ')})`,
    )
  const filter = options.where === undefined ? null : await RowFilter.parse(options.where)
  const ranges: Range[] = []
  for (const topic of wanted) {
    const { chain, head } = topics.get(topic)!
    const schema = head.schemas.at(-1)
    if (schema !== undefined) filter?.check(schema)
    const places = []
    for (const place of [from, to]) places.push(await offsetOf(opened, topic, chain, place))
    ranges.push({ topic, from: places[0]!, to: places[1]! })
  }
  return ranges
}

export async function offsetOf(
  { log, signal }: OpenedLog,
  topic: string,
  chain: string,
  place: LocateAt,
): Promise<number> {
  try {
    return (await locate(log, chain, topic, place, signal)).offset
  } catch (error) {
    const unknown = error instanceof SluiceError && error.code === 'log.offset_unknown'
    throw unknown ? new WrongArgument(error.message) : error
  }
}

/** The topics that the sink has been given, or the one named. */
export async function delivered(
  { log, name, signal }: OpenedLog,
  { sink, topic }: Pick<ReplayOptions, 'sink' | 'topic'>,
  topics: ReadonlyMap<string, FoundTopic>,
): Promise<readonly string[]> {
  const head = await readHead(log, chainName(name, 'deliver', sink), signal)
  const notes = head?.notes as DeliveryNotes | null | undefined
  const known = Object.keys(notes?.topics ?? {}).filter((found) => topics.has(found))
  if (known.length === 0) throw new WrongArgument(`sink ${sink} has not been given any row yet`)
  if (topic === undefined) return known
  const found = findTopic(topic, known)
  if (typeof found === 'string') return [found]
  throw new WrongArgument(`sink ${sink} gets ${known.join(', ')}, and not "${topic}"`)
}

export function placeOf(text: string | undefined, option: string): LocateAt {
  if (text === undefined) throw new WrongArgument(`${option} is missing: ${placeForms}`)
  const place = parsePlace(text)
  if (place === null) throw new WrongArgument(`"${text}" is no place: ${placeForms}`)
  return place
}

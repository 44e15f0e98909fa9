/**
 * Which dead letters a command means: those named, or those that pass every filter given. What is
 * wrong with a filter is said before anything is done.
 */
import { parseDuration } from '../core/connector/duration.ts'
import { didYouMean } from '../core/connector/nearest.ts'
import { codes } from '../core/errors/codes.ts'
import { optional, RecordTable } from '../core/record/records.ts'
import {
  letterTopicOf,
  listLetters,
  type LetterTask,
  type ListedLetter,
} from '../core/task/letter-list.ts'
import { RowFilter } from '../core/task/row-filter.ts'
import { count, printError } from './output.ts'
import type { OpenedLog } from './pipeline-log.ts'

export interface LetterOptions {
  /** Only letters of this sink, or of this task. */
  readonly sink?: string
  readonly task?: string
  readonly topic?: string
  readonly code?: string
  readonly key?: string
  readonly where?: string
  readonly since?: string
  readonly until?: string
  readonly limit?: number
}

/** A wrong argument, in words for its user. */
export class WrongArgument extends Error {}

export interface FoundLetters {
  /** The newest first. */
  readonly chosen: readonly ListedLetter[]
  /** All of the tasks looked at, chosen or not. */
  readonly all: readonly ListedLetter[]
}

type Passes = (letter: ListedLetter) => boolean

/**
 * `named`: letters as `task:number`. `open`: those that wait for somebody; `listed`: also those that
 * are tried again by themselves; `all`: also those that are over. Throws WrongArgument.
 */
export async function findLetters(
  opened: OpenedLog,
  named: readonly string[],
  options: LetterOptions,
  wanted: 'open' | 'listed' | 'all',
): Promise<FoundLetters> {
  const tasks = tasksOf(opened, options)
  const numbers = numbersOf(named, tasks)
  const passes = filtersOf(options, opened.log.nowMs())
  const all: ListedLetter[] = []
  const waiting: ListedLetter[] = []
  for (const task of tasks) {
    if (numbers !== null && !numbers.has(task.name)) continue
    const topic = letterTopicOf(opened.log, opened.name, task)
    for await (const letter of listLetters(topic, task, wanted === 'all', opened.signal)) {
      const skipped = wanted === 'open' && letter.entry.state !== 'open'
      ;(skipped ? waiting : all).push(letter)
    }
  }
  const plain = all.filter(
    (letter) =>
      (numbers === null || numbers.get(letter.task.name)?.has(letter.entry.letter) === true) &&
      passes.every((pass) => pass(letter)),
  )
  checkAllFound(numbers, plain, waiting)
  checkCode(options.code, all)
  const matching = options.where === undefined ? plain : await whereMatches(options.where, plain)
  const newest = matching.toSorted((a, b) => b.entry.atUs - a.entry.atUs)
  return { chosen: newest.slice(0, options.limit ?? newest.length), all }
}

export function tasksOf({ outline }: OpenedLog, { sink, task }: LetterOptions): LetterTask[] {
  const tasks: LetterTask[] = [
    ...outline.sinks.map((name) => ({ kind: 'deliver', name }) as const),
    ...outline.transforms.map(({ name }) => ({ kind: 'transform', name }) as const),
    ...outline.sources.map((name) => ({ kind: 'ingest', name }) as const),
  ]
  const wanted = sink ?? task
  if (wanted === undefined) return tasks
  const found = tasks.filter(
    ({ kind, name }) => name === wanted && (sink === undefined || kind === 'deliver'),
  )
  if (found.length > 0) return found
  const names = tasks.map(({ name }) => name).join(', ')
  throw new WrongArgument(
    `there is no ${sink === undefined ? 'task' : 'sink'} "${wanted}"; there are ${names}`,
  )
}

/** By task; null when none are named. */
function numbersOf(
  named: readonly string[],
  tasks: readonly LetterTask[],
): ReadonlyMap<string, ReadonlySet<number>> | null {
  if (named.length === 0) return null
  const numbers = new Map<string, Set<number>>()
  for (const text of named) {
    const match = /^(?:([a-z][a-z0-9_]*):)?(\d{1,15})$/.exec(text)
    if (match === null)
      throw new WrongArgument(`"${text}" is no letter: write task:number, as dlq ls does`)
    const only = tasks.length === 1 ? tasks[0]!.name : undefined
    const name = match[1] ?? only
    if (name === undefined)
      throw new WrongArgument(
        `"${text}" could be of ${tasks.map((task) => task.name).join(' or ')}: write task:number`,
      )
    if (!tasks.some((task) => task.name === name))
      throw new WrongArgument(`"${text}": there is no task "${name}"`)
    numbers.set(name, (numbers.get(name) ?? new Set()).add(Number(match[2])))
  }
  return numbers
}

function checkAllFound(
  numbers: ReadonlyMap<string, ReadonlySet<number>> | null,
  found: readonly ListedLetter[],
  waiting: readonly ListedLetter[],
): void {
  const names = new Set(found.map(nameOf))
  const missing = [...(numbers ?? [])].flatMap(([task, wanted]) =>
    [...wanted].map((number) => `${task}:${number}`).filter((name) => !names.has(name)),
  )
  const tried = waiting.map(nameOf).filter((name) => missing.includes(name))
  if (tried.length > 0)
    throw new WrongArgument(`${tried.join(', ')}: tried again by itself, until it is over or open`)
  if (missing.length > 0)
    throw new WrongArgument(
      `no open letter ${missing.join(', ')} (dlq ls --all shows those that are over)`,
    )
}

/** A letter of an earlier version may have a code that there is no more. */
function checkCode(code: string | undefined, all: readonly ListedLetter[]): void {
  if (code === undefined || Object.hasOwn(codes, code)) return
  if (all.some(({ entry }) => entry.code === code)) return
  const hint = didYouMean(code, Object.keys(codes))
  throw new WrongArgument(`there is no code "${code}"${hint === null ? '' : `; ${hint}`}`)
}

function filtersOf(options: LetterOptions, nowMs: number): Passes[] {
  const { topic, code, key, since, until } = options
  const passes: Passes[] = []
  if (topic !== undefined)
    passes.push(({ entry }) => entry.topic === topic || entry.topic.endsWith(`.${topic}`))
  if (code !== undefined) passes.push(({ entry }) => entry.code === code)
  if (key !== undefined) passes.push(keyFilter(key))
  if (since !== undefined) {
    const fromUs = timeOf(since, nowMs) * 1000
    passes.push(({ entry }) => entry.atUs >= fromUs)
  }
  if (until !== undefined) {
    const toUs = timeOf(until, nowMs) * 1000
    passes.push(({ entry }) => entry.atUs < toUs)
  }
  return passes
}

/** A time, or how long ago: `2026-01-31T12:00:00Z`, `2h`. */
export function timeOf(text: string, nowMs: number): number {
  const ago = parseDuration(text)
  const timeMs = ago === null ? Date.parse(text) : nowMs - ago
  if (Number.isNaN(timeMs))
    throw new WrongArgument(
      `"${text}" is neither a time (2026-01-31T12:00:00Z) nor how long ago (2h)`,
    )
  return timeMs
}

/** `{"id":7,"region":"eu"}`, or the value alone where a key has one column. */
function keyFilter(wanted: string): Passes {
  if (!wanted.startsWith('{'))
    return ({ entry }) => {
      const values = valuesOf(entry.key)
      return values.size === 1 && [...values.values()][0] === wanted
    }
  const named = valuesOf(wanted)
  return ({ entry }) => {
    const values = valuesOf(entry.key)
    return [...named].every(([name, value]) => values.get(name) === value)
  }
}

/** Values of a JSON object as texts. */
function valuesOf(json: string | null): ReadonlyMap<string, string> {
  if (json === null) return new Map()
  try {
    const object = JSON.parse(json) as Readonly<Record<string, unknown>>
    return new Map(
      Object.entries(object).map(([name, value]) => [
        name,
        typeof value === 'string' ? value : JSON.stringify(value),
      ]),
    )
  } catch {
    throw new WrongArgument(`--key is no JSON object: ${json}`)
  }
}

const table = new RecordTable<ListedLetter>(
  [
    optional('task', 'text', ({ task }) => task.name),
    optional('letter', 'int64', ({ entry }) => entry.letter),
    optional('state', 'text', ({ entry }) => entry.state),
    optional('topic', 'text', ({ entry }) => entry.topic),
    optional('offset', 'int64', ({ entry }) => entry.offset),
    optional('code', 'text', ({ entry }) => entry.code),
    optional('message', 'text', ({ entry }) => entry.message),
    optional('attempts', 'int32', ({ entry }) => entry.attempts),
    optional('first_at', 'timestamptz', ({ entry }) => entry.firstUs),
    optional('at', 'timestamptz', ({ entry }) => entry.atUs),
    optional('op', 'text', ({ entry }) => entry.op),
    optional('weight', 'int32', ({ entry }) => entry.weight),
    optional('time', 'timestamptz', ({ entry }) => entry.timeUs),
    optional('key', 'json', ({ entry }) => entry.key),
    optional('row', 'json', ({ entry }) => entry.row),
  ],
  () => 0,
)

async function whereMatches(
  where: string,
  letters: readonly ListedLetter[],
): Promise<readonly ListedLetter[]> {
  const filter = await RowFilter.parse(where)
  filter.check(table.schema)
  const { rows, failed } = filter.matching(table.batch(letters))
  if (failed.length > 0)
    printError(`--where failed for ${count(failed.length, 'letter')}, left out`)
  return [...rows].map((row) => letters[row]!)
}

/**
 * The letters with the other halves of their updates: the old row of an update without its new one
 * would tell a sink that the row was deleted.
 */
export function withHalves({ chosen, all }: FoundLetters): readonly ListedLetter[] {
  const names = new Set(chosen.map(nameOf))
  const places = new Map(all.map((letter) => [placeOf(letter, 0), letter]))
  const halves = chosen.flatMap((letter) => {
    const { op, weight } = letter.entry
    if (op !== 'update' || weight === null) return []
    const other = places.get(placeOf(letter, weight < 0 ? 1 : -1))
    const fits = other?.entry.op === 'update' && other.entry.weight === -weight
    return fits && !names.has(nameOf(other)) ? [other] : []
  })
  return [...chosen, ...halves]
}

export function nameOf({ task, entry }: ListedLetter): string {
  return `${task.name}:${entry.letter}`
}

function placeOf({ task, entry }: ListedLetter, step: number): string {
  return `${task.name} ${entry.topic} ${(entry.offset ?? Number.NaN) + step}`
}

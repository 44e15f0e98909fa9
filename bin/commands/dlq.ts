/** `sluice dlq ls | show | requests`: dead letters as they are, beside whatever is running. */
import { letterTopicOf, requestsOf, storyOf, type LetterTask } from '../../core/task/letter-list.ts'
import { chainName } from '../../core/task/names.ts'
import type { Request } from '../../core/task/requests.ts'
import { countsText, outcomeText, requestNotes } from '../ask.ts'
import { findLetters, tasksOf, WrongArgument, type LetterOptions } from '../letter-filter.ts'
import {
  letterJson,
  printItems,
  printLetter,
  printLetters,
  printTable,
  time,
  type LetterFormat,
} from '../letter-format.ts'
import { count, exitCode, print, printError, type ExitCode } from '../output.ts'
import { withLog, type OpenedLog } from '../pipeline-log.ts'

export interface ListOptions extends LetterOptions {
  readonly all: boolean
  readonly format: LetterFormat
}

/** Runs a command on letters; a wrong argument is told in a line. */
export async function onLetters(
  file: string,
  use: (opened: OpenedLog) => Promise<ExitCode>,
): Promise<ExitCode> {
  try {
    return await withLog(file, use)
  } catch (error) {
    if (!(error instanceof WrongArgument)) throw error
    printError(error.message)
    return exitCode.invalid
  }
}

export function list(file: string, options: ListOptions): Promise<ExitCode> {
  return onLetters(file, async (opened) => {
    const { chosen } = await findLetters(opened, [], options, options.all ? 'all' : 'listed')
    printLetters(chosen, options.format)
    if (options.format === 'table') {
      const open = chosen.filter(({ entry }) => entry.state === 'open').length
      const waiting = chosen.filter(({ entry }) => entry.state === 'waiting').length
      const tried =
        waiting === 0
          ? ''
          : `, ${count(waiting, 'row')} tried again by ${waiting === 1 ? 'itself' : 'themselves'}`
      printError(count(open, 'open letter') + tried)
    }
    return exitCode.ok
  })
}

export function show(
  file: string,
  letters: readonly string[],
  options: ListOptions,
): Promise<ExitCode> {
  return onLetters(file, async (opened) => {
    const { chosen } = await findLetters(
      opened,
      letters,
      options,
      letters.length > 0 || options.all ? 'all' : 'listed',
    )
    if (options.format !== 'table') {
      printItems(options.format, chosen.map(letterJson))
      return exitCode.ok
    }
    for (const [index, letter] of chosen.entries()) {
      if (index > 0) print('')
      const topic = letterTopicOf(opened.log, opened.name, letter.task)
      printLetter(letter, await storyOf(topic, letter.entry.letter, opened.signal))
    }
    return exitCode.ok
  })
}

export interface RequestsOptions {
  readonly sink?: string
  readonly format: LetterFormat
}

/** Requests that wait, are under way, or were done lately. */
export function requests(file: string, options: RequestsOptions): Promise<ExitCode> {
  return onLetters(file, async (opened) => {
    const rows: Row[] = []
    for (const task of tasksOf(opened, options)) {
      // A transform takes none: it looks at them only to leave out what was dropped.
      if (task.kind !== 'transform') rows.push(...(await rowsOf(opened, task)))
    }
    if (options.format === 'table') {
      if (rows.length === 0) printError('nothing was asked of any task')
      printTable(
        ['task', 'request', 'kind', 'asked', 'by', 'state'],
        rows.map(({ task, number, kind, at, by, state }) => [
          task,
          String(number),
          kind,
          at ?? '',
          by,
          state,
        ]),
      )
    } else
      printItems(
        options.format,
        rows.map((row) => JSON.stringify(row)),
      )
    return exitCode.ok
  })
}

interface Row {
  readonly task: string
  readonly number: number
  readonly kind: string
  /** null of those that an earlier version took. */
  readonly at: string | null
  readonly by: string
  readonly state: string
}

async function rowsOf(opened: OpenedLog, { kind: of, name: task }: LetterTask): Promise<Row[]> {
  const notes = await requestNotes(opened, { kind: of, name: task })
  const chain = chainName(opened.name, of, task)
  const waiting = await requestsOf(opened.log, chain, notes?.next ?? 1, opened.signal)
  const timeOf = (us: number | undefined): string | null => (us === undefined ? null : time(us))
  const over = (notes?.over ?? []).map((request): Row => {
    const { number, kind, by, atUs } = request
    return { task, number, kind, at: timeOf(atUs), by, state: outcomeText(request) }
  })
  const active = Object.entries(notes?.active ?? {}).map(([number, request]): Row => {
    const { kind, by, atUs } = request
    const state = `under way: ${countsText(request)}`
    return { task, number: Number(number), kind, at: timeOf(atUs), by, state }
  })
  return [...over, ...active, ...waiting.map((request) => waitingRow(task, request))]
}

function waitingRow(task: string, { number, body, by, atUs }: Request): Row {
  return { task, number, kind: body.kind, at: time(atUs), by, state: 'waits for the pipeline' }
}

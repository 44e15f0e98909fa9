/**
 * `sluice dlq retry | drop | replay | edit`: asks the tasks that hold the letters. The pipeline does it
 * within moments when it runs, else at its next start.
 */
import { createInterface } from 'node:readline/promises'
import type { Batch } from '../../core/record/batch.ts'
import { sliceBatch } from '../../core/record/batch-ops.ts'
import { batchOfKept, keptRow } from '../../core/task/dead-letter-entry.ts'
import type { LetterRow } from '../../core/task/dead-letters.ts'
import type { LetterTask, ListedLetter } from '../../core/task/letter-list.ts'
import { rowAt } from '../../core/task/replay-rows.ts'
import type { LettersByTopic, NamedLetter } from '../../core/task/requests.ts'
import { keyedText } from '../../core/task/source-letters.ts'
import { editRow, type JsonInput } from '../../core/task/value-edit.ts'
import { ask, followAll, type Asked } from '../ask.ts'
import { editInEditor } from '../editor.ts'
import {
  findLetters,
  nameOf,
  withHalves,
  WrongArgument,
  type LetterOptions,
} from '../letter-filter.ts'
import { changesFrom } from '../letter-edit.ts'
import { count, exitCode, print, printError, type ExitCode } from '../output.ts'
import { topicsOf, type FoundTopic, type OpenedLog } from '../pipeline-log.ts'
import { onLetters } from './dlq.ts'

export interface AskOptions extends LetterOptions {
  readonly follow: boolean
}
export interface DropOptions extends LetterOptions {
  readonly yes: boolean
}
export interface EditOptions extends AskOptions {
  /** `column=value`, any number of times. */
  readonly set: readonly string[]
  readonly json?: string
}

export function retry(
  file: string,
  letters: readonly string[],
  options: AskOptions,
): Promise<ExitCode> {
  return onLetters(file, async (opened) => {
    const chosen = sendable(withHalves(await findLetters(opened, letters, options, 'open')))
    await refuseKeyed(opened, chosen)
    const asked: Asked[] = []
    for (const [task, group] of byTask(chosen)) {
      asked.push(await askTask(opened, task, 'retry', group, []))
    }
    return ended(opened, asked, options.follow)
  })
}

/** Each letter's row and every later row of its key, in order. */
export function replayKeys(
  file: string,
  letters: readonly string[],
  options: AskOptions,
): Promise<ExitCode> {
  return onLetters(file, async (opened) => {
    const { chosen } = await findLetters(opened, letters, options, 'open')
    const keyless = ofSinks(sendable(chosen)).find(({ entry }) => entry.key === null)
    if (keyless !== undefined)
      throw new WrongArgument(
        `${nameOf(keyless)}: rows of ${keyless.entry.topic} have no key that later rows could share; use dlq retry, or sluice replay --from offset:${keyless.entry.offset}`,
      )
    const asked: Asked[] = []
    for (const [task, group] of byTask(chosen)) {
      asked.push(await askTask(opened, task, 'replay_keys', group, []))
    }
    return ended(opened, asked, options.follow)
  })
}

export function drop(
  file: string,
  letters: readonly string[],
  options: DropOptions,
): Promise<ExitCode> {
  return onLetters(file, async (opened) => {
    const chosen = withHalves(await findLetters(opened, letters, options, 'open'))
    const what = count(chosen.length, 'letter')
    if (chosen.length > 0 && !options.yes && !(await confirmed(`drop ${what} for good?`))) {
      printError(`nothing was dropped. To drop ${what}, add --yes`)
      return exitCode.invalid
    }
    for (const [task, group] of byTask(chosen)) {
      const numbers = group.map(({ entry }) => entry.letter).toSorted((a, b) => a - b)
      const { request } = await ask(opened, task, { kind: 'drop', letters: numbers })
      // A transform keeps no letter waiting: the request itself is what says that it is over.
      const when = task.kind === 'transform' ? '' : ` (request ${request.number})`
      print(`${task.name}: ${count(numbers.length, 'letter')} dropped${when}`)
    }
    if (chosen.length === 0) print('no letter was dropped')
    return exitCode.ok
  })
}

export function edit(
  file: string,
  letters: readonly string[],
  options: EditOptions,
): Promise<ExitCode> {
  return onLetters(file, async (opened) => {
    const found = await findLetters(opened, letters, options, 'open')
    const edited = await editAll(opened, ofSinks(sendable(found.chosen)), options)
    if (edited === null) return exitCode.invalid
    const asked: Asked[] = []
    for (const [task, group] of byTask(sendable(withHalves(found)))) {
      const names = new Set(group.map(({ entry }) => entry.letter))
      const rows = edited.filter(
        (one) => one.task === task.name && one.row.letter !== null && names.has(one.row.letter),
      )
      asked.push(
        await askTask(
          opened,
          task,
          'retry',
          group,
          rows.map(({ row }) => row),
        ),
      )
    }
    return ended(opened, asked, options.follow)
  })
}

interface EditedLetter {
  readonly task: string
  readonly row: LetterRow
}

/** null when a value does not fit, which was said by letter and column. */
async function editAll(
  opened: OpenedLog,
  chosen: readonly ListedLetter[],
  options: EditOptions,
): Promise<readonly EditedLetter[] | null> {
  const topics = await topicsOf(opened)
  const edited: EditedLetter[] = []
  let wrong = 0
  for (const letter of chosen) {
    const batch = await rowOf(opened, letter, topics)
    const changes = await changesOf(letter, options, chosen.length)
    const result = editRow(batch, changes)
    for (const { column, message } of result.problems) {
      printError(`${nameOf(letter)}  column ${column}: ${message}`)
      wrong++
    }
    if (result.batch === null) continue
    const { topic, offset, code, message, attempts, firstUs, atUs } = letter.entry
    const row = { batch: result.batch, row: 0 }
    const number = letter.entry.letter
    const common = { topic, offset, code, message, attempts, firstUs, atUs, row }
    edited.push({
      task: letter.task.name,
      row: { ...common, letter: number, state: 'open', request: null },
    })
  }
  if (wrong > 0) printError('nothing was changed and nothing is sent')
  return wrong > 0 ? null : edited
}

async function changesOf(
  letter: ListedLetter,
  { set, json }: EditOptions,
  letters: number,
): Promise<ReadonlyMap<string, JsonInput>> {
  if (set.length > 0 || json !== undefined) return changesFrom(set, json)
  if (letters > 1)
    throw new WrongArgument(
      `${letters} letters are changed with --set column=value or --json '{…}'`,
    )
  return editInEditor(letter)
}

async function rowOf(
  opened: OpenedLog,
  letter: ListedLetter,
  topics: ReadonlyMap<string, FoundTopic>,
): Promise<Batch> {
  const kept = keptRow(letter.batch, letter.row)
  if (kept !== null) return batchOfKept([kept])
  const { topic, offset } = letter.entry
  const chain = topics.get(topic)?.chain
  const found =
    chain === undefined || offset === null
      ? null
      : await rowAt(opened.log, { name: topic, chain }, offset, opened.signal)
  if (found === null)
    throw new WrongArgument(
      `${nameOf(letter)}: neither the letter nor the log holds the row any more`,
    )
  const { batch, row } = found
  return sliceBatch(batch, row, row + 1)
}

/** Letters of sinks; those of transforms are refused in words. */
function sendable(letters: readonly ListedLetter[]): readonly ListedLetter[] {
  const other = letters.find(({ task }) => task.kind === 'transform')
  if (other === undefined) return letters
  throw new WrongArgument(
    `${nameOf(other)} is a letter of the transform ${other.task.name}, which cannot be sent again: its result would no longer be what the query says of the log. Correct the query (it is then computed anew) or the row at the source, and drop the letter; --sink leaves such letters out`,
  )
}

/** Records that a source set aside, of topics with keys: the source would refuse them, when nobody looks any more. */
async function refuseKeyed(opened: OpenedLog, letters: readonly ListedLetter[]): Promise<void> {
  const ofSources = letters.filter(({ task }) => task.kind === 'ingest')
  if (ofSources.length === 0) return
  const topics = await topicsOf(opened)
  const keyed = ofSources.find(
    ({ entry }) =>
      (topics.get(entry.topic)?.head.schemas.at(-1)?.changelog ?? 'append') !== 'append',
  )
  if (keyed === undefined) return
  const others = letters.length > 1 ? ' (--topic chooses the letters of one topic)' : ''
  throw new WrongArgument(`${nameOf(keyed)}: ${keyedText(keyed.entry.topic)}${others}`)
}

/** A record that a source could not read has no columns yet, and no key. */
function ofSinks(letters: readonly ListedLetter[]): readonly ListedLetter[] {
  const other = letters.find(({ task }) => task.kind === 'ingest')
  if (other === undefined) return letters
  throw new WrongArgument(
    `${nameOf(other)} is a record that the source ${other.task.name} could not read: mend its schema in the pipeline file and use dlq retry (in a topic without key), or correct it where it comes from and drop the letter`,
  )
}

/** By task: each is one object, whatever the number of its letters. */
function byTask(letters: readonly ListedLetter[]): [LetterTask, readonly ListedLetter[]][] {
  const groups = new Map<string, [LetterTask, ListedLetter[]]>()
  for (const letter of letters) {
    const group = groups.get(letter.task.name)
    if (group === undefined) groups.set(letter.task.name, [letter.task, [letter]])
    else group[1].push(letter)
  }
  return [...groups.values()]
}

async function askTask(
  opened: OpenedLog,
  task: LetterTask,
  kind: 'retry' | 'replay_keys',
  letters: readonly ListedLetter[],
  edited: readonly LetterRow[],
): Promise<Asked> {
  const body = { kind, letters: byTopic(letters) } as const
  const asked = await ask(opened, task, body, edited)
  print(`${task.name}: request ${asked.request.number} for ${count(letters.length, 'letter')}`)
  return asked
}

function byTopic(letters: readonly ListedLetter[]): LettersByTopic {
  const topics: Record<string, NamedLetter[]> = {}
  for (const { task, entry } of letters) {
    // A record that was never a row of the log goes by its letter alone.
    const offset = task.kind === 'ingest' ? entry.letter : entry.offset
    if (offset !== null) (topics[entry.topic] ??= []).push([entry.letter, offset])
  }
  for (const list of Object.values(topics)) list.sort((a, b) => a[1] - b[1])
  return topics
}

async function ended(
  opened: OpenedLog,
  asked: readonly Asked[],
  follow: boolean,
): Promise<ExitCode> {
  if (asked.length === 0)
    print('no open letter matches; rows that are tried again by themselves need nothing')
  else if (follow) return followAll(opened, asked)
  else {
    printError(
      `a running pipeline does it within moments, one that is not at its next start; see \`sluice dlq requests ${opened.file}\``,
    )
  }
  return exitCode.ok
}

async function confirmed(question: string): Promise<boolean> {
  if (!process.stdin.isTTY || !process.stderr.isTTY) return false
  const terminal = createInterface({ input: process.stdin, output: process.stderr })
  try {
    return /^y(?:es)?$/i.test((await terminal.question(`${question} [y/N] `)).trim())
  } finally {
    terminal.close()
  }
}

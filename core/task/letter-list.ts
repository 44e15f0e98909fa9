/**
 * Dead letters as people look at them: open ones of a task, or all with how they ended, and the story
 * of a single one. Reads only; the tasks need not run.
 */
import { readHead } from '../log/head.ts'
import type { Log } from '../log/log.ts'
import { ChainReader } from '../log/reader.ts'
import type { Batch } from '../record/batch.ts'
import { letterEntry, type LetterEntry } from './dead-letter-entry.ts'
import { isOver } from './dead-letters.ts'
import { letterBlocks, trailOf, type LetterTopic } from './letter-trail.ts'
import { chainName, deadLetterTopic, type TaskKind } from './names.ts'
import { requestChain, requestsIn, type Request } from './requests.ts'

export interface LetterTask {
  readonly kind: TaskKind
  readonly name: string
}

/** The newest row of a letter that still has its row, with what became of it since. */
export interface ListedLetter {
  readonly task: LetterTask
  readonly entry: LetterEntry
  /** Where its row stands. */
  readonly batch: Batch
  readonly row: number
}

export function letterTopicOf(log: Log, pipeline: string, { kind, name }: LetterTask): LetterTopic {
  return { log, chain: chainName(pipeline, kind, name), topic: deadLetterTopic(name) }
}

/** Letters of a task, the newest first; `all`: also those that are over. */
export async function* listLetters(
  letters: LetterTopic,
  task: LetterTask,
  all: boolean,
  signal: AbortSignal,
): AsyncGenerator<ListedLetter> {
  const head = await readHead(letters.log, letters.chain, signal)
  if (head === null) return
  // A transform does not follow requests: what was dropped of its letters is told by them alone.
  const dropped = task.kind !== 'transform' ? none : await droppedLetters(letters, signal)
  let left = all ? Infinity : (trailOf(head, letters.topic).open ?? Infinity)
  const ended = new Map<number, LetterEntry | null>()
  if (left === 0) return
  for await (const { base, batch } of letterBlocks(letters, head, null, signal)) {
    for (let row = batch.rows - 1; row >= 0; row--) {
      const found = letterEntry(batch, row, base)
      const last = ended.get(found.letter)
      if (last === null) continue
      if (isOver(found.state)) {
        ended.set(found.letter, found)
        continue
      }
      ended.set(found.letter, null)
      const entry =
        last === undefined ? markDropped(found, dropped.get(found.letter)) : over(found, last)
      const isOpen = !isOver(entry.state)
      if (!isOpen && !all) continue
      yield { task, entry, batch, row }
      if (isOpen && --left === 0) return
    }
  }
}

const none: ReadonlyMap<number, Request> = new Map()

function markDropped(entry: LetterEntry, request: Request | undefined): LetterEntry {
  if (request === undefined) return entry
  const { atUs, number } = request
  return { ...entry, state: 'dropped', atUs, request: `request ${number}` }
}

function over(entry: LetterEntry, { state, atUs, request }: LetterEntry): LetterEntry {
  return { ...entry, state, atUs, request }
}

/** Every row of one letter, the oldest first. */
export async function storyOf(
  letters: LetterTopic,
  letter: number,
  signal: AbortSignal,
): Promise<LetterEntry[]> {
  const head = await readHead(letters.log, letters.chain, signal)
  const story: LetterEntry[] = []
  for await (const { base, batch } of letterBlocks(letters, head, null, signal)) {
    for (let row = batch.rows - 1; row >= 0; row--) {
      const entry = letterEntry(batch, row, base)
      if (entry.letter === letter) story.push(entry)
    }
    if (base <= letter) break
  }
  return story.toReversed()
}

/** All requests of a task that were ever made, oldest first, from commit `from` of their chain on. */
export async function requestsOf(
  log: Log,
  taskChain: string,
  from: number,
  signal: AbortSignal,
): Promise<Request[]> {
  const requests: Request[] = []
  await using reader = ChainReader.open(log, requestChain(taskChain), from)
  for (;;) {
    const commit = await reader.tryNext(signal)
    if (commit === null) return requests
    requests.push(...(await requestsIn(reader, commit, signal)))
  }
}

async function droppedLetters(
  { log, chain }: LetterTopic,
  signal: AbortSignal,
): Promise<ReadonlyMap<number, Request>> {
  const dropped = new Map<number, Request>()
  for (const request of await requestsOf(log, chain, 1, signal)) {
    if (request.body.kind !== 'drop') continue
    for (const letter of request.body.letters) dropped.set(letter, request)
  }
  return dropped
}

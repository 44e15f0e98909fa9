/** Dead letters and requests of the deliver task `k` of pipeline `p`, for tests: what is open, and asking. */
import { readHead } from '../../core/log/head.ts'
import type { Log } from '../../core/log/log.ts'
import { ChainReader } from '../../core/log/reader.ts'
import { jsonRows } from '../../core/record/json.ts'
import type { LetterEntry } from '../../core/task/dead-letter-entry.ts'
import type { LetterRow } from '../../core/task/dead-letters.ts'
import type { DeliveryNotes } from '../../core/task/delivery-log.ts'
import { openLetters } from '../../core/task/letter-book.ts'
import type { OverRequest } from '../../core/task/request-desk.ts'
import { requestChain, type Request, type RequestBody } from '../../core/task/requests.ts'
import { writeRequest } from '../../core/task/request-writer.ts'
import { waitFor } from './env.ts'

export const sinkChain = 'p.sink.k'
const { signal } = new AbortController()

/** Open letters, oldest first. */
export async function lettersOf(log: Log): Promise<LetterEntry[]> {
  const letters = { log, chain: sinkChain, topic: 'k.dead_letters' }
  const head = await readHead(log, sinkChain, signal)
  const found: LetterEntry[] = []
  for await (const { entry } of openLetters(letters, head, null, signal)) found.push(entry)
  return found.toSorted((a, b) => a.letter - b.letter)
}

/** What the task `k`, or another, has written down of its deliveries; null when it never did. */
export async function notesOf(log: Log, sink = 'k'): Promise<DeliveryNotes | null> {
  const head = await readHead(log, `p.sink.${sink}`, signal)
  return (head?.notes ?? null) as DeliveryNotes | null
}

/** The same, by topic. */
export async function statesOf(log: Log, sink = 'k'): Promise<DeliveryNotes['topics']> {
  return (await notesOf(log, sink))?.topics ?? {}
}

/** Waits until the cursor stands at the offset. */
export async function doneAt(log: Log, offset: number, topic = 's.t'): Promise<void> {
  await waitFor(`offset ${offset}`, async () => (await statesOf(log))[topic]?.done === offset)
}

/** Rows so far of one of the task's own topics, such as `k.schema_changes`, as JSON. */
export async function ownRows(log: Log, topic: string): Promise<Record<string, unknown>[]> {
  await using reader = ChainReader.open(log, sinkChain, 1)
  const found: Record<string, unknown>[] = []
  for (;;) {
    const commit = await reader.tryNext(signal)
    if (commit === null) return found
    for (const [index, block] of commit.blocks.entries()) {
      if (block.topic !== topic) continue
      const batch = (await reader.readBlock(commit, index, signal))!
      const json = jsonRows(batch)
      for (let row = 0; row < batch.rows; row++) {
        found.push(JSON.parse(json(row)) as Record<string, unknown>)
      }
    }
  }
}

export function ask(
  log: Log,
  body: RequestBody,
  edited: readonly LetterRow[] = [],
  by = 'test',
): Promise<Request> {
  return writeRequest(log, { chain: requestChain(sinkChain), body, edited, by }, signal)
}

/** How a request ended, once it has. */
export async function over(log: Log, number: number): Promise<OverRequest> {
  let found: OverRequest | undefined
  await waitFor(`request ${number}`, async () => {
    found = (await notesOf(log))?.requests?.over.find((request) => request.number === number)
    return found !== undefined
  })
  return found!
}

/** The request that sends these letters again. */
export function retryOf(letters: readonly LetterEntry[]): RequestBody {
  return { kind: 'retry', letters: byTopic(letters) }
}

export function byTopic(letters: readonly LetterEntry[]): Record<string, [number, number][]> {
  const topics: Record<string, [number, number][]> = {}
  for (const { topic, letter, offset } of letters) (topics[topic] ??= []).push([letter, offset!])
  return topics
}

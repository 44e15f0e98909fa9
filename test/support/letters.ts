/** Dead letters and requests of the deliver task `k` of pipeline `p`, for tests: what is open, and asking. */
import { readHead } from '../../core/log/head.ts'
import type { Log } from '../../core/log/log.ts'
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

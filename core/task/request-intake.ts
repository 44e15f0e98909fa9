/** What a request becomes when a deliver task takes it: jobs for its topics, or done at once. */
import { failpoint } from '../errors/failpoint.ts'
import { ChainReader } from '../log/reader.ts'
import type { Batch } from '../record/batch.ts'
import type { TaskContext } from './context.ts'
import type { DeliveryLog } from './delivery-log.ts'
import type { LetterBook } from './letter-book.ts'
import { pollMs } from './poll.ts'
import type { RequestDesk } from './request-desk.ts'
import { editedIn, requestChain, requestsIn, type Request } from './requests.ts'

export interface AcceptedRequest {
  readonly request: Request
  /** Letters of the request whose row was changed. */
  readonly edited: Batch | null
}

interface Taken extends AcceptedRequest {
  readonly delivers: (topic: string) => boolean
  readonly nowMs: number
}

/** What one commit of a requests' chain asks, and the commit after it. */
export interface RequestCommit {
  readonly requests: readonly AcceptedRequest[]
  readonly next: number
}

/** Follows a chain of requests from commit `next` on, until it is aborted. */
export async function* requestCommits(
  ctx: TaskContext,
  chain: string,
  next: number,
  signal: AbortSignal,
): AsyncGenerator<RequestCommit, void> {
  const pauseMs = pollMs(ctx.log.store.url)
  await using reader = ChainReader.open(ctx.log, chain, next)
  while (!signal.aborted) {
    const found = await nextRequests(reader, signal)
    // Not raced against a promise that lives as long as the task, which would remember each pause.
    if (found === null) await ctx.clock.sleep(pauseMs, signal).catch(() => {})
    else yield found
  }
}

/** What is asked in the next commit; null when there is none yet. */
export async function nextRequests(
  reader: ChainReader,
  signal: AbortSignal,
): Promise<RequestCommit | null> {
  const commit = await reader.tryNext(signal)
  if (commit === null) return null
  const edited = await editedIn(reader, commit, signal)
  const requests = await requestsIn(reader, commit, signal)
  return { requests: requests.map((request) => ({ request, edited })), next: commit.seq + 1 }
}

/** Takes each request of a sink in a commit of the sink's own. */
export async function followRequests(
  commits: DeliveryLog,
  ctx: TaskContext,
  delivers: (topic: string) => boolean,
  signal: AbortSignal,
): Promise<void> {
  const chain = requestChain(commits.chain)
  for await (const { requests, next } of requestCommits(ctx, chain, commits.desk.next, signal)) {
    failpoint('request.before_accept')
    await commits.accept(requests, next, delivers)
    failpoint('request.after_accept')
    for (const { request } of requests) {
      const { number, body, by } = request
      ctx.logger.info('request taken', { request: number, kind: body.kind, by })
    }
  }
}

export function takeRequest(taken: Taken, book: LetterBook, desk: RequestDesk): void {
  const { request, edited, delivers, nowMs } = taken
  const { body } = request
  switch (body.kind) {
    case 'retry':
    case 'replay_keys': {
      const topics = Object.keys(body.letters).filter(delivers)
      const others = Object.keys(body.letters).filter((topic) => !delivers(topic))
      const problem = others.length === 0 ? null : notDelivered(others)
      if (topics.length > 0) return desk.start(request, { topics, edited, problem })
      return desk.finish(request, { how: 'failed', problem })
    }
    case 'replay':
    case 'resync':
      if (delivers(body.topic)) {
        return desk.start(request, { topics: [body.topic], edited: null, problem: null })
      }
      return desk.finish(request, { how: 'failed', problem: notDelivered([body.topic]) })
    case 'drop': {
      // What is being sent is not dropped: it may be in the target already.
      const busy = desk.planned()
      const letters = body.letters.filter(
        (letter) => !busy.has(letter) && book.get(letter)?.waits === null,
      )
      const topics = new Set(letters.map((letter) => book.get(letter)?.topic ?? ''))
      const sent = book.close(letters, 'dropped', `request ${request.number}`, nowMs)
      desk.finish(request, { sent, skipped: body.letters.length - sent })
      for (const topic of topics) desk.wake(topic)
      return
    }
    case 'cancel': {
      const found = desk.cancel(body.request)
      const problem = found ? null : `request ${body.request} is over already, or never was`
      return desk.finish(request, { how: found ? 'done' : 'failed', problem })
    }
    default:
      // Asked by a newer version: it must not hold up the requests after it.
      desk.finish(request, { how: 'failed', problem: 'this version does not know such a request' })
  }
}

function notDelivered(topics: readonly string[]): string {
  return `the sink does not get ${topics.join(', ')} (from)`
}

/**
 * Gatherer: several events in one request. Lanes bring one event at a time (sink.ts), so that a request
 * holds one event of a key at most and the order of a key is kept without looking at keys here.
 *
 *   body = { "type": "batch", "timestamp": of the newest event, "data": [ event, … ] }
 *   id   = 'batch_' hash of the events' ids        the same for the same events
 *
 * An answer that refuses the whole request is for one of its events: the request is halved until it is
 * found, unless the answer names it, `{"rejected": ["<id>", …]}`. The same after a 2xx refuses those alone.
 */
import { createHash } from 'node:crypto'
import type { Attempt, Endpoint, Message, Patience, Tried } from './endpoint.ts'

export interface GatherLimits {
  readonly events: number
  readonly bytes: number
  readonly wait: number
}

interface Item {
  readonly message: Message
  readonly resolve: (attempt: Attempt) => void
  readonly reject: (reason: unknown) => void
}

interface Gathering {
  readonly endpoint: Endpoint
  readonly patience: Patience
  readonly items: Item[]
  readonly timer: NodeJS.Timeout
  bytes: number
}

export class Gatherer {
  readonly #limits: GatherLimits
  /** By address, headers, and how long they may wait: an endpoint may have several addresses (a query). */
  readonly #open = new Map<string, Gathering>()

  constructor(limits: GatherLimits) {
    this.#limits = limits
  }

  /** One attempt with an event, together with others of its endpoint. */
  async attempt(endpoint: Endpoint, message: Message, patience: Patience): Promise<Attempt> {
    const before = await endpoint.outcomeOf(message.id)
    if (before !== null) {
      const { tried, shared } = before
      if (isNamed(tried, message)) return refusedByName(tried)
      // Of several events that were refused together nobody knows which one it was.
      if (!shared || tried.outcome.kind !== 'rejected') return tried
    }
    return new Promise((resolve, reject) => {
      if (patience.waiting.aborted) return reject(patience.waiting.reason as Error)
      const { route, headers } = message
      const name = [route.origin, route.path, patience.mode, ...headers].join('\0')
      const gathering = this.#open.get(name) ?? this.#begin(name, endpoint, patience)
      const item: Item = { message, resolve, reject }
      gathering.items.push(item)
      gathering.bytes += message.body.length
      const { events, bytes } = this.#limits
      if (gathering.items.length >= events || gathering.bytes >= bytes) this.#close(name)
    })
  }

  #begin(name: string, endpoint: Endpoint, patience: Patience): Gathering {
    const timer = setTimeout(() => this.#close(name), this.#limits.wait)
    const gathering: Gathering = { endpoint, patience, items: [], timer, bytes: 0 }
    this.#open.set(name, gathering)
    return gathering
  }

  #close(name: string): void {
    const gathering = this.#open.get(name)
    if (gathering === undefined) return
    this.#open.delete(name)
    clearTimeout(gathering.timer)
    const { endpoint, items, patience } = gathering
    // The request is of several batches: only the end of all of them ends it.
    const together = { ...patience, waiting: patience.signal }
    void send(endpoint, items, together)
  }
}

/** Never rejects: every item hears what came of it. */
async function send(endpoint: Endpoint, items: readonly Item[], patience: Patience): Promise<void> {
  try {
    const attempt = await endpoint.attempt(requestOf(items), patience)
    if (attempt.kind !== 'tried') return resolveAll(items, attempt)
    const { outcome } = attempt
    const named = items.filter(({ message }) => isNamed(attempt, message))
    const others = items.filter((item) => !named.includes(item))
    resolveAll(named, refusedByName(attempt))
    if (outcome.kind !== 'rejected' || (items.length === 1 && named.length === 0)) {
      return resolveAll(others, attempt)
    }
    const middle = named.length > 0 ? others.length : Math.ceil(others.length / 2)
    for (const half of [others.slice(0, middle), others.slice(middle)]) {
      if (half.length > 0) await send(endpoint, half, patience)
    }
  } catch (thrown) {
    for (const { reject } of items) reject(thrown)
  }
}

/** Whether the answer says of this event that it is not taken. */
function isNamed({ outcome }: Tried, { id }: Message): boolean {
  return 'refused' in outcome && outcome.refused.has(id)
}

function refusedByName(tried: Tried): Tried {
  const { outcome } = tried
  const reason = outcome.kind === 'rejected' ? outcome.reason : 'named it as rejected'
  return { ...tried, outcome: { kind: 'rejected', reason } }
}

function resolveAll(items: readonly Item[], attempt: Attempt): void {
  for (const { resolve } of items) resolve(attempt)
}

function requestOf(items: readonly Item[]): Message {
  const [first] = items
  const ids = items.map(({ message }) => message.id)
  const hash = createHash('sha256').update(ids.join('\0')).digest('hex').slice(0, 24)
  const { route, headers } = first!.message
  const newest = items.reduce((latest, { message: { time = '' } }) => {
    return time > latest ? time : latest
  }, '')
  const parts: Buffer[] = [Buffer.from(`{"type":"batch","timestamp":"${newest}","data":[`)]
  for (const [index, { message }] of items.entries()) {
    if (index > 0) parts.push(Buffer.from(','))
    parts.push(message.body)
  }
  parts.push(Buffer.from(']}'))
  return { id: `batch_${hash}`, events: ids, route, headers, body: Buffer.concat(parts) }
}

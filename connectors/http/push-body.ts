/**
 * Bodies of requests, with every length bounded before it is held: the pieces are counted as they come, against
 * one request's limit and against what all waiting requests may hold.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { freeMemory } from '../../core/record/batch-memory.ts'
import { Pieces } from './pieces.ts'
import type { UnpackFault } from './unpack.ts'

/** Why a request is not taken: what `sendProblem` needs, but for what is the same for all. */
export interface Refusal {
  readonly status: number
  readonly code: string
  readonly detail: string
  readonly retryAfterS?: number
  readonly more?: Readonly<Record<string, unknown>>
}

/** What a waiting request holds beside its body: socket, objects, answer. */
export const requestOverheadBytes = 4096

/**
 * Room that a body is given before it comes, at most: a request that only says how large it will be must not
 * keep others out while it sends nothing.
 */
const aheadBytesMax = 16 * 1024

/** Bytes that waiting requests hold together. */
export class Budget {
  readonly bytesMax: number
  #bytes = 0

  constructor(bytesMax: number) {
    this.bytesMax = bytesMax
  }
  get bytes(): number {
    return this.#bytes
  }
  /** Of one body, however empty it is here. */
  get bodyBytesMax(): number {
    return this.bytesMax - requestOverheadBytes
  }
  hasRoom(bytes: number): boolean {
    return this.#bytes + bytes <= this.bytesMax
  }
  /** false: there is no room, and nothing was taken. */
  take(bytes: number): boolean {
    if (!this.hasRoom(bytes)) return false
    this.#bytes += bytes
    return true
  }
  give(bytes: number): void {
    this.#bytes -= bytes
  }
}

export type BodyEnd =
  | { readonly kind: 'body'; readonly body: Buffer; readonly heldBytes: number }
  | { readonly kind: 'refused'; readonly refusal: Refusal }
  /** The client went away; there is nobody to answer. */
  | { readonly kind: 'gone' }

export const full: Refusal = {
  status: 503,
  code: 'http.busy',
  detail: 'as many requests wait to be stored as may',
  retryAfterS: 1,
}

/**
 * Reads the body and calls `end` once. What `end` gets as `heldBytes` is taken from the budget and the
 * caller's to give back. Callbacks, not a promise: half of what a small request costs is its promises.
 */
export function readBody(
  request: IncomingMessage,
  response: ServerResponse,
  limits: { readonly bodyBytesMax: number; readonly budget: Budget },
  end: (result: BodyEnd) => void,
): void {
  const { budget } = limits
  // What there will never be room for is too large, and not to be sent again.
  const bodyBytesMax = Math.min(limits.bodyBytesMax, budget.bodyBytesMax)
  const announced = Number(request.headers['content-length'] ?? 0)
  if (announced > bodyBytesMax) return end({ kind: 'refused', refusal: tooLarge(bodyBytesMax) })
  let heldBytes = Math.min(announced, aheadBytesMax) + requestOverheadBytes
  if (!budget.hasRoom(announced + requestOverheadBytes) || !budget.take(heldBytes)) {
    return end({ kind: 'refused', refusal: full })
  }
  if (request.headers.expect !== undefined) response.writeContinue()
  const pieces = new Pieces()
  let isOver = false
  const finish = (result: BodyEnd): void => {
    if (isOver) return
    isOver = true
    if (result.kind !== 'body') {
      pieces.clear()
      budget.give(heldBytes)
    }
    end(result)
  }
  const take = (piece: Buffer): void => {
    // What comes after a refusal is thrown away (http-problem.ts).
    if (isOver) return
    const bytes = pieces.bytes + piece.length
    if (bytes > bodyBytesMax) {
      return finish({ kind: 'refused', refusal: tooLarge(bodyBytesMax) })
    }
    const more = bytes + requestOverheadBytes - heldBytes
    if (more > 0) {
      if (!budget.take(more)) return finish({ kind: 'refused', refusal: full })
      heldBytes += more
    }
    pieces.push(piece)
  }
  request.on('data', take)
  request.on('end', () => {
    if (isOver) return
    // The request, which lives until its answer, holds these functions: they must not hold the body too.
    finish({ kind: 'body', body: pieces.take(), heldBytes })
  })
  // A connection that breaks off is an error of the request; one that had its end is over already.
  request.on('error', () => finish({ kind: 'gone' }))
}

/**
 * Gives the memory of a body back that nobody looks at any more, instead of when its request is answered and
 * a collection finds it: of bodies of 20 kB each, those took a fifth of all processor time. One that shares
 * its memory, as small ones may, is left alone.
 */
export function freeBody(body: Buffer): void {
  if (body.length === body.buffer.byteLength) freeMemory(body)
}

function tooLarge(bytesMax: number): Refusal {
  return {
    status: 413,
    code: 'http.too_large',
    detail: `a body may have ${bytesMax} bytes`,
    more: { limit: bytesMax },
  }
}

/** Coding names in Content-Encoding; null = the body is as it is. */
export function contentCoding(request: IncomingMessage): string | null {
  const coding = request.headers['content-encoding']?.trim().toLowerCase() ?? ''
  return coding === '' || coding === 'identity' ? null : coding
}

/** Of a body that does not unpack. */
export function notUnpacked({ kind, detail }: UnpackFault, bytesMax: number): Refusal {
  if (kind === 'too_large') return { ...tooLarge(bytesMax), detail }
  return { status: kind === 'unknown' ? 415 : 400, code: 'http.content_encoding', detail }
}

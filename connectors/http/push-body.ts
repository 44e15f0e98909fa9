/**
 * Bodies of requests, with every length bounded before it is held: as it comes (its pieces counted against
 * one request's limit and against what all waiting requests may hold), and as it unpacks, where a few
 * kilobytes may claim to be gigabytes.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { promisify } from 'node:util'
import {
  brotliDecompress,
  gunzip,
  inflate,
  inflateRaw,
  zstdDecompress,
  type InputType,
  type ZlibOptions,
} from 'node:zlib'
import type { Semaphore } from '../../core/connector/semaphore.ts'
import { freeMemory } from '../../core/record/batch-memory.ts'

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
  /** false: there is no room, and nothing was taken. */
  take(bytes: number): boolean {
    if (this.#bytes + bytes > this.bytesMax) return false
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
  const { bodyBytesMax, budget } = limits
  const announced = Number(request.headers['content-length'] ?? 0)
  if (announced > bodyBytesMax) return end({ kind: 'refused', refusal: tooLarge(bodyBytesMax) })
  let heldBytes = announced + requestOverheadBytes
  if (!budget.take(heldBytes)) return end({ kind: 'refused', refusal: full })
  if (request.headers.expect !== undefined) response.writeContinue()
  const pieces: Buffer[] = []
  let bytes = 0
  let isOver = false
  const finish = (result: BodyEnd): void => {
    if (isOver) return
    isOver = true
    if (result.kind !== 'body') budget.give(heldBytes)
    end(result)
  }
  const take = (piece: Buffer): void => {
    // What comes after a refusal is thrown away (http-problem.ts).
    if (isOver) return
    bytes += piece.length
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
    const body = pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces, bytes)
    // The request, which lives until its answer, holds these functions, and they hold the pieces.
    pieces.length = 0
    finish({ kind: 'body', body, heldBytes })
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

type Unpack = (body: InputType, options: ZlibOptions) => Promise<Buffer>

const unpackers: Readonly<Record<string, Unpack>> = {
  gzip: promisify(gunzip) as Unpack,
  'x-gzip': promisify(gunzip) as Unpack,
  br: promisify(brotliDecompress) as Unpack,
  zstd: promisify(zstdDecompress) as Unpack,
  // With the frame of zlib as the standard wants it (RFC 9110 §8.4.1.2), or without, as many send it.
  deflate: (body, options) => {
    const first = (body as Buffer)[0] ?? 0
    const isZlib = (first & 0x0f) === 8 && ((first << 8) | ((body as Buffer)[1] ?? 0)) % 31 === 0
    return (promisify(isZlib ? inflate : inflateRaw) as Unpack)(body, options)
  },
}

/** Coding names in Content-Encoding; null = the body is as it is. */
export function contentCoding(request: IncomingMessage): string | null {
  const coding = request.headers['content-encoding']?.trim().toLowerCase() ?? ''
  return coding === '' || coding === 'identity' ? null : coding
}

/** A body unpacked, or why not. */
export async function unpack(
  body: Buffer,
  coding: string,
  limits: { readonly bytesMax: number; readonly slots: Semaphore },
  signal: AbortSignal,
): Promise<Buffer | Refusal> {
  const decompress = Object.hasOwn(unpackers, coding) ? unpackers[coding] : undefined
  if (decompress === undefined) {
    const codings = Object.keys(unpackers).join(', ')
    return {
      status: 415,
      code: 'http.content_encoding',
      detail: `the content encoding is none of ${codings}; several in a row are not taken`,
    }
  }
  const { bytesMax, slots } = limits
  await slots.acquire(signal)
  try {
    return await decompress(body, { maxOutputLength: bytesMax })
  } catch (error) {
    const isLarge = (error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE'
    if (isLarge)
      return { ...tooLarge(bytesMax), detail: `a body may have ${bytesMax} bytes unpacked` }
    return { status: 400, code: 'http.content_encoding', detail: `the body is not ${coding}` }
  } finally {
    slots.release()
  }
}

/**
 * The object store behind five verbs: get, create, put, list, remove. The whole of the log's safety
 * rests on one of them, `create`, which must be atomic; probe.ts proves it before a store is used.
 *
 * Keys are paths of ASCII segments divided by `/`, without a leading one. Reads see every write that
 * was answered before they began (all stores named in docs do so).
 */
import { SluiceError } from '../errors/error.ts'

export interface ObjectStore extends AsyncDisposable {
  /** Where it is, for messages; holds no secret. */
  readonly url: string
  /**
   * The object, or a part of it; null when there is none. `size` is that of the whole object. A range
   * that reaches past the end yields the bytes there are.
   */
  get(key: string, signal: AbortSignal, range?: ByteRange): Promise<StoredBytes | null>
  /**
   * Puts the object if there is none of that key; of several racing creators exactly one is told
   * `created`. Whoever is told `exists` may still have created it (a request that was repeated after
   * its answer got lost), and after a transient error it may or may not be there: in both cases the
   * caller learns the outcome by reading the key.
   */
  create(key: string, bytes: Uint8Array, signal: AbortSignal): Promise<'created' | 'exists'>
  /** Creates or replaces the object. */
  put(key: string, bytes: Uint8Array, signal: AbortSignal): Promise<void>
  /**
   * Keys that begin with `prefix`, after `after` if given, at most `limit`. Keys of one folder come
   * in ascending order; between folders some stores sort `a/b` before `a.b` and some after it, and
   * S3 directory buckets do not sort at all. Nothing on a hot path may list.
   */
  list(prefix: string, options: ListOptions, signal: AbortSignal): Promise<string[]>
  /** Removes the objects; those that are gone already do not matter. */
  remove(keys: readonly string[], signal: AbortSignal): Promise<void>
}

export interface StoredBytes {
  readonly bytes: Uint8Array
  readonly size: number
}

/** Bytes [start, end) or the last `suffix` bytes. */
export type ByteRange =
  { readonly start: number; readonly end: number } | { readonly suffix: number }

export interface ListOptions {
  readonly after?: string
  readonly limit: number
}

/** A range as [start, end) within an object of `size` bytes. */
export function resolveRange(
  range: ByteRange | undefined,
  size: number,
): { readonly start: number; readonly end: number } {
  if (range === undefined) return { start: 0, end: size }
  if ('suffix' in range) return { start: Math.max(0, size - range.suffix), end: size }
  const start = Math.min(range.start, size)
  return { start, end: Math.max(start, Math.min(range.end, size)) }
}

/** Throws unless the key is a plain path inside the store (no `..`, no empty segment, ASCII). */
export function checkKey(key: string): void {
  const plain = /^[\x21-\x2e\x30-\x7e]+(?:\/[\x21-\x2e\x30-\x7e]+)*$/.test(key) && key.length <= 900
  if (plain && !/(?:^|\/)\.\.?(?:\/|$)/.test(key)) return
  throw new SluiceError('store.key_invalid', {
    message: `${JSON.stringify(key)} is not a key of an object`,
  })
}

/** Whether each request to the store of that URL is paid for, and takes its time; else it is a few system calls. */
export function isPaidFor(url: string): boolean {
  return url.startsWith('s3:')
}

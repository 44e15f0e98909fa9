/**
 * A log: an object store that passed the race probe, and what all chains of this process share. The
 * layout of the objects is in keys.ts, their formats are in codec-*.ts.
 *
 *   format.json = { "format": 1, "probe": { "rounds", "racers" }, "crc32c" } as JSON on one line;
 *                 crc32c covers the line without that field, so a damaged file is noticed
 */
import { ulid } from 'ulid'
import { SluiceError } from '../errors/error.ts'
import { probeStore, type ProbeResult } from '../store/probe.ts'
import { realPacing, type Pacing } from '../store/retry.ts'
import type { ByteRange, ObjectStore, StoredBytes } from '../store/store.ts'
import { resolveRange } from '../store/store.ts'
import { ObjectCache } from './cache.ts'
import { corrupt } from './codec-bytes.ts'
import { checksum } from './codec-object.ts'
import { formatKey } from './keys.ts'
import { OpenedCommits } from './opened.ts'
import { WakeUps } from './wake.ts'

const formatVersion = 1
const cacheBytesMax = 16 * 1024 * 1024

export interface LogOptions {
  readonly signal: AbortSignal
  /** Milliseconds since 1970; the system's clock unless given. */
  readonly nowMs?: () => number
  /** Uniform in [0, 1), for ids and jitter. */
  readonly random?: () => number
  /** Resolves after `ms`, rejects with the signal's reason when aborted first. */
  readonly sleep?: (ms: number, signal: AbortSignal) => Promise<void>
}

/** The caller keeps the store and disposes of it after the last use of the log. */
export interface Log extends Pacing {
  readonly store: ObjectStore
  readonly wake: WakeUps
  readonly nowMs: () => number
  /** Objects that never change, once written: from memory where they are at hand. */
  readonly cache: ObjectCache
  readonly opened: OpenedCommits
  readonly probe: ProbeResult
  /** The newest epoch this process took, or tried to take, of each chain. */
  readonly held: Map<string, number>
}

/**
 * Opens the log in `store`, and makes it if there is none; then the store is probed first. Throws
 * `store.not_atomic`, `log.format_unsupported`, `log.corrupt`, and what the store throws.
 */
export async function openLog(store: ObjectStore, options: LogOptions): Promise<Log> {
  const { signal } = options
  let found = await store.get(formatKey, signal)
  if (found === null) {
    const probe = await probeStore(store, signal)
    const line = encodeFormat(probe)
    await store.create(formatKey, line, signal)
    found = await store.get(formatKey, signal)
  }
  if (found === null) {
    throw new SluiceError('log.object_missing', {
      message: `${store.url}: ${formatKey} is gone right after it was written`,
    })
  }
  return {
    store,
    probe: decodeFormat(found.bytes, store.url),
    wake: new WakeUps(),
    cache: new ObjectCache(cacheBytesMax),
    opened: new OpenedCommits(),
    held: new Map(),
    nowMs: options.nowMs ?? Date.now,
    random: options.random ?? Math.random,
    sleep: options.sleep ?? realPacing.sleep,
  }
}

/** A name that nobody else gives: 48 bits of time, 80 of chance (ULID). */
export function newId(log: Log, timeMs: number): string {
  return ulid(Math.floor(timeMs), log.random)
}

/** Reads a commit or segment. Whole objects are kept in the log's cache. */
export async function readObject(
  log: Log,
  key: string,
  signal: AbortSignal,
  range?: ByteRange,
): Promise<StoredBytes | null> {
  const cached = log.cache.get(key)
  if (cached !== null) {
    const { start, end } = resolveRange(range, cached.length)
    return { bytes: cached.subarray(start, end), size: cached.length }
  }
  const found = await log.store.get(key, signal, range)
  if (found !== null && found.bytes.length === found.size) log.cache.set(key, found.bytes)
  return found
}

export function encodeFormat(probe: ProbeResult): Uint8Array {
  const content = { format: formatVersion, probe: { rounds: probe.rounds, racers: probe.racers } }
  const crc32c = checksum(new TextEncoder().encode(JSON.stringify(content)))
  return new TextEncoder().encode(`${JSON.stringify({ ...content, crc32c })}\n`)
}

/** Throws `log.corrupt` and `log.format_unsupported`. */
export function decodeFormat(bytes: Uint8Array, url: string): ProbeResult {
  const place = { object: `${url}: ${formatKey}`, byte: 0 }
  const text = new TextDecoder().decode(bytes)
  const fields = /^\{"format":(\d{1,9}),(.*),"crc32c":(\d{1,10})\}\n$/.exec(text)
  const [, version = '', rest = '', crc32c = ''] = fields ?? []
  const content = `{"format":${version},${rest}}`
  if (fields === null || checksum(new TextEncoder().encode(content)) !== Number(crc32c)) {
    throw corrupt(place, 0, 'its checksum is wrong')
  }
  if (Number(version) !== formatVersion) {
    throw new SluiceError('log.format_unsupported', {
      message: `${url} has format ${version}, this version of Sluice knows ${formatVersion}`,
    })
  }
  const probe = /^"probe":\{"rounds":(\d+),"racers":(\d+)\}$/.exec(rest)
  if (probe === null) throw corrupt(place, 0, 'it lacks the result of the probe')
  return { rounds: Number(probe[1]), racers: Number(probe[2]) }
}

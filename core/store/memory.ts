/**
 * A store in this process's memory, for tests, simulations and `memory://` logs that may be lost.
 *
 * With faults it misbehaves as real stores do: answers late, refuses (503), reports a conflict (409),
 * or does the work and loses the answer. All of it is drawn from one seeded random, and time passes
 * in turns of the event loop, not in milliseconds, so that a run can be repeated exactly.
 */
import { SluiceError } from '../errors/error.ts'
import {
  checkKey,
  resolveRange,
  type ByteRange,
  type ListOptions,
  type ObjectStore,
  type StoredBytes,
} from './store.ts'

export interface MemoryFaults {
  /** Uniform in [0, 1); the only source of chance. */
  readonly random: () => number
  /** An operation takes up to this many turns before, and again after, its effect. */
  readonly turnsMax: number
  /** Chances in [0, 1] that an operation … */
  readonly chances: {
    /** … is refused without effect (503). */
    readonly unavailable: number
    /** … if it is a create, is refused without effect because of a concurrent one (409). */
    readonly conflict: number
    /** … takes effect and its answer is lost. */
    readonly lostAnswer: number
  }
  /** Called before the effect of an operation; a simulation pauses or aborts its actors here. */
  readonly before?: (operation: StoreOperation, key: string) => Promise<void>
}

export type StoreOperation = 'get' | 'create' | 'put' | 'list' | 'remove'

/** What one name holds; shared by every store opened on it in this process. */
export class MemoryBucket {
  readonly objects = new Map<string, Uint8Array>()
}

export class MemoryStore implements ObjectStore {
  readonly url: string
  readonly #objects: Map<string, Uint8Array>
  readonly #faults: MemoryFaults | null

  constructor(name: string, bucket: MemoryBucket, faults: MemoryFaults | null = null) {
    this.url = `memory://${name}`
    this.#objects = bucket.objects
    this.#faults = faults
  }

  async get(key: string, signal: AbortSignal, range?: ByteRange): Promise<StoredBytes | null> {
    return this.#operate('get', key, signal, () => {
      const found = this.#objects.get(key)
      if (found === undefined) return null
      const { start, end } = resolveRange(range, found.length)
      return { bytes: found.slice(start, end), size: found.length }
    })
  }

  async create(key: string, bytes: Uint8Array, signal: AbortSignal): Promise<'created' | 'exists'> {
    return this.#operate('create', key, signal, () => {
      if (this.#objects.has(key)) return 'exists'
      this.#objects.set(key, bytes.slice())
      return 'created'
    })
  }

  async put(key: string, bytes: Uint8Array, signal: AbortSignal): Promise<void> {
    await this.#operate('put', key, signal, () => this.#objects.set(key, bytes.slice()))
  }

  async list(prefix: string, options: ListOptions, signal: AbortSignal): Promise<string[]> {
    return this.#operate('list', prefix, signal, () => {
      const { after } = options
      const keys = [...this.#objects.keys()].filter(
        (key) => key.startsWith(prefix) && (after === undefined || key > after),
      )
      return keys.sort((a, b) => (a < b ? -1 : 1)).slice(0, options.limit)
    })
  }

  async remove(keys: readonly string[], signal: AbortSignal): Promise<void> {
    for (const key of keys) {
      await this.#operate('remove', key, signal, () => this.#objects.delete(key))
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // The bucket outlives the store, as a real one does.
  }

  async #operate<T>(
    operation: StoreOperation,
    key: string,
    signal: AbortSignal,
    effect: () => T,
  ): Promise<T> {
    if (operation !== 'list') checkKey(key)
    signal.throwIfAborted()
    const faults = this.#faults
    if (faults === null) return effect()
    const { random, chances } = faults
    await passTurns(random() * faults.turnsMax)
    await faults.before?.(operation, key)
    signal.throwIfAborted()
    if (random() < chances.unavailable) throw unavailable(operation, key, 'SlowDown')
    if (operation === 'create' && random() < chances.conflict) {
      throw unavailable(operation, key, 'ConditionalRequestConflict')
    }
    const result = effect()
    await passTurns(random() * faults.turnsMax)
    signal.throwIfAborted()
    if (random() < chances.lostAnswer) throw unavailable(operation, key, 'connection reset')
    return result
  }
}

async function passTurns(turns: number): Promise<void> {
  for (let turn = 1; turn < turns; turn++) await Promise.resolve()
}

function unavailable(operation: StoreOperation, key: string, why: string): SluiceError {
  return new SluiceError('store.unavailable', { message: `${operation} of ${key}: ${why}` })
}

/**
 * The newest immutable objects (commits, segments) that this process wrote or read whole, bounded in
 * bytes. A reader beside its writer then needs no GET, and several sinks of one chain share one.
 */
export class ObjectCache {
  readonly #bytesMax: number
  /** In order of use, the oldest first. */
  readonly #objects = new Map<string, Uint8Array>()
  #bytes = 0

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
  }

  get(key: string): Uint8Array | null {
    const bytes = this.#objects.get(key)
    if (bytes === undefined) return null
    this.#objects.delete(key)
    this.#objects.set(key, bytes)
    return bytes
  }

  /** Keeps `bytes`, which nobody may change any more. */
  set(key: string, bytes: Uint8Array): void {
    this.delete(key)
    if (bytes.length > this.#bytesMax) return
    this.#objects.set(key, bytes)
    this.#bytes += bytes.length
    for (const oldest of this.#objects.keys()) {
      if (this.#bytes <= this.#bytesMax) break
      this.delete(oldest)
    }
  }

  delete(key: string): void {
    this.#bytes -= this.#objects.get(key)?.length ?? 0
    this.#objects.delete(key)
  }
}

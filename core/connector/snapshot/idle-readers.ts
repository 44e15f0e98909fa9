/**
 * What reads rows into columns, kept from one chunk of a table to the next: a builder that has grown to
 * a chunk's size need not grow again (docs/decisions/0008-mysql-transport.md, "Garbage").
 */
const idleMax = 4

export class IdleReaders<Source, Reader> {
  /** Oldest first. */
  readonly #idle: { readonly source: Source; readonly reader: Reader }[] = []

  /** One that was made for this very source; undefined = none is idle. */
  take(source: Source): Reader | undefined {
    const at = this.#idle.findIndex((idle) => idle.source === source)
    return at < 0 ? undefined : this.#idle.splice(at, 1)[0]!.reader
  }

  /** `reader` has nothing in it. Beyond a few, the oldest is forgotten. */
  give(source: Source, reader: Reader): void {
    this.#idle.push({ source, reader })
    if (this.#idle.length > idleMax) this.#idle.shift()
  }
}

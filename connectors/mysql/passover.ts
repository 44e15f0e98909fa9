/**
 * From the start of a binlog file to a place in it that COM_BINLOG_DUMP cannot name, because its offset
 * has four bytes: only where GTIDs are off, and where one transaction made the file longer than 4 GiB. What
 * the stream gave before is passed over; what says how the file is to be read is not.
 */
import { SluiceError } from '../../core/errors/error.ts'
import { flagsOf, lengthOf, typeOf } from './event-header.ts'
import { EventType, flagArtificial } from './events.ts'
import { firstOffset } from './binlog-dump.ts'

const heartbeats: ReadonlySet<number> = new Set([EventType.heartbeat, EventType.heartbeatV2])

export class Passover {
  readonly #until: number
  #offset = firstOffset

  /** `until`: offset of the first event that is wanted. */
  constructor(until: number) {
    this.#until = until
  }

  /** Whether the event that begins at `start` was given before. To be asked of every event, in order. */
  passes(source: Uint8Array, start: number): boolean {
    if (this.#offset === this.#until) return false
    const type = typeOf(source, start)
    // Made up by the server for this connection: not part of the file.
    if ((flagsOf(source, start) & flagArtificial) !== 0 || heartbeats.has(type)) return true
    this.#offset += lengthOf(source, start)
    if (this.#offset > this.#until) {
      throw new SluiceError('source.mysql.protocol', {
        message: `No event of the binlog begins at offset ${this.#until}.`,
      })
    }
    return type !== EventType.formatDescription
  }
}

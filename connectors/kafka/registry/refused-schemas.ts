/**
 * RefusedSchemas: the schema that a record wants, and why records of some schemas are rejected, without asking for
 * each of them: a decoder that asks gives up what was fetched of its topic meanwhile, and a producer with a wrong
 * registry writes a million records.
 */
import type { Clock } from '../../../core/connector/context.ts'
import type { ReadFault } from '../../../core/connector/format/format.ts'
import { SluiceError } from '../../../core/errors/error.ts'

/** Then one record asks again: the schema may be there by now. */
const believedMs = 1000
const schemasMax = 1000

interface Refused {
  readonly fault: ReadFault
  readonly untilMs: number
}

export class RefusedSchemas {
  readonly #clock: Pick<Clock, 'nowMs'>
  readonly #byId = new Map<number, Refused>()
  /** Of the record that could not be read yet; −1 = none. */
  #wanted = -1

  constructor(clock: Pick<Clock, 'nowMs'>) {
    this.#clock = clock
  }

  /** null: it was not refused just now. */
  of(id: number): ReadFault | null {
    const refused = this.#byId.get(id)
    return refused !== undefined && this.#clock.nowMs() < refused.untilMs ? refused.fault : null
  }

  /** The next `takeWanted` is to take it. */
  want(id: number): void {
    this.#wanted = id
  }

  /**
   * Calls `take` for what is wanted, and keeps why it cannot be had or read. It is wanted until the registry has
   * answered: whom the network fails asks again without a record. Throws as `take`.
   */
  async takeWanted(take: (id: number) => Promise<void>): Promise<void> {
    const id = this.#wanted
    if (id < 0) return
    try {
      await take(id)
    } catch (error) {
      if (error instanceof SluiceError && error.fault === 'row') {
        this.#refuse(id, error)
        this.#wanted = -1
      }
      throw error
    }
    this.#wanted = -1
  }

  #refuse(id: number, { code, message }: SluiceError): void {
    if (this.#byId.size >= schemasMax) this.#byId.clear()
    const fault = { field: null, message, code }
    this.#byId.set(id, { fault, untilMs: this.#clock.nowMs() + believedMs })
  }
}

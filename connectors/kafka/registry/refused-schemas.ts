/**
 * RefusedSchemas: why records of some schemas are rejected, without asking for each of them: a decoder that asks
 * gives up what was fetched of its topic meanwhile, and a producer with a wrong registry writes a million records.
 */
import type { Clock } from '../../../core/connector/context.ts'
import type { ReadFault } from '../../../core/connector/format/format.ts'
import type { SluiceError } from '../../../core/errors/error.ts'

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

  constructor(clock: Pick<Clock, 'nowMs'>) {
    this.#clock = clock
  }

  add(id: number, { code, message }: SluiceError): void {
    if (this.#byId.size >= schemasMax) this.#byId.clear()
    const fault = { field: null, message, code }
    this.#byId.set(id, { fault, untilMs: this.#clock.nowMs() + believedMs })
  }

  /** null: it was not refused just now. */
  of(id: number): ReadFault | null {
    const refused = this.#byId.get(id)
    return refused !== undefined && this.#clock.nowMs() < refused.untilMs ? refused.fault : null
  }
}

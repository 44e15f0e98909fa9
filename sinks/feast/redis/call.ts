/** One call of a script as ioredis sends it: encoded already, routed by its slot, one number for an answer. */
import { Command } from 'ioredis'

export class ScriptCall extends Command {
  readonly #bytes: Buffer
  readonly #slot: number

  /** `slot`: of all its keys; 0 where there is no cluster. */
  constructor(bytes: Buffer, slot: number) {
    super('evalsha', [], { replyEncoding: 'utf8' })
    this.#bytes = bytes
    this.#slot = slot
  }

  override getSlot(): number {
    return this.#slot
  }

  /** Called again when a cluster sends it elsewhere. */
  override toWritable(): Buffer {
    return this.#bytes
  }
}

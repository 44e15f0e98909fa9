/**
 * A decoder that stops at a record until the network has told what that record needs: how often it asked,
 * and why the record cannot be had. Nothing asks for ever what it is given each time, and whoever does not
 * answer may be asked for as long as that takes.
 */
import { SluiceError } from '../../errors/error.ts'
import type { Records } from './records.ts'

/** How often the same record may ask for what is missing before this is taken for a bug. */
const timesMax = 16

export class Asking {
  readonly #topic: string
  #times = 0
  /** Where the record stands that asked. */
  #partition = -1
  #offset = -1
  #fault: SluiceError | null = null

  constructor(topic: string) {
    this.#topic = topic
  }

  /** Whether the record at hand has been asked for. */
  get hasAsked(): boolean {
    return this.#times > 0
  }

  /** A record was looked at: the next one may ask anew. */
  done(): void {
    this.#times = 0
  }

  /** This record asks. */
  begin({ partition, offsets }: Records, index: number): void {
    this.#partition = partition
    this.#offset = offsets[index]!
  }

  /**
   * Why this record, which asked, is to be rejected, once; null = it is not. One that asked and is not there any
   * more takes its reason with it.
   */
  takeFault({ partition, offsets, count }: Records, index: number): SluiceError | null {
    const fault = this.#fault
    if (fault === null || index >= count) return null
    this.#fault = null
    if (partition !== this.#partition || offsets[index] !== this.#offset) return null
    this.#times = 0
    return fault
  }

  /** Keeps a `row` fault of `ask` for `takeFault`, and throws any other. */
  async prepare(ask: () => Promise<void> | undefined): Promise<void> {
    if (++this.#times > timesMax) {
      const message = `${this.#topic}: a record asks again and again for what it was given`
      throw new SluiceError('internal.bug', { message })
    }
    try {
      await ask()
    } catch (error) {
      if (!(error instanceof SluiceError) || error.fault !== 'row') {
        // It was given nothing.
        this.#times--
        throw error
      }
      this.#fault = error
    }
  }
}

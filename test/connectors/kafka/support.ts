/** Reading of the Kafka source in tests: one life of it, pulled in the background, and what a log would hold. */
import { kafkaConfig, type KafkaConfig } from '../../../connectors/kafka/config.ts'
import { kafka } from '../../../connectors/kafka/connector.ts'
import { systemClock, type Context, type StatusReport } from '../../../core/connector/context.ts'
import type { Position, Source, SourceBatch } from '../../../core/connector/source.ts'
import type { SluiceError } from '../../../core/errors/error.ts'
import { textAt } from '../../../core/record/value.ts'
import { waitFor } from '../../support/env.ts'

export interface Row {
  readonly topic: string
  readonly weight: number
  /** As exact texts, in the schema's order. */
  readonly values: readonly (string | null)[]
}

export function configOf(input: object): KafkaConfig {
  return kafkaConfig.parse(input)
}

let names = 0

export function contextOf(own: Partial<Context> = {}): Context {
  const nothing = (): void => {}
  return {
    pipeline: 'test',
    name: `kafka_${++names}`,
    clock: systemClock,
    random: Math.random,
    logger: { debug: nothing, info: nothing, warn: nothing, error: nothing },
    metrics: { count: nothing, gauge: nothing, observe: nothing },
    report: nothing,
    ...own,
  }
}

/** Pulls until it is disposed of or fails. */
export class Life implements AsyncDisposable {
  readonly batches: SourceBatch[] = []
  /** Of rows alone; `truncated` are topics that were emptied, and where in `rows`. */
  readonly rows: Row[] = []
  readonly truncated: { readonly topic: string; readonly at: number }[] = []
  readonly rejected: { readonly topic: string; readonly message: string }[] = []
  readonly logged: string[] = []
  status: StatusReport = {}
  position: Position | null
  error: SluiceError | null = null
  readonly source: Source
  readonly #stop = new AbortController()
  readonly #done: Promise<void>

  private constructor(source: Source, after: Position | null) {
    this.source = source
    this.position = after
    this.#done = this.#pull(after)
  }

  static async start(input: object, after: Position | null = null): Promise<Life> {
    const logged: string[] = []
    const holder: { life: Life | null } = { life: null }
    const log = (message: string, fields?: object): void =>
      void logged.push(`${message} ${JSON.stringify(fields ?? {})}`)
    const context = contextOf({
      logger: { debug: log, info: log, warn: log, error: log },
      report: (status) => {
        if (holder.life !== null) holder.life.status = { ...holder.life.status, ...status }
      },
    })
    const life = new Life(await kafka.open(configOf(input), context), after)
    holder.life = life
    return Object.assign(life, { logged })
  }

  /**
   * One that runs. What passes is thrown at a start and the task begins anew, so that this does too: a broker
   * may not have heard of its topic yet, or be too slow for the first request.
   */
  static async running(input: object, after: Position | null = null): Promise<Life> {
    return waitFor('a source that runs', async () => {
      const life = await Life.start(input, after)
      try {
        await life.until('it to run', () => life.status.state === 'running')
        return life
      } catch (error) {
        await life[Symbol.asyncDispose]()
        throw error
      }
    })
  }

  /** One that was ended by what does not pass; begins anew like the one above. */
  static async ending(input: object, after: Position | null): Promise<Life> {
    return waitFor('a source that ends', async () => {
      const life = await Life.start(input, after)
      const { fault } = await life.ended().catch(async (error: unknown) => {
        await life[Symbol.asyncDispose]()
        throw error
      })
      if (fault !== 'transient') return life
      await life[Symbol.asyncDispose]()
      return false
    })
  }

  async #pull(after: Position | null): Promise<void> {
    try {
      for await (const batch of this.source.read(after, this.#stop.signal)) this.#take(batch)
    } catch (error) {
      if (!this.#stop.signal.aborted) this.error = error as SluiceError
    }
  }

  #take(batch: SourceBatch): void {
    this.batches.push(batch)
    for (const change of batch.changes) {
      if ('truncate' in change) {
        this.truncated.push({ topic: change.topic, at: this.rows.length })
        continue
      }
      const { schema, columns, weights, rows } = change.batch
      for (let row = 0; row < rows; row++) {
        const values = schema.fields.map((field, i) => textAt(field.type, columns[i]!, row))
        this.rows.push({ topic: change.topic, weight: weights[row]!, values })
      }
    }
    for (const { topic, errors } of batch.rejected ?? []) {
      for (const { message } of errors) this.rejected.push({ topic, message })
    }
    if (batch.position !== null) this.position = batch.position
  }

  /** First values of the rows that appear, of all topics or one. */
  ids(topic?: string): readonly string[] {
    const rows = this.rows.filter((row) => topic === undefined || row.topic === topic)
    return rows.filter(({ weight }) => weight > 0).map(({ values }) => values[0] ?? '')
  }

  /** Rejects with what ended it, as soon as that is known. */
  async until(what: string, isSo: () => boolean, timeoutMs = 60_000): Promise<void> {
    await waitFor(what, () => this.error !== null || isSo(), timeoutMs)
    if (this.error !== null) throw this.error
  }

  /** Resolves when so many rows came. */
  async count(rows: number, timeoutMs = 60_000): Promise<void> {
    await this.until(`${rows} rows`, () => this.rows.length >= rows, timeoutMs).catch((cause) => {
      throw new Error(`only ${this.rows.length} of ${rows} rows came`, { cause })
    })
  }

  /** Resolves with what ended it. */
  async ended(timeoutMs = 60_000): Promise<SluiceError> {
    await waitFor('the source to end', () => this.error !== null, timeoutMs)
    return this.error!
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort()
    await this.#done
    await this.source[Symbol.asyncDispose]()
  }
}

/** JSON values {"id": from}, … */
export function numbered(from: number, count: number): { readonly value: string }[] {
  return Array.from({ length: count }, (_, i) => ({ value: JSON.stringify({ id: from + i }) }))
}

export function range(from: number, count: number): readonly string[] {
  return Array.from({ length: count }, (_, i) => String(from + i))
}

/**
 * What else may end one that reads a topic which is made again: the product believes what every answer says for ten
 * seconds, and a slow machine may take longer until the new one is there, and has its records.
 */
export const onTheWay: readonly string[] = [
  'source.kafka.topic_deleted',
  'source.kafka.offset_beyond_end',
]

export const idSchema = { schema: { id: 'int64' } }

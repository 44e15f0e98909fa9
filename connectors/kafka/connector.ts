/**
 * The Kafka source: topics into the log, each record once, with the offsets of all partitions as the
 * position. README.md tells the user's side of it, source-run.ts is one life of it.
 */
import type { SourceContext } from '../../core/connector/context.ts'
import type { Decoded } from '../../core/connector/format/format.ts'
import type { Position, Source, SourceBatch, SourceConnector } from '../../core/connector/source.ts'
import { SluiceError } from '../../core/errors/error.ts'
import type { Batch } from '../../core/record/batch.ts'
import { checkKafka } from './check.ts'
import { kafkaConfig, wantedOf, type KafkaConfig } from './config.ts'
import type { KafkaDriver } from './driver.ts'
import { brokerError } from './errors.ts'
import { openDriver } from './drivers.ts'
import { GroupOffsets } from './group-offsets.ts'
import { inferKafkaSchema } from './infer-schema.ts'
import { atOrAfter } from './position.ts'
import { recordsOf } from './rejected-records.ts'
import { SourceRun } from './source-run.ts'
import { TopicFormats } from './topic-formats.ts'

export const kafka: SourceConnector<KafkaConfig> = {
  kind: 'kafka',
  config: kafkaConfig,
  check: checkKafka,
  open: async (config, ctx) => new KafkaSource(config, ctx),
  atOrAfter,
  topics: (config) => [...wantedOf(config).names, ...wantedOf(config).patterns],
  inferSchema: inferKafkaSchema,
  letterBudget: ({ dead_letters }) => dead_letters,
}

class KafkaSource implements Source {
  readonly #config: KafkaConfig
  readonly #ctx: SourceContext
  readonly #formats: TopicFormats
  readonly #stop = new AbortController()
  #driver: KafkaDriver | null = null
  #reader: AsyncGenerator<SourceBatch> | null = null
  #group: GroupOffsets | null = null
  #storing: Promise<void> = Promise.resolve()

  constructor(config: KafkaConfig, ctx: SourceContext) {
    this.#config = config
    this.#ctx = ctx
    this.#formats = new TopicFormats(config, ctx.clock, (topic, records) =>
      ctx.metrics.count('source_passed_over_records_total', records, { source: ctx.name, topic }),
    )
  }

  read(after: Position | null, signal: AbortSignal): AsyncIterable<SourceBatch> {
    this.#reader = this.#read(after, AbortSignal.any([signal, this.#stop.signal]))
    return this.#reader
  }

  async ack(position: Position): Promise<void> {
    this.#group?.want(position)
    return Promise.resolve()
  }

  async decodeAgain(topic: string, batch: Batch, signal: AbortSignal): Promise<Decoded | null> {
    if (wantedOf(this.#config).settingsOf(topic) === null) return null
    const decoder = this.#formats.decoderOf(topic)
    for (const records of recordsOf(batch)) {
      for (let at = decoder.decode(records, 0); at < records.count;) {
        await decoder.prepare(signal)
        at = decoder.decode(records, at)
      }
    }
    return decoder.take()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort()
    // Runs what is left of the reader to its end.
    await this.#reader?.return(undefined).catch(() => {})
    await this.#storing
    await this.#group?.last()
    await this.#driver?.[Symbol.asyncDispose]()
    await this.#formats[Symbol.asyncDispose]()
  }

  async *#read(after: Position | null, signal: AbortSignal): AsyncGenerator<SourceBatch> {
    const { fetch, group, metadata_interval, on_deleted, restart } = this.#config
    const ctx = this.#ctx
    ctx.report({ state: 'starting', detail: '' })
    const wanted = wantedOf(this.#config)
    const driver = await openDriver(this.#config, ctx)
    this.#driver = driver
    const run = new SourceRun(
      {
        driver,
        follow: { wanted, group: group ?? null, onDeleted: on_deleted, restart },
        limits: {
          maxBytes: fetch.max_bytes,
          partitionBytes: fetch.partition_bytes,
          minBytes: fetch.min_bytes,
          maxWaitMs: fetch.max_wait,
        },
        metadataIntervalMs: metadata_interval,
        onLost: (topic) => wanted.settingsOf(topic)?.onLost ?? 'stop',
        errorOf: (name, partition) =>
          brokerError(name, { what: `read ${partition.name}`, topic: partition.topic.name }),
        decoderOf: (topic) => this.#formats.decoderOf(topic),
        ctx,
      },
      after,
    )
    if (group !== undefined) this.#tellGroup(driver, group, run)
    yield* run.read(signal)
  }

  #tellGroup(driver: KafkaDriver, group: string, run: SourceRun): void {
    const { clock, logger } = this.#ctx
    const isFollowed = (topic: string): boolean => run.isFollowed(topic)
    const offsets = new GroupOffsets({ driver, group, isFollowed, clock, logger })
    this.#group = offsets
    this.#storing = offsets.run(this.#stop.signal).catch((error: unknown) => {
      // It ends with the source; that something else ended it would be news.
      if (this.#stop.signal.aborted) return
      const reason = error instanceof SluiceError ? error.code : String(error)
      logger.warn('the group is not told any more how far the log is', { group, reason })
    })
  }
}

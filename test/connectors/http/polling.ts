/** A source that polls, read by a test that keeps what a log would: rows, position, history. */
import { http } from '../../../connectors/http/connector.ts'
import { parsePosition } from '../../../connectors/http/position.ts'
import type { SourceContext } from '../../../core/connector/context.ts'
import type { Position, Source, SourceBatch } from '../../../core/connector/source.ts'
import type { Batch } from '../../../core/record/batch.ts'
import { textAt } from '../../../core/record/value.ts'
import { keptContext, type KeptContext } from '../../support/context.ts'

/** What is in the log, life after life. */
export class Kept {
  readonly batches: { readonly topic: string; readonly batch: Batch; readonly atMs: number }[] = []
  readonly rejected: {
    readonly topic: string
    readonly batch: Batch
    readonly messages: string[]
  }[] = []
  position: Position | null = null

  /** The rows of a topic, with `-` before those that went, in the order they were written. */
  rows(topic: string): string[] {
    return this.batches.flatMap(({ topic: of, batch }) =>
      of === topic ? textsOf(batch).map(({ text }) => text) : [],
    )
  }

  /** What the rows of an upsert topic leave, by their first column. */
  folded(topic: string): string[] {
    const rows = new Map<string, string>()
    for (const { topic: of, batch } of this.batches) {
      if (of !== topic) continue
      for (const { key, text, weight } of textsOf(batch)) {
        if (weight < 0) rows.delete(key)
        else rows.set(key, text)
      }
    }
    return [...rows.values()].sort()
  }

  /** The state of a topic in the position. */
  state(topic: string) {
    return this.position === null ? undefined : parsePosition(this.position).poll?.[topic]
  }
}

/** Rows as exact texts. */
export function valuesOf({ schema, columns, rows }: Batch): (string | null)[][] {
  return Array.from({ length: rows }, (_, row) =>
    columns.map((column, at) => textAt(schema.fields[at]!.type, column, row)),
  )
}

function textsOf(batch: Batch): { key: string; text: string; weight: number }[] {
  return valuesOf(batch).map((values, row) => {
    const weight = batch.weights[row]!
    const sign = weight < 0 ? '-' : ''
    const shown = weight < 0 ? values.slice(0, 1) : values
    return { key: String(values[0]), text: sign + shown.map(String).join('|'), weight }
  })
}

/** One life of a source. */
export class Life implements AsyncDisposable {
  readonly kept: Kept
  readonly context: KeptContext
  readonly source: Source
  readonly #stop = new AbortController()
  readonly #reader: AsyncIterator<SourceBatch>

  private constructor(kept: Kept, context: KeptContext, source: Source) {
    this.kept = kept
    this.context = context
    this.source = source
    this.#reader = source.read(kept.position, this.#stop.signal)[Symbol.asyncIterator]()
  }

  /** `config`: the source's part of the pipeline file; its place in the log is where `kept` ends. */
  static async start(
    config: unknown,
    { kept = new Kept(), context = {} }: { kept?: Kept; context?: Partial<SourceContext> } = {},
  ): Promise<Life> {
    const ctx = keptContext({ pipeline: 'p', name: 'web', random: () => 0.01, ...context })
    const parsed = http.config.parse(config)
    const history: SourceContext['history'] = async function* (topic, sinceMs) {
      for (const { topic: of, batch, atMs } of kept.batches.slice()) {
        if (of === topic && atMs >= sinceMs) yield await Promise.resolve(batch)
      }
    }
    return new Life(kept, ctx, await http.open(parsed, { ...ctx, history }))
  }

  /** The next batch, which is committed with its position; its error is thrown. */
  async next(): Promise<SourceBatch> {
    const result = await this.#reader.next()
    if (result.done === true) throw new Error('the source has ended')
    const { value } = result
    const { changes, rejected = [], position } = value
    for (const change of changes) {
      if ('batch' in change) {
        this.kept.batches.push({ topic: change.topic, batch: change.batch, atMs: Date.now() })
      }
    }
    for (const { topic, batch, errors } of rejected) {
      this.kept.rejected.push({ topic, batch, messages: errors.map(({ message }) => message) })
    }
    if (position !== null) {
      this.kept.position = position
      await this.source.ack(position)
    }
    return value
  }

  async until(condition: () => boolean, batchesMax = 1000): Promise<void> {
    for (let i = 0; !condition(); i++) {
      if (i === batchesMax) throw new Error(`not so after ${batchesMax} batches`)
      await this.next()
    }
  }

  /** Until so many runs of a topic have ended in this life. */
  async runs(topic: string, count = 1): Promise<void> {
    for (let ended = 0; ended < count;) {
      const { position } = await this.next()
      if (position === null) continue
      const state = this.kept.state(topic)
      if (state !== undefined && state.page === undefined) ended++
    }
  }

  abort(): void {
    this.#stop.abort()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort()
    await this.source[Symbol.asyncDispose]()
  }
}

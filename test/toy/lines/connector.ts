/**
 * Toy source, written as a user would write one: follows a text file in which each line is one
 * transaction, a JSON array of [id, text] (text null = delete). Its position is the number of lines read.
 * It stands outside `connectors/` so that a test can show what adding a source takes.
 */
import { readFile } from 'node:fs/promises'
import { z } from 'zod'
import type { Context } from '../../../core/connector/context.ts'
import { position, type Position } from '../../../core/connector/source.ts'
import type { Source, SourceBatch, SourceConnector } from '../../../core/connector/source.ts'
import { makeBatch, Op, type Batch } from '../../../core/record/batch.ts'
import { Int32Builder } from '../../../core/record/builder.ts'
import { BytesBuilder } from '../../../core/record/bytes-builder.ts'
import { makeSchema } from '../../../core/record/schema.ts'

const config = z.strictObject({
  path: z.string().meta({ description: 'The file to follow.' }),
  topic: z.string().default('lines').meta({ description: 'Name of its one topic.' }),
})
type LinesConfig = z.infer<typeof config>

const line = z.array(z.tuple([z.number().int(), z.string().nullable()]))

export const linesSchema = makeSchema(
  [
    { name: 'id', type: { kind: 'int32' }, nullable: false },
    { name: 'text', type: { kind: 'text' }, nullable: true },
  ],
  [0],
  'upsert',
)

export const lines: SourceConnector<LinesConfig> = {
  kind: 'lines',
  config,
  check: async ({ path }) => {
    try {
      await readFile(path)
      return []
    } catch {
      const message = `${path} cannot be read`
      return [{ code: 'internal.bug', severity: 'error', message, remedy: `touch ${path}` }]
    }
  },
  open: async (config, ctx) => new LinesSource(config, ctx),
  atOrAfter: (a, b) => Number(a) >= Number(b),
}

/** Sources that are not disposed of yet, by the name of their context. */
export const openSources = new Set<string>()

class LinesSource implements Source {
  readonly #config: LinesConfig
  readonly #ctx: Context
  acknowledged: Position | null = null

  constructor(config: LinesConfig, ctx: Context) {
    this.#config = config
    this.#ctx = ctx
    openSources.add(ctx.name)
  }

  async *read(after: Position | null, signal: AbortSignal): AsyncIterable<SourceBatch> {
    let count = after === null ? 0 : Number(after)
    const { path, topic } = this.#config
    await readFile(path)
    signal.throwIfAborted()
    if (after === null) yield this.#batch([{ topic, batch: rows([], 0) }], '0')
    for (;;) {
      const text = (await readFile(path, 'utf8')).split('\n').slice(0, -1)
      for (const transaction of text.slice(count)) {
        count++
        const changes = line.parse(JSON.parse(transaction))
        yield this.#batch([{ topic, batch: rows(changes, this.#ctx.clock.nowMs()) }], String(count))
      }
      await this.#ctx.clock.sleep(20, signal)
    }
  }

  #batch(changes: SourceBatch['changes'], at: string): SourceBatch {
    return { changes, transaction: null, end: null, position: position(at) }
  }

  async ack(position: Position): Promise<void> {
    this.acknowledged = position
    await Promise.resolve()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    openSources.delete(this.#ctx.name)
    await Promise.resolve()
  }
}

function rows(changes: z.infer<typeof line>, nowMs: number): Batch {
  const ids = new Int32Builder()
  const texts = new BytesBuilder()
  for (const [id, text] of changes) {
    ids.append(id)
    if (text === null) texts.appendNull()
    else texts.appendString(text)
  }
  const weights = Int32Array.from(changes, ([, text]) => (text === null ? -1 : 1))
  const ops = Uint8Array.from(changes, ([, text]) => (text === null ? Op.delete : Op.update))
  const times = new Float64Array(changes.length).fill(nowMs * 1000)
  return makeBatch(linesSchema, [ids.finish(), texts.finish()], weights, ops, times)
}

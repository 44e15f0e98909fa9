/**
 * Toy sink: appends rows as JSON lines to one file a topic, each batch once: a batch's id stands in
 * its first line, and an id that is there already is not written again. See the toy source beside it.
 */
import { appendFile, mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import {
  absorbsAll,
  type Sink,
  type SinkBatch,
  type SinkConnector,
  type SinkResult,
} from '../../../core/connector/sink.ts'
import { SluiceError } from '../../../core/errors/error.ts'
import { jsonRows } from '../../../core/record/json.ts'

const config = z.strictObject({ folder: z.string().meta({ description: 'Where the files go.' }) })
type FileConfig = z.infer<typeof config>

export const file: SinkConnector<FileConfig> = {
  kind: 'file',
  config,
  delivery: 'idempotent',
  schemaChanges: absorbsAll,
  batching: () => ({ rowsMax: 1000, bytesMax: 1 << 20, pauseMsMin: 0, pauseMsMax: 0 }),
  check: async () => [],
  open: async (config) => new FileSink(config.folder),
}

/** What the tests make the next write suffer, in place of a target's network. */
export const fault: { loseAnswer: boolean; stall: Promise<void> | null } = {
  loseAnswer: false,
  stall: null,
}

class FileSink implements Sink {
  readonly #folder: string

  constructor(folder: string) {
    this.#folder = folder
  }

  async evolve(...[, , signal]: Parameters<Sink['evolve']>): Promise<void> {
    signal.throwIfAborted()
    await mkdir(this.#folder, { recursive: true })
  }

  async write({ id, topic, batch, offset }: SinkBatch, signal: AbortSignal): Promise<SinkResult> {
    signal.throwIfAborted()
    if (fault.stall !== null) await Promise.race([fault.stall, aborted(signal)])
    let text = `# ${id}\n`
    const json = jsonRows(batch)
    for (let row = 0; row < batch.rows; row++) {
      text += `${offset + row} ${batch.weights[row]} ${json(row)}\n`
    }
    await this.#append(topic, id, text)
    if (fault.loseAnswer) {
      fault.loseAnswer = false
      throw new SluiceError('sink.webhook.unreachable', { message: 'the answer is lost' })
    }
    return { rejected: [] }
  }

  async truncate(
    topic: string,
    { id, offset }: { id: string; offset: number },
    signal: AbortSignal,
  ): Promise<void> {
    signal.throwIfAborted()
    await this.#append(topic, id, `# ${id}\n${offset} truncate\n`)
  }

  async #append(topic: string, id: string, text: string): Promise<void> {
    await mkdir(this.#folder, { recursive: true })
    const path = join(this.#folder, `${encodeURIComponent(topic)}.txt`)
    const before = await readFile(path, 'utf8').catch(() => '')
    if (!before.includes(`# ${id}\n`)) await appendFile(path, text, { flush: true })
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    const stop = (): void => reject(signal.reason as Error)
    if (signal.aborted) stop()
    else signal.addEventListener('abort', stop, { once: true })
  })
}

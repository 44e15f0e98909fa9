/**
 * Toy sink: appends rows as JSON lines to one file a topic, each batch once: a batch's id stands in
 * its first line, and an id that is there already is not written again. See the toy source beside it.
 */
import { appendFile, mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import type { Sink, SinkBatch, SinkConnector, SinkResult } from '../../../core/connector/sink.ts'
import { jsonRows } from '../../../core/record/json.ts'

const config = z.strictObject({ folder: z.string().meta({ description: 'Where the files go.' }) })
type FileConfig = z.infer<typeof config>

export const file: SinkConnector<FileConfig> = {
  kind: 'file',
  config,
  delivery: 'idempotent',
  batching: () => ({ rowsMax: 1000, bytesMax: 1 << 20, pauseMsMin: 0, pauseMsMax: 0 }),
  check: async () => [],
  open: async (config) => new FileSink(config.folder),
}

class FileSink implements Sink {
  readonly #folder: string

  constructor(folder: string) {
    this.#folder = folder
  }

  async evolve(): Promise<void> {
    await mkdir(this.#folder, { recursive: true })
  }

  async write({ id, topic, batch, offset }: SinkBatch): Promise<SinkResult> {
    let text = `# ${id}\n`
    const json = jsonRows(batch)
    for (let row = 0; row < batch.rows; row++) {
      text += `${offset + row} ${batch.weights[row]} ${json(row)}\n`
    }
    await this.#append(topic, id, text)
    return { rejected: [] }
  }

  async truncate(topic: string, { id, offset }: { id: string; offset: number }): Promise<void> {
    await this.#append(topic, id, `# ${id}\n${offset} truncate\n`)
  }

  async #append(topic: string, id: string, text: string): Promise<void> {
    await mkdir(this.#folder, { recursive: true })
    const path = join(this.#folder, `${topic}.txt`)
    const before = await readFile(path, 'utf8').catch(() => '')
    if (!before.includes(`# ${id}\n`)) await appendFile(path, text, { flush: true })
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}

/** What Debezium wrote (recorder/record.ts), as Records, and a registry that knows its schemas. */
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import type { Records } from '../../../../core/connector/format/records.ts'
import { registryConfig } from '../../../../connectors/kafka/registry/config.ts'
import { SchemaRegistry } from '../../../../connectors/kafka/registry/client.ts'
import { keepAliveMs } from '../../../support/env.ts'

export type Form =
  'json' | 'json_schemas' | 'avro' | 'unwrapped' | 'unwrapped_schemas' | 'unwrapped_avro'

export interface Recorded {
  readonly form: Form
  readonly topic: string
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly headers: Readonly<Record<string, Buffer>>
}

function unzipped(name: string): string {
  return gunzipSync(readFileSync(join(import.meta.dirname, name))).toString('utf8')
}

const bufferOf = (text: string | null): Buffer | null =>
  text === null ? null : Buffer.from(text, 'base64')

/** All records of a file, in their order. */
export function recording(name: string): readonly Recorded[] {
  const lines = unzipped(`${name}.jsonl.gz`).split('\n')
  return lines.filter(Boolean).map((line) => {
    const { form, topic, key, value, headers } = JSON.parse(line) as {
      form: Form
      topic: string
      key: string | null
      value: string | null
      headers: Record<string, string>
    }
    const entries = Object.entries(headers).map(([header, text]) => [
      header,
      Buffer.from(text, 'base64'),
    ])
    return {
      form,
      topic,
      key: bufferOf(key),
      value: bufferOf(value),
      headers: Object.fromEntries(entries) as Record<string, Buffer>,
    }
  })
}

function varint(value: number): Buffer {
  const bytes: number[] = []
  let zigzag = (value << 1) ^ (value >> 31)
  for (; zigzag > 0x7f; zigzag >>>= 7) bytes.push((zigzag & 0x7f) | 0x80)
  return Buffer.from([...bytes, zigzag])
}

function headersOf(headers: Recorded['headers']): Buffer {
  const entries = Object.entries(headers)
  const parts = entries.flatMap(([name, value]) => [
    varint(Buffer.byteLength(name)),
    Buffer.from(name),
    varint(value.length),
    value,
  ])
  return Buffer.concat([varint(entries.length), ...parts])
}

/** In one partition; each value between bytes that are not its own. */
export function recordsOf(
  recorded: readonly Pick<Recorded, 'key' | 'value' | 'headers'>[],
  { partition = 0, offset = 0 } = {},
): Records {
  const pieces: Buffer[] = [Buffer.from([0xfe])]
  let length = 1
  const ranges = (): { starts: Int32Array; ends: Int32Array } => ({
    starts: new Int32Array(recorded.length).fill(-1),
    ends: new Int32Array(recorded.length).fill(-1),
  })
  const [keys, values, headers] = [ranges(), ranges(), ranges()]
  const add = (into: typeof keys, i: number, bytes: Buffer | null): void => {
    if (bytes === null) return
    into.starts[i] = length
    into.ends[i] = length + bytes.length
    pieces.push(bytes, Buffer.from([0x7d]))
    length += bytes.length + 1
  }
  recorded.forEach((record, i) => {
    add(keys, i, record.key)
    add(values, i, record.value)
    add(headers, i, headersOf(record.headers))
  })
  return {
    bytes: Buffer.concat(pieces),
    count: recorded.length,
    keyStarts: keys.starts,
    keyEnds: keys.ends,
    valueStarts: values.starts,
    valueEnds: values.ends,
    headerStarts: headers.starts,
    headerEnds: headers.ends,
    timesUs: new Float64Array(recorded.length).fill(1_700_000_000_000_000),
    offsets: Float64Array.from(recorded, (_, i) => offset + i),
    partition,
  }
}

/** Answers as the registry did that the recordings were made with. */
export class RecordedRegistry implements AsyncDisposable {
  readonly registry: SchemaRegistry
  readonly url: string
  readonly #close: () => Promise<void>

  private constructor(registry: SchemaRegistry, url: string, close: () => Promise<void>) {
    this.registry = registry
    this.url = url
    this.#close = close
  }

  /** `newest`: subject → id. */
  static async start(newest: Readonly<Record<string, number>> = {}): Promise<RecordedRegistry> {
    const schemas = JSON.parse(unzipped('schemas.json.gz')) as Record<string, string>
    const server = createServer((request, response) => {
      const path = decodeURIComponent(request.url ?? '')
      const subject = /^\/subjects\/(.*)\/versions\/latest$/.exec(path)?.[1]
      const id = subject === undefined ? Number(/(\d+)$/.exec(path)?.[1] ?? NaN) : newest[subject]
      const schema = schemas[id ?? -1]
      response.writeHead(schema === undefined ? 404 : 200)
      const code = subject === undefined ? 40403 : 40401
      response.end(
        JSON.stringify(
          schema === undefined ? { error_code: code, message: 'not there' } : { schema, id },
        ),
      )
    })
    server.keepAliveTimeout = keepAliveMs
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as AddressInfo
    const url = `http://127.0.0.1:${port}`
    const config = registryConfig.parse({ url })
    const registry = new SchemaRegistry(config, { nowMs: () => Date.now() })
    return new RecordedRegistry(registry, url, async () => {
      await registry[Symbol.asyncDispose]()
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    })
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#close()
  }
}

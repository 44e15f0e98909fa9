/**
 * One GET to the registry: asked with a time-out, answered within a bound of bytes, and every way to
 * fail told as one of Sluice's errors. Redirects are not followed: they would carry the credentials to
 * whoever is named there.
 */
import { Agent, request } from 'undici'
import { z } from 'zod'
import { socketFault } from '../../../core/connector/socket-error.ts'
import { SluiceError } from '../../../core/errors/error.ts'
import type { RegistryConfig } from './config.ts'

/** Confluent's registry keeps a schema in one Kafka message, of 1 MiB by default. */
const answerBytesMax = 8 * 1024 * 1024

export interface RegistryAnswer {
  /** Only in answers about a version. */
  readonly id: number | null
  readonly type: 'AVRO' | 'PROTOBUF' | 'JSON'
  readonly text: string
  readonly references: readonly {
    readonly name: string
    readonly subject: string
    readonly version: number
  }[]
}

const answerShape = z.object({
  id: z.int().nullish(),
  schema: z.string(),
  schemaType: z.enum(['AVRO', 'PROTOBUF', 'JSON']).nullish(),
  references: z
    .array(z.object({ name: z.string(), subject: z.string(), version: z.int() }))
    .nullish(),
})
const errorShape = z.object({ error_code: z.int(), message: z.string().optional() })

export class RegistryHttp implements AsyncDisposable {
  /** Without credentials: for messages. */
  readonly origin: string
  readonly #base: string
  readonly #agent: Agent
  readonly #headers: Readonly<Record<string, string>>
  readonly #timeoutMs: number

  constructor(config: RegistryConfig) {
    const url = new URL(config.url)
    this.origin = url.host
    this.#base = url.href.replace(/[?#].*$/, '').replace(/\/*$/, '/')
    this.#timeoutMs = config.timeout
    this.#headers = {
      accept: 'application/vnd.schemaregistry.v1+json, application/json',
      ...authorization(config),
    }
    this.#agent = new Agent({
      connections: 4,
      connect: {
        timeout: config.timeout,
        ...(config.ca !== undefined && { ca: config.ca }),
        ...(config.cert !== undefined && { cert: config.cert }),
        ...(config.key !== undefined && { key: config.key.reveal() }),
      },
    })
  }

  /** null: the registry knows no such id, subject or version. */
  async get(path: string, signal: AbortSignal): Promise<RegistryAnswer | null> {
    const text = await this.#textOf(path, signal)
    return text === null ? null : this.#answerOf(text)
  }

  /** Numbers of a subject's versions; none where there is no such subject. */
  async versions(subject: string, signal: AbortSignal): Promise<readonly number[]> {
    const text = await this.#textOf(`subjects/${encodeURIComponent(subject)}/versions`, signal)
    if (text === null) return []
    const numbers = z.array(z.int()).safeParse(jsonOf(text))
    if (!numbers.success) throw this.notRegistry('its answer is no list of versions')
    return numbers.data
  }

  /** Names only; none where the registry does not tell them. */
  async subjects(signal: AbortSignal): Promise<readonly string[]> {
    const [status, text] = await this.#ask('subjects', signal)
    const names = status === 200 ? z.array(z.string()).safeParse(jsonOf(text)) : null
    return names?.success === true ? names.data : []
  }

  /** That what answers there is no registry, and why. */
  notRegistry(why: string): SluiceError {
    return new SluiceError('source.kafka.registry_answer', {
      message: `What answers at ${this.origin} is no schema registry: ${why}.`,
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#agent.destroy()
  }

  /** The body of a success; null where the registry knows no such thing. */
  async #textOf(path: string, signal: AbortSignal): Promise<string | null> {
    const [status, text, retryAfterMs] = await this.#ask(path, signal)
    if (status === 200) return text
    const said = errorOf(text)
    // 40401 subject, 40402 version, 40403 schema; a 404 without them is no registry's.
    if (status === 404 && said !== null && said.code > 40_400 && said.code < 40_500) return null
    const what = `The registry ${this.origin} answered ${status} to /${path}${said === null ? '' : `: ${said.message}`}.`
    if (status === 401 || status === 403) {
      throw new SluiceError('source.kafka.registry_auth', { message: what })
    }
    if (status >= 500 || status === 408 || status === 429) {
      throw new SluiceError('source.kafka.registry_unreachable', {
        message: what,
        ...(retryAfterMs !== null && { retryAfterMs }),
      })
    }
    throw new SluiceError('source.kafka.registry_answer', { message: what })
  }

  async #ask(
    path: string,
    signal: AbortSignal,
  ): Promise<[status: number, text: string, retryAfterMs: number | null]> {
    const deadline = AbortSignal.timeout(this.#timeoutMs)
    try {
      const answer = await request(this.#base + path, {
        dispatcher: this.#agent,
        headers: this.#headers,
        signal: AbortSignal.any([signal, deadline]),
      })
      const text = await this.#bodyOf(answer.body)
      const seconds = Number(answer.headers['retry-after'] ?? NaN)
      return [answer.statusCode, text, seconds >= 0 && seconds < 86_400 ? seconds * 1000 : null]
    } catch (thrown) {
      signal.throwIfAborted()
      if (thrown instanceof SluiceError) throw thrown
      throw this.#noAnswer(thrown, deadline.aborted)
    }
  }

  async #bodyOf(body: AsyncIterable<Uint8Array>): Promise<string> {
    const parts: Uint8Array[] = []
    let bytes = 0
    for await (const part of body) {
      bytes += part.length
      if (bytes > answerBytesMax) {
        throw this.notRegistry(`an answer is longer than ${answerBytesMax} bytes`)
      }
      parts.push(part)
    }
    return Buffer.concat(parts).toString('utf8')
  }

  #answerOf(text: string): RegistryAnswer {
    const answer = answerShape.safeParse(jsonOf(text))
    if (!answer.success) throw this.notRegistry('its answer holds no schema')
    const { id, schema, schemaType, references } = answer.data
    return {
      id: id ?? null,
      type: schemaType ?? 'AVRO',
      text: schema,
      references: references ?? [],
    }
  }

  #noAnswer(thrown: unknown, late: boolean): SluiceError {
    if (late) {
      return new SluiceError('source.kafka.registry_unreachable', {
        message: `The registry ${this.origin} gave no answer within ${this.#timeoutMs} ms.`,
        cause: thrown,
      })
    }
    const [code, message] = reasonOf(thrown)
    const kind = socketFault(code)
    return new SluiceError(
      kind === 'tls' ? 'source.kafka.registry_tls' : 'source.kafka.registry_unreachable',
      { message: `Could not ask the registry ${this.origin}: ${message}.`, cause: thrown },
    )
  }
}

function authorization({ username, password, token }: RegistryConfig): Record<string, string> {
  if (token !== undefined) return { authorization: `Bearer ${token.reveal()}` }
  if (username === undefined) return {}
  const pair = Buffer.from(`${username}:${password?.reveal() ?? ''}`)
  return { authorization: `Basic ${pair.toString('base64')}` }
}

function errorOf(text: string): { readonly code: number; readonly message: string } | null {
  const said = errorShape.safeParse(jsonOf(text))
  if (!said.success) return null
  const { error_code: code, message = 'no reason given' } = said.data
  return { code, message: message.slice(0, 300).replace(/[.\s]+$/, '') }
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch {
    return null
  }
}

/** Code and text of what undici threw; a connection tried at several addresses hides them one level down. */
function reasonOf(thrown: unknown): [code: string, message: string] {
  const first: unknown = thrown instanceof AggregateError ? thrown.errors[0] : thrown
  if (!(first instanceof Error)) return ['', String(first)]
  const code = 'code' in first && typeof first.code === 'string' ? first.code : ''
  return [code, first.message.replace(/[.\s]+$/, '')]
}

/**
 * The schema registry as a reader of records sees it: Confluent's REST API, which Apicurio, Karapace and
 * Redpanda speak too.
 *
 *   GET /schemas/ids/{id}                  → {schema, schemaType?, references?}     404 + 40403: no such id
 *   GET /subjects/{s}/versions             → [version, …]                        404 + 40401
 *   GET /subjects/{s}/versions/{v|latest}  → the same and {id, version}             404 + 40401, 40402
 *
 * `schemaType` is left out for Avro. What a schema refers to is fetched with it, each once. An id never
 * gets another schema, so what was read is kept for ever, up to a bound of bytes; that an id is not
 * there is believed for a while only.
 */
import type { Clock } from '../../../core/connector/context.ts'
import { SluiceError } from '../../../core/errors/error.ts'
import type { RegistryConfig } from './config.ts'
import { RegistryHttp, type RegistryAnswer } from './http.ts'

export type SchemaType = 'AVRO' | 'PROTOBUF' | 'JSON'

/** A schema that another one refers to by `name`: a type's full name, the path of an import, a URI. */
export interface ReferencedSchema {
  readonly name: string
  readonly text: string
}

export interface RegisteredSchema {
  /** Its id in the registry. */
  readonly id: number
  readonly type: SchemaType
  readonly text: string
  /** All that it refers to, directly or not; a schema stands behind those that it refers to itself. */
  readonly references: readonly ReferencedSchema[]
}

/** Characters of schemas that are kept. */
const keptCharactersMax = 32 * 1024 * 1024
/** Of one schema and those, in characters. */
const charactersMax = 16 * 1024 * 1024
/** Versions of one subject that are asked for. */
const versionsMax = 100
/** Schemas that one schema may refer to, directly or not. */
const referencesMax = 200
/** How long an id that was not there is not asked for again. */
const missingForMs = 30_000
const missingMax = 1000

export class SchemaRegistry implements AsyncDisposable {
  readonly clock: Pick<Clock, 'nowMs'>
  readonly #http: RegistryHttp
  /** Oldest use first. */
  readonly #kept = new Map<number, RegisteredSchema>()
  #keptCharacters = 0
  /** By id, until when its absence is believed. */
  readonly #missing = new Map<number, number>()

  constructor(config: RegistryConfig, clock: Pick<Clock, 'nowMs'>) {
    this.#http = new RegistryHttp(config)
    this.clock = clock
  }

  /** Host and port, for messages. */
  get origin(): string {
    return this.#http.origin
  }

  /**
   * The schema of an id. Throws `source.kafka.schema_unknown` where there is none, and
   * `source.kafka.registry_*`.
   */
  async schema(id: number, signal: AbortSignal): Promise<RegisteredSchema> {
    const kept = this.#kept.get(id)
    if (kept !== undefined) {
      this.#kept.delete(id)
      this.#kept.set(id, kept)
      return kept
    }
    if ((this.#missing.get(id) ?? 0) > this.clock.nowMs()) throw this.#unknown(id)
    const answer = await this.#http.get(`schemas/ids/${id}`, signal)
    if (answer === null) {
      if (this.#missing.size >= missingMax) this.#missing.clear()
      this.#missing.set(id, this.clock.nowMs() + missingForMs)
      throw this.#unknown(id)
    }
    return this.#keep(id, await this.#resolved(id, answer, signal))
  }

  /** The newest schema of a subject; null where there is no such subject. Asks the registry every time. */
  async latest(subject: string, signal: AbortSignal): Promise<RegisteredSchema | null> {
    const answer = await this.#http.get(versionPath(subject, 'latest'), signal)
    return answer === null ? null : this.#schemaOf(subject, answer, signal)
  }

  /** The schemas of a subject, newest first, the oldest of very many left out; none where there is no such subject. */
  async versions(subject: string, signal: AbortSignal): Promise<readonly RegisteredSchema[]> {
    const numbers = [...(await this.#http.versions(subject, signal))].sort((a, b) => b - a)
    const schemas: RegisteredSchema[] = []
    for (const number of numbers.slice(0, versionsMax)) {
      const answer = await this.#http.get(versionPath(subject, String(number)), signal)
      // Deleted in the meantime.
      if (answer !== null) schemas.push(await this.#schemaOf(subject, answer, signal))
    }
    return schemas
  }

  /** All subjects; none where this user may not list them. */
  async subjects(signal: AbortSignal): Promise<readonly string[]> {
    return this.#http.subjects(signal)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#http[Symbol.asyncDispose]()
  }

  async #schemaOf(
    subject: string,
    answer: RegistryAnswer,
    signal: AbortSignal,
  ): Promise<RegisteredSchema> {
    const { id } = answer
    if (id === null) throw this.#http.notRegistry(`a version of ${subject} has no id`)
    return this.#kept.get(id) ?? this.#keep(id, await this.#resolved(id, answer, signal))
  }

  async #resolved(
    id: number,
    answer: RegistryAnswer,
    signal: AbortSignal,
  ): Promise<RegisteredSchema> {
    const references: ReferencedSchema[] = []
    const begun = new Set<string>()
    let characters = answer.text.length
    const follow = async (from: RegistryAnswer): Promise<void> => {
      for (const { name, subject, version } of from.references) {
        // A circle ends here too: what was begun is not begun again.
        if (begun.has(name)) continue
        begun.add(name)
        if (begun.size > referencesMax) {
          throw invalid(`Schema ${id} refers to more than ${referencesMax} others.`)
        }
        const target = await this.#http.get(versionPath(subject, String(version)), signal)
        if (target === null) {
          throw invalid(
            `Schema ${id} refers to version ${version} of ${subject}, which ${this.origin} does not have.`,
          )
        }
        characters += target.text.length
        if (characters > charactersMax)
          throw invalid(`Schema ${id} and those it refers to are longer than ${charactersMax}.`)
        await follow(target)
        references.push({ name, text: target.text })
      }
    }
    await follow(answer)
    return { id, type: answer.type, text: answer.text, references }
  }

  #keep(id: number, schema: RegisteredSchema): RegisteredSchema {
    // Several topics may have asked for it at once.
    const before = this.#kept.get(id)
    if (before !== undefined) return before
    this.#kept.set(id, schema)
    this.#keptCharacters += charactersOf(schema)
    for (const [oldest, entry] of this.#kept) {
      if (this.#keptCharacters <= keptCharactersMax || oldest === id) break
      this.#kept.delete(oldest)
      this.#keptCharacters -= charactersOf(entry)
    }
    return schema
  }

  #unknown(id: number): SluiceError {
    return new SluiceError('source.kafka.schema_unknown', {
      message: `The registry ${this.origin} has no schema with id ${id}.`,
    })
  }
}

function versionPath(subject: string, version: string): string {
  return `subjects/${encodeURIComponent(subject)}/versions/${version}`
}

function charactersOf({ text, references }: RegisteredSchema): number {
  return references.reduce((sum, reference) => sum + reference.text.length, text.length)
}

function invalid(message: string): SluiceError {
  return new SluiceError('source.kafka.schema_invalid', { message })
}

/** The decoders of topics, as the pipeline file wants them; one registry client for all that name the same one. */
import type { Clock } from '../../core/connector/context.ts'
import { keyFormat, plainDecoder, valueFormat } from '../../core/connector/format/format-config.ts'
import type { RecordDecoder, ValueFormat } from '../../core/connector/format/format.ts'
import { PlainDecoder } from '../../core/connector/format/record-decoder.ts'
import { wantedOf, type KafkaConfig, type WantedTopic } from './config.ts'
import { extraColumns } from './extra-columns.ts'
import {
  isSchemaFormat,
  plainSettings,
  schemaSettings,
  type RecordsConfig,
} from './records-config.ts'
import { SchemaRegistry } from './registry/client.ts'
import type { RegistryConfig } from './registry/config.ts'
import type { WantedSubject } from './registry/preflight.ts'
import { codecOf, schemaFormat, subjectOf } from './schema-config.ts'
import type { TopicsWanted } from './topics-wanted.ts'

/** What the column of a schema is called that is no record. */
const valueColumn = 'value'
const keyColumn = 'key'

export class TopicFormats implements AsyncDisposable {
  readonly #wanted: TopicsWanted<WantedTopic>
  readonly #clock: Pick<Clock, 'nowMs'>
  readonly #registries = new Map<RegistryConfig, SchemaRegistry>()

  constructor(config: KafkaConfig, clock: Pick<Clock, 'nowMs'>) {
    this.#wanted = wantedOf(config)
    this.#clock = clock
  }

  /** A new one. Throws what is wrong with a schema of the pipeline file. */
  decoderOf(topic: string): RecordDecoder {
    const { records } = this.#wanted.settingsOf(topic)!
    const extra = extraColumns(records.columns ?? {})
    const plain = plainSettings(records)
    const keyIsPlain = records.key_format === undefined || !isSchemaFormat(records.key_format)
    if (plain !== null && keyIsPlain) return plainDecoder(topic, plain, extra)
    return new PlainDecoder({
      topic,
      value: plain === null ? this.#value(topic, records) : valueFormat(plain),
      key: this.#key(topic, records),
      keyColumns: records.key ?? [],
      extra,
      tombstones: records.tombstones ?? 'delete',
    })
  }

  /** What the registry is asked for before the first record. */
  subjectsOf(topic: string): readonly WantedSubject[] {
    const { records } = this.#wanted.settingsOf(topic)!
    const { key_format: keyFormat, key = [], avro_schema, proto } = records
    const settings = schemaSettings(records)
    const wanted: WantedSubject[] = []
    if (settings !== null && avro_schema === undefined && proto === undefined) {
      const codec = codecOf(settings, { column: valueColumn, part: 'value' })
      wanted.push({ topic, subject: subjectOf(settings, topic, 'value'), codec })
    }
    if (keyFormat !== undefined && isSchemaFormat(keyFormat)) {
      const column = key[0] ?? keyColumn
      const codec = codecOf({ format: keyFormat }, { column, part: 'key' })
      wanted.push({ topic, subject: subjectOf({}, topic, 'key'), codec })
    }
    return wanted
  }

  /** null = it has none. */
  registryOf(topic: string): SchemaRegistry | null {
    return this.#registry(this.#wanted.settingsOf(topic)!.records)
  }

  #value(topic: string, records: RecordsConfig): ValueFormat {
    const registry = this.#registry(records)
    return schemaFormat(schemaSettings(records)!, {
      topic,
      part: 'value',
      column: valueColumn,
      registry,
    })
  }

  #key(topic: string, records: RecordsConfig): ValueFormat | null {
    const { key_format: format, key = [] } = records
    if (format === undefined) return null
    if (!isSchemaFormat(format)) {
      const { schema, epoch } = records
      return keyFormat({ format: 'json', keyFormat: format, key, schema, epoch })
    }
    const column = key[0] ?? keyColumn
    const registry = this.#registry(records)
    return schemaFormat({ format }, { topic, part: 'key', column, registry })
  }

  #registry({ registry: config }: RecordsConfig): SchemaRegistry | null {
    if (config === undefined) return null
    let registry = this.#registries.get(config)
    if (registry === undefined) {
      registry = new SchemaRegistry(config, this.#clock)
      this.#registries.set(config, registry)
    }
    return registry
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const registry of this.#registries.values()) await registry[Symbol.asyncDispose]()
  }
}

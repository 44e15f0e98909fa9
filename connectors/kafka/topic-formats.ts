/** The decoders of topics, as the pipeline file wants them; one registry client for all that name the same one. */
import type { Clock } from '../../core/connector/context.ts'
import { keyFormat, plainDecoder, valueFormat } from '../../core/connector/format/format-config.ts'
import type { RecordDecoder, ValueFormat } from '../../core/connector/format/format.ts'
import { recordColumns } from '../../core/connector/format/record-columns.ts'
import { PlainDecoder } from '../../core/connector/format/record-decoder.ts'
import { SluiceError } from '../../core/errors/error.ts'
import type { Field } from '../../core/record/schema.ts'
import { wantedOf, type KafkaConfig, type WantedTopic } from './config.ts'
import { debeziumSettings } from './debezium/config.ts'
import { DebeziumDecoder } from './debezium/decoder.ts'
import { DebeziumTopic } from './debezium/topic.ts'
import { extraColumns } from './extra-columns.ts'
import {
  isSchemaFormat,
  lacksSchema,
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

type PassedOver = (topic: string, records: number) => void
const nothing: PassedOver = () => {}

export class TopicFormats implements AsyncDisposable {
  readonly #wanted: TopicsWanted<WantedTopic>
  readonly #clock: Pick<Clock, 'nowMs'>
  readonly #registries = new Map<RegistryConfig, SchemaRegistry>()
  /** What is known of topics of change events, by all their decoders. */
  readonly #changes = new Map<string, DebeziumTopic>()

  readonly #passed: PassedOver

  /** `passed`: told of records that are no rows and no dead letters either. */
  constructor(config: KafkaConfig, clock: Pick<Clock, 'nowMs'>, passed: PassedOver = nothing) {
    this.#wanted = wantedOf(config)
    this.#clock = clock
    this.#passed = passed
  }

  /** A new one. Throws what is wrong with a schema of the pipeline file. */
  decoderOf(topic: string): RecordDecoder {
    const { records } = this.#wanted.settingsOf(topic)!
    if (lacksSchema(records)) throw schemaMissing(topic)
    const extra = extraColumns(records.columns ?? {})
    if (records.format === 'debezium') return this.#debezium(topic, records)
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
    const { format, encoding, registry } = records
    if (format === 'debezium' && encoding !== 'json' && registry !== undefined) {
      const codec = codecOf({ format: 'avro' }, { column: valueColumn, part: 'value' })
      wanted.push({ topic, part: 'value', subject: subjectOf(records, topic, 'value'), codec })
    }
    if (settings !== null && avro_schema === undefined && proto === undefined) {
      const codec = codecOf(settings, { column: valueColumn, part: 'value' })
      wanted.push({ topic, part: 'value', subject: subjectOf(settings, topic, 'value'), codec })
    }
    if (keyFormat !== undefined && isSchemaFormat(keyFormat)) {
      const column = key[0] ?? keyColumn
      const codec = codecOf({ format: keyFormat }, { column, part: 'key' })
      wanted.push({ topic, part: 'key', subject: subjectOf({}, topic, 'key'), codec })
    }
    return wanted
  }

  /**
   * The columns of a topic, of which the registry told some: throws `format.schema` where they do not go
   * together or have no column of `key`. Nothing can be said of fields that are not known, nor of change
   * events, whose schema is that of their envelope.
   */
  checkColumns(topic: string, told: readonly WantedSubject[]): void {
    const { records } = this.#wanted.settingsOf(topic)!
    if (records.format === 'debezium') return
    const fieldsOf = (part: 'value' | 'key', format: ValueFormat | null): readonly Field[] | null =>
      told.find((one) => one.part === part)?.codec.fields ?? (format === null ? [] : format.fields)
    const plain = plainSettings(records)
    const value = plain === null ? this.#value(topic, records) : valueFormat(plain)
    const valueFields = fieldsOf('value', value)
    const keyFields = fieldsOf('key', this.#key(topic, records))
    if (valueFields === null || keyFields === null) return
    recordColumns({
      topic,
      valueFields,
      keyFields,
      extraFields: extraColumns(records.columns ?? {}).map(({ field }) => field),
      keyColumns: records.key ?? [],
    })
  }

  /** null = it has none. */
  registryOf(topic: string): SchemaRegistry | null {
    return this.#registry(this.#wanted.settingsOf(topic)!.records)
  }

  #debezium(name: string, records: RecordsConfig): RecordDecoder {
    let topic = this.#changes.get(name)
    if (topic === undefined) {
      topic = new DebeziumTopic(name, debeziumSettings(records))
      this.#changes.set(name, topic)
    }
    return new DebeziumDecoder({
      topic,
      extra: extraColumns(records.columns ?? {}),
      registry: this.#registry(records),
      subject: subjectOf(records, name, 'value'),
      passed: (count) => this.#passed(name, count),
    })
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

function schemaMissing(topic: string): SluiceError {
  return new SluiceError('format.schema', {
    message: `${topic} has no \`schema\`: nobody says which columns its records have.`,
    remedy: `sluice schema infer <file> --topic ${topic} proposes one from some of its records.`,
  })
}

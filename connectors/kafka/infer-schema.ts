/** `sluice schema infer`: a look at the newest records of a topic, and the schema that they would fit. */
import type { Context } from '../../core/connector/context.ts'
import type { PlainSettings } from '../../core/connector/format/format-config.ts'
import { inferSchema } from '../../core/connector/format/infer.ts'
import { sampleValues } from '../../core/connector/format/sample.ts'
import { didYouMean } from '../../core/connector/nearest.ts'
import type { SchemaProposal, SchemaQuestion } from '../../core/connector/schema-proposal.ts'
import { SluiceError } from '../../core/errors/error.ts'
import { wantedOf, type KafkaConfig } from './config.ts'
import { debeziumSettings } from './debezium/config.ts'
import { eventRemarks, eventRows } from './debezium/sample.ts'
import type { KafkaDriver, KafkaTopic } from './driver.ts'
import { openDriver } from './drivers.ts'
import { fetchedEnd } from './fetched-end.ts'
import { RecordBatches } from './record-batches.ts'
import { plainSettings, type RecordsConfig } from './records-config.ts'
import { topicMissing } from './topic-identity.ts'

const limits = { minBytes: 1, maxBytes: 4 << 20, maxWaitMs: 500 }

export async function inferKafkaSchema(
  config: KafkaConfig,
  question: SchemaQuestion,
  ctx: Context,
  signal: AbortSignal,
): Promise<SchemaProposal> {
  const { recordsMax, samples } = question
  if (samples !== undefined) {
    const name = named(config, question.topic)
    const settings = settingsOf(config, name)
    const values = samples.flatMap((one) => sampleValues(settings, one))
    return proposal(config, name, values)
  }
  // What no entry of `topics` fits may well exist.
  if (question.topic !== null) settingsOf(config, named(config, question.topic))
  await using driver = await openDriver(config, ctx)
  const topic = await chosen(driver, config, question.topic, signal)
  settingsOf(config, topic.name)
  return proposal(config, topic.name, await sample(driver, topic, recordsMax, signal))
}

/** How its values are written. Throws where they say themselves what they are made of. */
function settingsOf(config: KafkaConfig, name: string): PlainSettings {
  const words = wantedOf(config).settingsOf(name)!.records
  const settings = words.format === 'debezium' ? { format: 'json' as const } : plainSettings(words)
  if (settings === null) throw ownSchema(name)
  return settings
}

function proposal(
  config: KafkaConfig,
  name: string,
  values: readonly Uint8Array[],
): SchemaProposal {
  const words = wantedOf(config).settingsOf(name)!.records
  if (words.format === 'debezium') return eventsProposal(words, values, place(config, name))
  const { schema, records, remarks } = inferSchema(settingsOf(config, name), values)
  return { schema, records, remarks, ...place(config, name) }
}

/** The topic that samples are of, without asking a broker which there are. */
function named(config: KafkaConfig, name: string | null): string {
  const wanted = wantedOf(config)
  const only = wanted.patterns.length === 0 && wanted.names.length === 1 ? wanted.names[0]! : null
  const found = name ?? only
  if (found !== null && wanted.settingsOf(found) !== null) return found
  const names = [...wanted.names, ...wanted.patterns]
  throw new SluiceError('source.kafka.topic_missing', {
    message: `Which topic? There are ${names.slice(0, 20).join(', ')}.`,
    remedy: (found === null ? null : didYouMean(found, names)) ?? 'Say which with --topic.',
  })
}

function eventsProposal(
  words: RecordsConfig,
  values: readonly Uint8Array[],
  where: Pick<SchemaProposal, 'topic' | 'path'>,
): SchemaProposal {
  const settings = debeziumSettings(words)
  const { rows, described } = eventRows(values, settings)
  if (described > 0) throw ownSchema(where.topic)
  const { schema, records, remarks } = inferSchema({ format: 'json' }, rows)
  const { [settings.opField]: _op, [settings.deletedField]: _deleted, ...columns } = schema
  const own = settings.unwrapped ? columns : schema
  return { schema: own, records, remarks: [...remarks, ...eventRemarks], ...where }
}

function ownSchema(topic: string): SluiceError {
  return new SluiceError('format.schema', {
    message: `${topic}: its format has a schema of its own.`,
    remedy: 'Nothing: the columns come from the schema of the records.',
  })
}

/** Where the proposal belongs. */
function place(config: KafkaConfig, topic: string): Pick<SchemaProposal, 'topic' | 'path'> {
  const wanted = wantedOf(config)
  const entry = wanted.names.includes(topic) ? topic : wanted.patternOf(topic)!
  return { topic, path: Array.isArray(config.topics) ? [] : ['topics', entry] }
}

async function chosen(
  driver: KafkaDriver,
  config: KafkaConfig,
  name: string | null,
  signal: AbortSignal,
): Promise<KafkaTopic> {
  const wanted = wantedOf(config)
  const all = await driver.topics(name === null ? wanted.asked : [name], signal)
  const found = all.filter((topic) => wanted.settingsOf(topic.name) !== null)
  const [first] = found
  if (first !== undefined && found.length === 1) return first
  if (first === undefined)
    throw topicMissing(name ?? [...wanted.names, ...wanted.patterns].join(', '))
  const names = found.map((topic) => topic.name)
  throw new SluiceError('source.kafka.topic_missing', {
    message: `Which topic? There are ${names.slice(0, 20).join(', ')}.`,
    remedy: 'Say which with --topic.',
  })
}

/** The newest values, of all partitions alike. */
async function sample(
  driver: KafkaDriver,
  topic: KafkaTopic,
  recordsMax: number,
  signal: AbortSignal,
): Promise<readonly Uint8Array[]> {
  const places = topic.partitions.map(({ partition }) => ({ topic: topic.name, partition }))
  const firsts = await driver.offsets(places, 'earliest', signal)
  const ends = await driver.offsets(places, 'latest', signal)
  const each = Math.ceil(recordsMax / Math.max(1, topic.partitions.length))
  const values: Uint8Array[] = []
  const batches = new RecordBatches()
  for (const { partition, leader } of topic.partitions) {
    const offsetOf = (list: typeof ends): number =>
      Number(list.find((found) => found.partition === partition)?.offset ?? 0n)
    const end = offsetOf(ends)
    let next = Math.max(offsetOf(firsts), end - each)
    if (leader === null) continue
    while (next < end && values.length < recordsMax) {
      const place = { topic: topic.name, partition, offset: BigInt(next) }
      const asked = [{ ...place, maxBytes: limits.maxBytes }]
      const [fetched] = await driver.fetch(leader, asked, limits, signal)
      if (fetched === undefined || fetched.error !== null) break
      batches.open(fetched, partition)
      for (let records = batches.next(); records !== null; records = batches.next()) {
        for (let i = 0; i < records.count && values.length < recordsMax; i++) {
          const start = records.valueStarts[i]!
          if (start < 0 || records.offsets[i]! < next) continue
          // The memory is used again for the next records.
          values.push(records.bytes.slice(start, records.valueEnds[i]!))
        }
      }
      next = Math.max(next + 1, fetchedEnd(fetched.records, next))
    }
  }
  return values
}

/**
 * The `type: kafka` source in the pipeline file. Types, defaults, documentation and JSON Schema all come
 * from this one schema. What stands on the source holds for all its topics; a topic may say otherwise.
 */
import { z } from 'zod'
import { durationText } from '../../core/connector/duration.ts'
import { letterBudgetSchema } from '../../core/connector/letter-budget.ts'
import { sizeText } from '../../core/connector/size.ts'
import { matchTopic } from '../../core/connector/topic-pattern.ts'
import { brokersConfig } from './broker-address.ts'
import { debeziumWords } from './debezium/config.ts'
import { saslConfig, tlsConfig } from './security-config.ts'
import { sourceStart, startOf, topicStart } from './start-config.ts'
import type { FollowSettings } from './follow-topics.ts'
import type { LostPolicy } from './lost-records.ts'
import { recordsShape, recordsProblems, type RecordsConfig } from './records-config.ts'
import { topicNameFault, TopicsWanted } from './topics-wanted.ts'

const lostPolicy = z.enum(['stop', 'earliest', 'latest'])

const topicSettings = z
  .strictObject({
    ...recordsShape,
    start: topicStart.optional(),
    on_lost: lostPolicy.optional().meta({ description: 'As of the source, for this topic.' }),
  })
  .meta({ description: 'What is different for this topic: any of the settings of the source.' })

const topicName = z.string().superRefine((name, ctx) => {
  const fault = topicNameFault(name)
  if (fault !== null) ctx.addIssue({ code: 'custom', message: fault, input: name })
})

const topics = z
  .union([z.array(topicName).min(1), z.record(topicName, topicSettings.nullable())])
  .refine((given) => Object.keys(given).length > 0, 'must not be empty')
  .meta({
    description:
      'Topics to read, by name or pattern: * stands for any characters. A list, or a map of each to what is different for it. Topics that a pattern finds later are read from their first record; patterns leave out those that begin with __.',
    examples: [
      ['orders', 'clicks.*'],
      { orders: { key: ['id'] }, 'clicks.*': { start: 'latest' } },
    ],
  })

const fetch = z
  .strictObject({
    max_bytes: sizeText(
      'Of records that are on their way or wait to be decoded, of all brokers together: what the memory of the source depends on.',
      { minBytes: 1 << 16, maxBytes: 1 << 30 },
    ).prefault('16MiB'),
    partition_bytes: sizeText('Of one partition in one answer of a broker.', {
      minBytes: 1 << 10,
      maxBytes: 1 << 29,
    }).prefault('2MiB'),
    min_bytes: sizeText('A broker answers when it has so much, or when max_wait is over.', {
      minBytes: 1,
      maxBytes: 1 << 26,
    }).prefault('1B'),
    max_wait: durationText('How long a broker may wait for records before it answers.', {
      minMs: 10,
      // Well below requestTimeoutMs: an answer that waits so long must not count as missing.
      maxMs: 20_000,
    }).prefault('500ms'),
  })
  .meta({ description: 'Sizes of the requests to brokers.' })

export const kafkaConfig = z
  .strictObject({
    brokers: brokersConfig,
    tls: tlsConfig,
    sasl: saslConfig.optional(),
    driver: z.enum(['kafkajs', 'platformatic']).default('kafkajs').meta({
      description:
        'The library that carries the connections. What is said over them is the same with both; platformatic logs in to Kafka 1.0 and later.',
    }),
    topics,
    ...recordsShape,
    start: sourceStart.default('earliest'),
    group: z.string().min(1).max(255).optional().meta({
      description:
        'Consumer group in which Sluice stores how far the log is, for lag tools; and where `start: group` begins. Sluice is no member of it and reads all partitions in any case.',
    }),
    on_lost: lostPolicy.default('stop').meta({
      description:
        'When records were removed by retention before they were read. stop: stop and say so. earliest: go on with the first record there is; latest: with the next one that comes. Also per topic.',
    }),
    on_deleted: z.enum(['stop', 'keep']).default('stop').meta({
      description:
        'When a topic that was read is deleted. stop: stop and say so. keep: keep its rows and go on with the others.',
    }),
    restart: z
      .record(topicName, z.string().min(1).max(200))
      .default({})
      .meta({
        description:
          'Topics to read anew from their `start`, each with any text, such as a date: a text that was not there before is the order to do so, once. Rows of a topic without key stay; one with a key is emptied first.',
        examples: [{ orders: '2027-03-01' }],
      }),
    metadata_interval: durationText(
      'How often new topics, new partitions and deleted topics are looked for.',
      { minMs: 500, maxMs: 3_600_000 },
    ).prefault('30s'),
    fetch: fetch.prefault({}),
    dead_letters: letterBudgetSchema.prefault({}),
  })
  .superRefine((config, ctx) => {
    for (const { path, message } of problemsOf(config)) {
      ctx.addIssue({ code: 'custom', path: [...path], message })
    }
  })

export type KafkaConfig = z.output<typeof kafkaConfig>
type TopicSettings = z.output<typeof topicSettings>

export interface ConfigProblem {
  readonly path: readonly (string | number)[]
  readonly message: string
}

/** What is wrong between the parts. */
function problemsOf(config: KafkaConfig): readonly ConfigProblem[] {
  const problems: ConfigProblem[] = []
  const add = (path: readonly (string | number)[], message: string): void => {
    // Topics of a list share their settings, and what is wrong with them.
    const isSaid = problems.some((each) => each.message === message && isSamePath(each.path, path))
    if (!isSaid) problems.push({ path, message })
  }
  const entries = entriesOf(config)
  const needsGroup = '`start: group` needs a `group`'
  if (config.group === undefined && config.start === 'group') add(['start'], needsGroup)
  const isWanted = (topic: string): boolean => entries.some(({ name }) => matchTopic(name, topic))
  for (const topic of typeof config.start === 'string' ? [] : Object.keys(config.start)) {
    if (!isWanted(topic)) add(['start', topic], 'no entry of `topics` fits this topic')
  }
  for (const topic of Object.keys(config.restart)) {
    if (topic.includes('*')) add(['restart', topic], 'topics to read anew are named one by one')
    else if (!isWanted(topic)) add(['restart', topic], 'no entry of `topics` fits this topic')
  }
  const seen = new Set<string>()
  for (const { name, path, own } of entries) {
    if (seen.has(name)) add(path, `${name} is there twice`)
    seen.add(name)
    if (config.group === undefined && own.start === 'group') add([...path, 'start'], needsGroup)
    for (const problem of recordsProblems(recordsOf(config, own))) {
      const isOwn = Object.hasOwn(own, problem.path[0] ?? '')
      add(
        isOwn || !Array.isArray(config.topics) ? [...path, ...problem.path] : problem.path,
        problem.message,
      )
    }
  }
  return problems
}

function isSamePath(a: ConfigProblem['path'], b: ConfigProblem['path']): boolean {
  return a.length === b.length && a.every((part, i) => part === b[i])
}

interface TopicEntry {
  readonly name: string
  readonly path: readonly (string | number)[]
  readonly own: TopicSettings
}

function entriesOf({ topics }: Pick<KafkaConfig, 'topics'>): readonly TopicEntry[] {
  if (Array.isArray(topics)) {
    return topics.map((name, i) => ({ name, path: ['topics', i], own: {} }))
  }
  return Object.entries(topics as Readonly<Record<string, TopicSettings | null>>).map(
    ([name, own]) => ({ name, path: ['topics', name], own: own ?? {} }),
  )
}

/** What is to be known of a topic. */
export interface WantedTopic extends FollowSettings {
  readonly records: RecordsConfig
  readonly onLost: LostPolicy
}

export function wantedOf(config: KafkaConfig): TopicsWanted<WantedTopic> {
  const settings = entriesOf(config).map(({ name, own }): [string, WantedTopic] => {
    const records = recordsOf(config, own)
    return [
      name,
      {
        records,
        // Change events say all that there is of their rows, with a key or without.
        keyed: records.format === 'debezium' || (records.key ?? []).length > 0,
        onLost: own.on_lost ?? config.on_lost,
        startOf: (topic) => startOf(topic, own.start, config.start),
      },
    ]
  })
  return new TopicsWanted(new Map(settings))
}

/** What may stand on a source for those of its topics that it is for. */
const forSome: ReadonlySet<PropertyKey> = new Set<keyof RecordsConfig>([
  'schema',
  'key_format',
  'epoch',
  'csv',
  'avro_schema',
  'proto',
  'message',
  'subject',
  ...debeziumWords,
])

/** The source's settings with those of a topic over them, which is not meant where it wants something else. */
function recordsOf(config: KafkaConfig, own: TopicSettings): RecordsConfig {
  const merged: Record<string, unknown> = {}
  for (const name of Object.keys(recordsShape) as (keyof RecordsConfig)[]) {
    const value = own[name] ?? config[name]
    if (value !== undefined) merged[name] = value
  }
  if (Object.keys(own).length === 0) return merged
  for (const { path } of recordsProblems(merged)) {
    const name = String(path[0])
    if (forSome.has(name) && !Object.hasOwn(own, name)) delete merged[name]
  }
  return merged
}

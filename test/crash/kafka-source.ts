/** Kafka as the source of a crash run. */
import type { Message } from 'kafkajs'
import { parsePosition } from '../../connectors/kafka/position.ts'
import { position as toPosition } from '../../core/connector/source.ts'
import { startKafka, type KafkaCluster } from '../services/kafka.ts'
import { addCodecs } from '../support/kafka-codecs.ts'
import { add, type Bag } from './judge.ts'
import { fillTopics, runProducer, topics } from './kafka-workload.ts'
import type { CrashColumn, CrashSource, CrashTable } from './source.ts'

const text = (name: string): CrashColumn => ({ name, kind: 'text' })

const tables: readonly CrashTable[] = [
  {
    name: 'accounts',
    columns: [
      ...['id', 'owner'].map(text),
      { name: 'balance', kind: 'decimal' },
      ...['opened', 'note'].map(text),
    ],
    live: true,
  },
  { name: 'items', columns: ['a', 'b', 'qty'].map(text), live: true },
  { name: 'events', columns: ['kind', 'amount'].map(text), live: false },
]

export async function kafkaSource(
  settings: Readonly<Record<string, string>> = {},
): Promise<CrashSource> {
  addCodecs()
  return new KafkaCrashSource(await startKafka({ settings }))
}

interface TopicRecord {
  readonly key: string | null
  readonly value: string | null
}

class KafkaCrashSource implements CrashSource {
  readonly name = 'kafka'
  readonly schema = 'shop'
  readonly yaml = `
    type: kafka
    brokers: ["\${env.SOURCE_URL}"]
    group: crash
    key_format: json
    topics:
      shop.accounts:
        schema: { id: int64, owner: text, balance: "decimal(12,2)", opened: int64, note: text? }
        key: [id]
      shop.items: { schema: { a: text, b: int32, qty: int64 }, key: [a, b] }
      shop.events: { schema: { kind: text, amount: int64 } }`
  readonly url: string
  readonly tables = tables
  readonly #kafka: KafkaCluster
  /** Read once, when nothing is written any more. */
  readonly #records = new Map<string, Promise<readonly TopicRecord[]>>()

  constructor(kafka: KafkaCluster) {
    this.#kafka = kafka
    this.url = kafka.brokers()[0]!
  }

  async createTables(): Promise<void> {
    for (const [topic, partitions] of Object.entries(topics)) {
      await this.#kafka.createTopic(topic, partitions)
    }
    await fillTopics(this.#kafka.client)
  }

  async write(seed: number, signal: AbortSignal): Promise<number> {
    return runProducer(this.#kafka.client, seed, signal)
  }

  async end(): Promise<(position: string | null) => Promise<boolean>> {
    const ends = new Map<string, readonly { partition: number; offset: number }[]>()
    for (const [topic, partitions] of Object.entries(topics)) {
      // A last record in each partition, behind all markers: kafkajs does not tell of those.
      for (let partition = 0; partition < partitions; partition++) {
        await this.#kafka.produce(topic, [lastOf(topic)], partition)
      }
      const offsets = await this.#kafka.admin.fetchTopicOffsets(topic)
      ends.set(
        topic,
        offsets.map(({ partition, high }) => ({ partition, offset: Number(high) })),
      )
    }
    return async (position) => {
      const places = position === null ? null : parsePosition(toPosition(position)).topics
      const isThere = [...ends].every(([topic, offsets]) =>
        offsets.every(
          ({ partition, offset }) => (places?.get(topic)?.next[partition] ?? -1) >= offset,
        ),
      )
      return Promise.resolve(isThere)
    }
  }

  async rows({ name, columns }: CrashTable): Promise<Bag> {
    const bag: Bag = new Map()
    const rows = new Map<string, string>()
    for (const { key, value } of await this.#read(`shop.${name}`)) {
      const row = value === null ? null : JSON.stringify(textsOf(value, columns))
      if (key === null) add(bag, row!)
      else if (row === null) rows.delete(key)
      else rows.set(key, row)
    }
    for (const row of rows.values()) add(bag, row)
    return bag
  }

  async totals(): Promise<Bag> {
    const byKind = new Map<string, { n: number; sum: bigint; max: bigint }>()
    for (const { value } of await this.#read('shop.events')) {
      const { kind, amount } = JSON.parse(value!) as { kind: string; amount: number }
      const { n, sum, max } = byKind.get(kind) ?? { n: 0, sum: 0n, max: -1n }
      const each = BigInt(amount)
      byKind.set(kind, { n: n + 1, sum: sum + each, max: each > max ? each : max })
    }
    const texts = [...byKind].map(([kind, { n, sum, max }]) => [kind, n, sum, max].map(String))
    return new Map(texts.map((values) => [JSON.stringify(values), 1]))
  }

  #read(topic: string): Promise<readonly TopicRecord[]> {
    let records = this.#records.get(topic)
    if (records === undefined) this.#records.set(topic, (records = this.#consume(topic)))
    return records
  }

  /** With Kafka's own consumer, committed records alone, in the order of each partition. */
  async #consume(topic: string): Promise<readonly TopicRecord[]> {
    const said = await this.#kafka.run(
      'org.apache.kafka.tools.consumer.ConsoleConsumer',
      '--bootstrap-server',
      this.url,
      '--topic',
      topic,
      '--from-beginning',
      '--isolation-level',
      'read_committed',
      '--timeout-ms',
      '8000',
      '--formatter-property',
      'print.key=true',
      '--formatter-property',
      'key.separator=\t',
      '--formatter-property',
      'null.literal=-',
    )
    const lines = said.split('\n').filter((line) => line !== '')
    return lines.map((line) => {
      const [key, value] = line.split('\t') as [string, string]
      return { key: key === '-' ? null : key, value: value === '-' ? null : value }
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#kafka[Symbol.asyncDispose]()
  }
}

function lastOf(topic: string): Message {
  if (topic === 'shop.events') return { value: '{"kind":"end","amount":0}' }
  const key = topic === 'shop.accounts' ? { id: -1 } : { a: 'none', b: -1 }
  return { key: JSON.stringify(key), value: null }
}

/** As core/record/value.ts prints them. JSON.parse would round `opened`: it is a number of 64 bits. */
function textsOf(value: string, columns: readonly CrashColumn[]): readonly (string | null)[] {
  const exact = value.replace(/"(opened|balance)":([\d.]+)/g, '"$1":"$2"')
  const row = JSON.parse(exact) as Readonly<Record<string, string | number | null>>
  return columns.map(({ name }) => {
    const field = row[name]
    return field === null || field === undefined ? null : String(field)
  })
}

/** Kafka as the source of a crash run. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Message } from 'kafkajs'
import { parsePosition } from '../../connectors/kafka/position.ts'
import { position as toPosition } from '../../core/connector/source.ts'
import { startKafka, type KafkaCluster } from '../services/kafka.ts'
import { startTcpProxy, type TcpProxy } from '../services/tcp-proxy.ts'
import { freePort } from '../support/env.ts'
import { addCodecs } from '../support/kafka-codecs.ts'
import { consumeAll, type TopicRecord } from '../support/kafka-truth.ts'
import type { Random } from '../support/random.ts'
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
  { name: 'events', columns: ['kind', 'amount', 'part', 'place'].map(text), live: false },
]

export async function kafkaSource(
  settings: Readonly<Record<string, string>> = {},
  cuts = false,
): Promise<CrashSource> {
  addCodecs()
  // The broker is killed.
  const sessionMs = 2000
  if (!cuts) return new KafkaCrashSource(await startKafka({ settings, sessionMs }), null)
  // Sluice alone goes through the proxy: it has a listener of its own, that the broker tells it the proxy's port of.
  const proxy = await startTcpProxy(await freePort())
  const advertised = { sasl: `127.0.0.1:${proxy.port}` }
  const kafka = await startKafka({ settings, sessionMs, listeners: ['sasl'], advertised })
  proxy.target = Number(kafka.brokers('sasl')[0]!.split(':')[1])
  return new KafkaCrashSource(kafka, proxy)
}

class KafkaCrashSource implements CrashSource {
  readonly name = 'kafka'
  readonly schema = 'shop'
  readonly yaml: string
  readonly url: string
  readonly tables = tables
  readonly #kafka: KafkaCluster
  readonly #proxy: TcpProxy | null
  /** Read once, when nothing is written any more. */
  #records: Promise<ReadonlyMap<string, readonly TopicRecord[]>> | null = null

  constructor(kafka: KafkaCluster, proxy: TcpProxy | null) {
    this.#kafka = kafka
    this.#proxy = proxy
    this.url = proxy === null ? kafka.brokers()[0]! : `127.0.0.1:${proxy.port}`
    const login =
      proxy === null ? '' : 'sasl: { mechanism: plain, username: admin, password: admin-secret }'
    this.yaml = `
    type: kafka
    brokers: ["\${env.SOURCE_URL}"]
    ${login}
    group: crash
    key_format: json
    topics:
      shop.accounts:
        schema: { id: int64, owner: text, balance: "decimal(12,2)", opened: int64, note: text? }
        key: [id]
      shop.items: { schema: { a: text, b: int32, qty: int64 }, key: [a, b] }
      shop.events: { schema: { kind: text, amount: int64 }, columns: { part: partition, place: offset } }`
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

  async crash(): Promise<void> {
    await this.#kafka.stop(1, 'SIGKILL')
    await this.#kafka.start()
  }

  async cut(random: Random): Promise<void> {
    const proxy = this.#proxy
    if (proxy === null) return
    for (let left = 3 + random.int(5); left > 0; left--) {
      await sleep(20 + random.int(300))
      if (random.chance(0.3)) {
        // They stand still first.
        proxy.stall()
        await sleep(random.int(1000))
      } else if (random.chance(0.5)) {
        // Within an answer.
        proxy.passBytes = random.int(200_000)
        await sleep(random.int(500))
      }
      proxy.cut()
      proxy.passBytes = Infinity
      proxy.resume()
    }
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
    for (const record of await this.#read(`shop.${name}`)) {
      const { key } = record
      const row = record.value === null ? null : JSON.stringify(textsOf(record, columns))
      if (key === null) add(bag, row!)
      else if (row === null) rows.delete(key)
      else rows.set(key, row)
    }
    for (const row of rows.values()) add(bag, row)
    return bag
  }

  disordered({ name }: CrashTable, rows: Bag): number {
    if (name !== 'events') return 0
    const ends = new Map<string, number>()
    let disordered = 0
    for (const row of rows.keys()) {
      const [, , partition, offset] = JSON.parse(row) as [string, string, string, string]
      if (Number(offset) < (ends.get(partition) ?? 0)) disordered++
      ends.set(partition, Number(offset) + 1)
    }
    return disordered
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

  async #read(topic: string): Promise<readonly TopicRecord[]> {
    this.#records ??= this.#readAll()
    return (await this.#records).get(topic)!
  }

  /** Together: each waits for more that does not come. */
  async #readAll(): Promise<ReadonlyMap<string, readonly TopicRecord[]>> {
    const names = Object.keys(topics)
    const records = await Promise.all(names.map((topic) => consumeAll(this.#kafka, topic)))
    return new Map(names.map((topic, i) => [topic, records[i]!]))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#kafka[Symbol.asyncDispose]()
    await this.#proxy?.[Symbol.asyncDispose]()
  }
}

function lastOf(topic: string): Message {
  if (topic === 'shop.events') return { value: '{"kind":"end","amount":0}' }
  const key = topic === 'shop.accounts' ? { id: -1 } : { a: 'none', b: -1 }
  return { key: JSON.stringify(key), value: null }
}

/** As core/record/value.ts prints them. JSON.parse would round `opened`: it is a number of 64 bits. */
function textsOf(
  { value, partition, offset }: TopicRecord,
  columns: readonly CrashColumn[],
): readonly (string | null)[] {
  const exact = value!.replace(/"(opened|balance)":([\d.]+)/g, '"$1":"$2"')
  const parsed = JSON.parse(exact) as Readonly<Record<string, string | number | null>>
  const row: typeof parsed = { ...parsed, part: partition, place: offset }
  return columns.map(({ name }) => {
    const field = row[name]
    return field === null || field === undefined ? null : String(field)
  })
}

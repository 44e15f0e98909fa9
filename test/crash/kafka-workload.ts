/**
 * Several producers on Kafka: upserts and tombstones of accounts and items, events without key, in
 * transactions that are committed or aborted and without any, interleaved on the same partitions and
 * compressed in every way.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import kafkajs, { type Kafka, type Message, type Producer } from 'kafkajs'
import { seeded, type Random } from '../support/random.ts'

export const topics = {
  'shop.accounts': 3,
  'shop.items': 2,
  'shop.events': 3,
} as const
type Topic = keyof typeof topics

const ids = 2000
const kinds = ['click', 'view', 'buy'] as const

type Sender = Pick<Producer, 'send'>
type Rows = Map<Topic, Message[]>

/** A first load, so that there is something to read at once. */
export async function fillTopics(client: Kafka): Promise<void> {
  const random = seeded(1)
  const producer = client.producer(plain)
  await producer.connect()
  const rows: Rows = new Map([
    ['shop.accounts', Array.from({ length: ids }, (_, id) => account(random, id))],
    ['shop.items', Array.from({ length: 500 }, () => item(random))],
    ['shop.events', Array.from({ length: 3000 }, () => event(random))],
  ])
  await send(producer, random, rows)
  await producer.disconnect()
}

const plain = { createPartitioner: kafkajs.Partitioners.DefaultPartitioner }

/**
 * Runs transactions until the signal is aborted, through deaths of the broker; returns how many records it
 * sent, aborted ones included. Leaves no transaction open: what is behind it would not be read.
 */
export async function runProducer(
  client: Kafka,
  seed: number,
  signal: AbortSignal,
): Promise<number> {
  const random = seeded(seed)
  let producers: Producers | null = null
  let count = 0
  let failures = 0
  try {
    while (!signal.aborted || failures > 0) {
      try {
        producers ??= await connect(client, seed)
        // What it left open is aborted when its successor begins.
        if (failures > 0) await (await producers.transactional.transaction()).abort()
        failures = 0
        if (!signal.aborted) count += await writeSome(producers, random)
      } catch (error) {
        if (++failures > failuresMax) throw error
        // A broker on few cores is not up again at once.
        if (producers !== null) await disconnect(producers)
        producers = null
      }
      await sleep(random.int(30))
    }
  } finally {
    if (producers !== null) await disconnect(producers)
  }
  return count
}

/** In a row; each takes all of the client's own retries. */
const failuresMax = 5

interface Producers {
  readonly transactional: Producer
  readonly producer: Producer
}

async function connect(client: Kafka, seed: number): Promise<Producers> {
  const transactional = client.producer({
    ...plain,
    transactionalId: `writer-${seed}`,
    maxInFlightRequests: 1,
    idempotent: true,
  })
  const producer = client.producer(plain)
  await Promise.all([transactional.connect(), producer.connect()])
  return { transactional, producer }
}

async function disconnect({ transactional, producer }: Producers): Promise<void> {
  // kafkajs may wait for answers that a dead broker owes.
  await Promise.race([
    Promise.allSettled([transactional.disconnect(), producer.disconnect()]),
    sleep(5000, undefined, { ref: false }),
  ])
}

async function writeSome({ transactional, producer }: Producers, random: Random): Promise<number> {
  const rows = changes(random, random.chance(0.03) ? 800 : 1 + random.int(12))
  if (random.chance(0.3)) await send(producer, random, rows)
  else {
    const transaction = await transactional.transaction()
    await send(transaction, random, rows)
    // More of the same transaction, after what others wrote meanwhile.
    if (random.chance(0.5)) await send(transaction, random, changes(random, 3))
    await (random.chance(0.25) ? transaction.abort() : transaction.commit())
  }
  return [...rows.values()].reduce((sum, messages) => sum + messages.length, 0)
}

async function send(producer: Sender, random: Random, rows: Rows): Promise<void> {
  const compression = random.pick([
    kafkajs.CompressionTypes.None,
    kafkajs.CompressionTypes.GZIP,
    kafkajs.CompressionTypes.Snappy,
    kafkajs.CompressionTypes.LZ4,
    kafkajs.CompressionTypes.ZSTD,
  ])
  for (const [topic, messages] of rows) await producer.send({ topic, messages, compression })
}

function changes(random: Random, count: number): Rows {
  const rows: Rows = new Map()
  const add = (topic: Topic, message: Message): void => {
    const messages = rows.get(topic)
    if (messages === undefined) rows.set(topic, [message])
    else messages.push(message)
  }
  for (let i = 0; i < count; i++) {
    const which = random.int(6)
    if (which < 3) add('shop.accounts', account(random, random.int(ids)))
    else if (which < 4) add('shop.items', item(random))
    else add('shop.events', event(random))
  }
  return rows
}

function account(random: Random, id: number): Message {
  const key = JSON.stringify({ id })
  if (random.chance(0.15)) return { key, value: null }
  const note = random.chance(0.1) ? null : 'ünï "n" \\ 🎈 '.repeat(random.int(20))
  const balance = (random.int(10_000_000) / 100).toFixed(2)
  // Numbers as text: a decimal and a 64-bit integer as JSON numbers, digit by digit.
  const opened = (9_007_199_254_740_993n + BigInt(random.int(1_000_000))).toString()
  const rest = JSON.stringify({ owner: `owner ${random.int(1000)}`, note }).slice(1)
  return { key, value: `{"id":${id},"balance":${balance},"opened":${opened},${rest}` }
}

function item(random: Random): Message {
  const key = { a: `k${random.int(20)}`, b: random.int(50) }
  if (random.chance(0.2)) return { key: JSON.stringify(key), value: null }
  return { key: JSON.stringify(key), value: JSON.stringify({ ...key, qty: random.int(1000) }) }
}

function event(random: Random): Message {
  return { value: JSON.stringify({ kind: random.pick(kinds), amount: random.int(1_000_000) }) }
}

/**
 * The fetch loops over a broker that always has more: what waits is bounded while nobody takes it (invariant
 * 8), no partition starves, and nothing is asked for twice or passed over (invariant 5).
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate as turn, setTimeout as sleep } from 'node:timers/promises'
import type {
  FetchedPartition,
  FetchLimits,
  FetchPosition,
} from '../../../connectors/kafka/driver.ts'
import { Fetcher, type Chunk, type FetcherOptions } from '../../../connectors/kafka/fetcher.ts'
import { FollowedTopic, type Partition } from '../../../connectors/kafka/partitions.ts'
import { systemClock } from '../../../core/connector/context.ts'
import { ScriptedDriver } from './scripted-driver.ts'

const batchBytes = 1000

/** Each batch is one record; answers are filled in the order of the request, as brokers do (KIP-74). */
class EndlessDriver extends ScriptedDriver {
  readonly requests: (readonly FetchPosition[])[] = []
  isById = true
  /** Partitions without records. */
  readonly idle = new Set<number>()

  override async fetch(
    _broker: number,
    positions: readonly FetchPosition[],
    limits: FetchLimits,
  ): Promise<readonly FetchedPartition[]> {
    await turn()
    this.requests.push(positions)
    let left = limits.maxBytes
    const answers = positions.map((position): FetchedPartition => {
      const room = Math.min(left, position.maxBytes)
      const count = this.idle.has(position.partition) ? 0 : Math.floor(room / batchBytes)
      left -= count * batchBytes
      const records = Buffer.alloc(count * batchBytes)
      for (let i = 0; i < count; i++) {
        records.writeBigInt64BE(position.offset + BigInt(i), i * batchBytes)
        records.writeInt32BE(batchBytes - 12, i * batchBytes + 8)
        records[i * batchBytes + 16] = 2
      }
      const { topic, partition } = position
      const end = position.offset + 1_000_000n
      const ends = { highWatermark: end, lastStableOffset: end, logStartOffset: 0n }
      return { topic, partition, isById: this.isById, error: null, ...ends, aborted: [], records }
    })
    return answers
  }
}

interface Stage {
  readonly driver: EndlessDriver
  readonly fetcher: Fetcher
  readonly partitions: readonly Partition[]
}

function start(count: number, maxBytes: number, brokers = 1): Stage {
  const driver = new EndlessDriver()
  const nothing = (): void => {}
  const options: FetcherOptions = {
    driver,
    clock: systemClock,
    random: Math.random,
    limits: { maxBytes, partitionBytes: 10 * batchBytes, minBytes: 1, maxWaitMs: 20 },
    onFailure: (error) => {
      throw error
    },
    onWell: nothing,
    onRefused: nothing,
    onSame: (partition) => void (partition.doubt = null),
    onReplaced: nothing,
    onEnd: (error) => {
      throw error
    },
  }
  const place = { cluster: null, id: null, restarts: 0, restart: null }
  const topic = new FollowedTopic('t', place)
  for (let i = 0; i < count; i++) topic.add(0, true).leader = 1 + (i % brokers)
  const fetcher = new Fetcher(options)
  fetcher.assign(topic.partitions)
  return { driver, fetcher, partitions: topic.partitions }
}

function firstOffset({ fetched: { records } }: Chunk): number {
  return Number(new DataView(records.buffer, records.byteOffset).getBigInt64(0))
}

async function turns(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await turn()
}

test('what waits is bounded while nobody takes it, with any number of brokers', async () => {
  for (const brokers of [1, 3]) {
    const maxBytes = 60 * batchBytes
    const { fetcher, partitions, driver } = start(50, maxBytes, brokers)
    await using _ = fetcher
    await turns(200)
    const waiting = partitions.reduce((sum, each) => sum + each.waitingBytes, 0)
    assert.ok(waiting > 0 && waiting <= maxBytes, `${waiting} bytes wait with ${brokers} brokers`)
    const asked = driver.requests.length
    await turns(200)
    assert.equal(driver.requests.length, asked, 'it rests')
  }
})

test('every partition has its turn, and comes without gaps', async () => {
  const { fetcher, partitions } = start(20, 40 * batchBytes)
  await using _ = fetcher
  const taken = new Map<Partition, number>(partitions.map((partition) => [partition, 0]))
  for (let chunks = 0; chunks < 400;) {
    const chunk = fetcher.take()
    if (chunk === null) {
      await turn()
      continue
    }
    chunks++
    assert.equal(firstOffset(chunk), taken.get(chunk.partition))
    taken.set(chunk.partition, chunk.end)
    fetcher.release(chunk)
  }
  const counts = [...taken.values()]
  assert.ok(Math.min(...counts) * 3 > Math.max(...counts), counts.join())
})

test('what was rewound comes again, and nothing of before', async () => {
  const { fetcher, partitions } = start(2, 40 * batchBytes)
  await using _ = fetcher
  await turns(50)
  const [first] = partitions as [Partition]
  fetcher.rewind(first, 3)
  fetcher.look(first)
  let next = 3
  for (let seen = 0; seen < 10;) {
    const chunk = fetcher.take()
    if (chunk === null) {
      await turn()
      continue
    }
    fetcher.release(chunk)
    if (chunk.partition !== first) continue
    assert.equal(firstOffset(chunk), next)
    next = chunk.end
    seen++
  }
})

test('a partition that waits to be decoded is not kept waiting by those that have nothing', async () => {
  const { fetcher, partitions, driver } = start(3, 1 << 20)
  await using _ = fetcher
  driver.idle.add(1).add(2)
  let bytes = 0
  for (let round = 0; round < 200; round++) {
    const chunk = fetcher.take()
    if (chunk !== null) {
      bytes += chunk.fetched.records.byteLength
      fetcher.release(chunk)
    }
    await turn()
  }
  assert.ok(bytes > 20 * 10 * batchBytes, `${bytes} bytes came of ${partitions[0]!.name}`)
})

test('what was left alone for a while is asked for again from its last record on, but by its id', async () => {
  for (const isById of [true, false]) {
    const { driver, fetcher, partitions } = start(1, 40 * batchBytes)
    await using _ = fetcher
    driver.isById = isById
    const [partition] = partitions as [Partition]
    const takeAll = async (): Promise<void> => {
      for (let idle = 0; idle < 20; idle++) {
        for (let chunk = fetcher.take(); chunk !== null; chunk = fetcher.take()) {
          partition.next = chunk.end
          partition.last = [chunk.end - 1, 7]
          // The log has time only now and then.
          await sleep(120)
          const asked = driver.requests.length
          fetcher.release(chunk)
          await turns(3)
          if (driver.requests.length > asked) return
        }
        await turn()
      }
    }
    await takeAll()
    const { offset } = driver.requests.at(-1)![0]!
    assert.equal(Number(offset), isById ? partition.next : partition.next - 1)
  }
})

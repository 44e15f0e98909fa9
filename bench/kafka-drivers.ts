/**
 * P18: the two drivers of the Kafka source beside each other: the same record batches fetched from the same broker, as
 * they are, in turns. What they cost in processor time chooses the default of `driver`: it is what is left for
 * everything else on the same cores, and less shaken by what else runs here than the time on the clock.
 */
import { systemClock } from '../core/connector/context.ts'
import { openDriver } from '../connectors/kafka/drivers.ts'
import { fetchedEnd } from '../connectors/kafka/fetched-end.ts'
import { startKafka, type KafkaCluster } from '../test/services/kafka.ts'
import type { BenchModule, BenchRow } from './types.ts'

const drivers = ['kafkajs', 'platformatic'] as const
type Driver = (typeof drivers)[number]
const partitions = [0, 1, 2, 3]
const partitionBytes = 1 << 20
const limits = { minBytes: 1, maxBytes: 4 * partitionBytes, maxWaitMs: 500 }

export const bench: BenchModule['bench'] = {
  id: 'P18',
  what: 'Kafka drivers: raw fetch of 200-byte records',
  run: async ({ quick }) => {
    await using kafka = await startKafka()
    await kafka.createTopic('records', partitions.length)
    const words = ['--topic', 'records', '--record-size', '200', '--throughput', '-1']
    const props = [`bootstrap.servers=${kafka.brokers()[0]!}`, 'batch.size=65536', 'linger.ms=5']
    const count = ['--num-records', quick ? '1000000' : '4000000']
    const tool = 'org.apache.kafka.tools.ProducerPerformance'
    await kafka.run(tool, ...words, ...count, '--producer-props', ...props)
    const passes: Record<Driver, Pass[]> = { kafkajs: [], platformatic: [] }
    // The first round warms both up.
    for (let round = 0; round < (quick ? 6 : 12); round++) {
      for (const driver of drivers) {
        const pass = await fetchAll(kafka, driver)
        if (round > 0) passes[driver].push(pass)
      }
    }
    return [
      row('MB/s fetched', 'MB/s', (pass) => pass.megabytesPerSecond, passes),
      row('processor time a megabyte', 'ms/MB', (pass) => pass.cpuMsPerMegabyte, passes),
    ]
  },
}

interface Pass {
  readonly megabytesPerSecond: number
  readonly cpuMsPerMegabyte: number
}

async function fetchAll(kafka: KafkaCluster, driver: Driver): Promise<Pass> {
  const { signal } = new AbortController()
  const options = { driver, brokers: kafka.brokers(), tls: false } as const
  await using client = await openDriver(options, { clock: systemClock })
  await client.topics(['records'], signal)
  const places = partitions.map((partition) => ({ topic: 'records', partition }))
  const left = new Map<number, { offset: number; readonly end: number }>()
  for (const { partition, offset } of await client.offsets(places, 'latest', signal)) {
    left.set(partition, { offset: 0, end: Number(offset) })
  }
  const startMs = performance.now()
  const startCpu = process.cpuUsage()
  let bytes = 0
  while (left.size > 0) {
    const asked = [...left].map(([partition, { offset }]) => ({
      topic: 'records',
      partition,
      offset: BigInt(offset),
      maxBytes: partitionBytes,
    }))
    for (const { partition, records, memory } of await client.fetch(1, asked, limits, signal)) {
      const place = left.get(partition)!
      bytes += records.length
      place.offset = fetchedEnd(records, place.offset)
      memory?.release()
      // Behind those that follow: a broker fills its answer in the order of the request.
      left.delete(partition)
      if (place.offset < place.end) left.set(partition, place)
    }
  }
  const ms = performance.now() - startMs
  const { user, system } = process.cpuUsage(startCpu)
  return {
    megabytesPerSecond: bytes / ms / 1e3,
    cpuMsPerMegabyte: (user + system) / 1e3 / (bytes / 1e6),
  }
}

/** `ours` is kafkajs, `limit` platformatic. */
function row(
  what: string,
  unit: string,
  of: (pass: Pass) => number,
  passes: Readonly<Record<Driver, readonly Pass[]>>,
): BenchRow {
  const [kafkajs, platformatic] = drivers.map((driver) => median(passes[driver].map(of)))
  const ratio = kafkajs! / platformatic!
  const about = `${what}: kafkajs, and platformatic as the limit`
  return { what: about, unit, ours: kafkajs!, limit: platformatic!, ratio, goal: null, met: true }
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[sorted.length >> 1]!
}

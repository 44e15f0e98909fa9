/**
 * P14: a Kafka topic of 200-byte JSON records into the durable log (connector, JSON into columns, ingest,
 * commits with fsync), beside Kafka's own kafka-consumer-perf-test, which fetches the same records from the
 * same broker and drops them. In turns; the median of the rounds counts. Theirs is the rate of fetching
 * alone, without the time in which its group came together.
 *
 * The load: records waiting in the broker, uncompressed as the tool reads them best, 1 GB in a full run.
 */
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { kafka as connector } from '../connectors/kafka/connector.ts'
import { kafkaConfig } from '../connectors/kafka/config.ts'
import type { SourceConnector } from '../core/connector/source.ts'
import { installKafka } from '../test/services/kafka-install.ts'
import { startKafka, type KafkaCluster } from '../test/services/kafka.ts'
import { ingestSeconds } from './support/ingest.ts'
import { inTurns, rate, rated } from './support/rates.ts'
import type { BenchRow } from './types.ts'

const topic = 'bench'
const partitions = 3
const recordBytes = 200
const peakMbMax = 512

/** As the tool's own script starts Java, without the settings that let test brokers start faster. */
async function java(...words: readonly string[]): Promise<string> {
  const jars = join(await installKafka('4.3'), '*')
  const { stdout } = await promisify(execFile)('java', ['-Xmx512M', '-cp', jars, ...words])
  return stdout
}

function payloads(): string {
  const lines: string[] = []
  for (let id = 0; id < 20_000; id++) {
    const head = {
      id: 1_000_000_000_000 + id * 7919,
      account: (id * 31) % 100_000,
      amount: (((id * 37) % 1_000_000) / 100).toFixed(2),
      kind: ['click', 'view', 'buy'][id % 3],
      at: new Date(1_767_225_600_000 + id * 1234).toISOString(),
      note: '',
    }
    const text = JSON.stringify(head)
    const note = `note ${id} `.repeat(20).slice(0, recordBytes - text.length)
    lines.push(JSON.stringify({ ...head, note }))
  }
  return `${lines.join('\n')}\n`
}

async function load(cluster: KafkaCluster, records: number): Promise<void> {
  await cluster.createTopic(topic, partitions)
  const folder = mkdtempSync(join(tmpdir(), 'sluice-bench-'))
  try {
    const file = join(folder, 'payloads')
    writeFileSync(file, payloads())
    await java(
      'org.apache.kafka.tools.ProducerPerformance',
      '--topic',
      topic,
      '--num-records',
      String(records),
      '--throughput',
      '-1',

      '--payload-file',
      file,
      '--command-property',
      `bootstrap.servers=${cluster.brokers()[0]!}`,
      'acks=1',
      'batch.size=131072',
      'linger.ms=10',
    )
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** Seconds from the start of reading until every record is in a commit in the folder. */
function ingest(cluster: KafkaCluster, records: number): Promise<number> {
  const config = kafkaConfig.parse({
    brokers: cluster.brokers(),
    topics: [topic],
    schema: {
      id: 'int64',
      account: 'int32',
      amount: 'decimal(12,2)',
      kind: 'text',
      at: 'timestamptz',
      note: 'text',
    },
  })
  const source = connector as SourceConnector<unknown>
  return ingestSeconds({ connector: source, config, rows: records, from: 'stream' })
}

let groups = 0

async function perfTest(cluster: KafkaCluster, records: number): Promise<number> {
  const said = await java(
    'org.apache.kafka.tools.ConsumerPerformance',
    '--bootstrap-server',
    cluster.brokers()[0]!,
    '--topic',
    topic,
    '--num-records',
    String(records),
    '--timeout',
    '60000',
    '--group',
    `bench-${++groups}`,
  )
  const [names, values] = said
    .split('\n')
    .filter((line) => line.includes(', '))
    .map((line) => line.split(', '))
  const perSecond = Number(values?.[names?.indexOf('fetch.nMsg.sec') ?? -1])
  if (!(perSecond > 0)) throw new Error(`the tool said: ${said}`)
  return records / perSecond
}

async function run({ quick }: { readonly quick: boolean }): Promise<readonly BenchRow[]> {
  const records = quick ? 600_000 : 5_000_000
  await using cluster = await startKafka()
  await load(cluster, records)
  // The first round warms up code, memory and the broker's page cache.
  await ingest(cluster, records)
  const peakMb = process.resourceUsage().maxRSS / 1024
  const seconds = await inTurns(quick ? 3 : 5, [
    () => ingest(cluster, records),
    () => perfTest(cluster, records),
  ])
  const [ours, tool] = seconds.map((each) => rate(records, each))
  return [
    rated('Kafka topic of JSON to durable log, limit: kafka-consumer-perf-test', ours!, tool!, 0.6),
    {
      what: `peak memory of the process, one pipeline with ${Math.round((records * recordBytes) / 1e6)} MB waiting`,
      unit: 'MB',
      ours: Math.round(peakMb),
      limit: peakMbMax,
      ratio: peakMb / peakMbMax,
      goal: 1,
      met: peakMb <= peakMbMax,
    },
  ]
}

export const bench = { id: 'P14', what: 'Kafka topic to durable log', run }

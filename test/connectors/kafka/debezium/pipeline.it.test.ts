/**
 * A migration: what Debezium wrote to Kafka, read into a log by the Kafka source, is what our own sources
 * write of the same statements to the same databases: the same types, the same rows, value for value, but
 * where Debezium has lost something. Attacks invariants 1 (a restart in the middle), 5 (nothing vanishes)
 * and 9 (exact values).
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import type { KafkaConfig } from '../../../../connectors/kafka/config.ts'
import { kafka } from '../../../../connectors/kafka/connector.ts'
import { mysql } from '../../../../connectors/mysql/connector.ts'
import { postgres } from '../../../../connectors/postgres/connector.ts'
import { parsePosition as parseKafka } from '../../../../connectors/kafka/position.ts'
import { parsePosition } from '../../../../connectors/postgres/position.ts'
import type {
  Position,
  Source,
  SourceBatch,
  SourceConnector,
} from '../../../../core/connector/source.ts'
import { readHead } from '../../../../core/log/head.ts'
import type { Log } from '../../../../core/log/log.ts'
import { typeName } from '../../../../core/record/types.ts'
import { runIngest } from '../../../../core/task/ingest.ts'
import { startKafka, type KafkaCluster } from '../../../services/kafka.ts'
import { startMysql } from '../../../services/mysql.ts'
import { startPostgres } from '../../../services/postgres.ts'
import { tempDir, waitFor } from '../../../support/env.ts'
import { foldOf } from '../../../support/fold-log.ts'
import { taskContext, testLog, type TestContext } from '../../../support/task-context.ts'
import { hasCopied } from '../../postgres/has-copied.ts'
import { configOf } from '../support.ts'
import { recording, RecordedRegistry, type Form, type Recorded } from './recordings.ts'

const forever = new AbortController().signal

interface Ingest extends AsyncDisposable {
  readonly ctx: TestContext
  /** What ended it before its time. */
  readonly failed: () => unknown
}

function ingest(connector: unknown, config: unknown, log: Log, folder: string): Ingest {
  const ctx = taskContext(log, 's')
  const flush = { bytesMax: 1 << 20, intervalMs: 1, intervalMsMax: 10 }
  const task = {
    connector: connector as SourceConnector<unknown>,
    config,
    flush,
    openBytesMax: 1 << 20,
    stateDir: `${folder}/state`,
  }
  const end = new AbortController()
  let failure: unknown = null
  const running = runIngest(task, ctx, end.signal).catch((error: unknown) => {
    failure = error
  })
  return {
    ctx,
    failed: () => failure,
    [Symbol.asyncDispose]: async () => {
      end.abort()
      await running
      if (failure !== null) throw failure as Error
    },
  }
}

interface Migration {
  /** Per topic: no more of its records are there. */
  readonly recordsMax?: Readonly<Record<string, number>>
  readonly lives?: 1 | 2
}

interface Table {
  readonly types: Readonly<Record<string, string>>
  readonly rows: readonly Readonly<Record<string, string | null>>[]
}

/** What is in a topic of the log, by columns; `lost` are left out. */
async function tableOf(log: Log, topic: string, lost: readonly string[]): Promise<Table | null> {
  const fold = await foldOf(log, 's')
  const fields = fold.schemaOf(`s.${topic}`)?.fields
  if (fields === undefined) return null
  const isKept = (name: string): boolean => !lost.includes(name)
  const types = fields
    .filter(({ name }) => isKept(name))
    .map(({ name, type }): [string, string] => [name, typeName(type)])
  const rows = fold.sorted(`s.${topic}`).map((text) => {
    const row = JSON.parse(text) as readonly (string | null)[]
    const entries = fields.map(({ name }, i): [string, string | null] => [name, row[i] ?? null])
    return Object.fromEntries(entries.filter(([name]) => isKept(name)))
  })
  return { types: Object.fromEntries(types), rows }
}

function statements(script: string): readonly string[] {
  const text = readFileSync(join(import.meta.dirname, 'recorder', `${script}.sql`), 'utf8')
  return text.split('-- @next')
}

/** Whether the tables were copied, as the position of a source says. */
type HasCopied = (position: Position, tables: readonly string[]) => boolean

const copiedByPostgres: HasCopied = (position, tables) =>
  hasCopied(
    parsePosition(position),
    tables.map((name) => `public.${name}`),
  )

/** A table is listed only once its copy has begun. */
const copiedByMysql: HasCopied = (position, tables) => {
  const { snapshot } = JSON.parse(position) as {
    snapshot: { tables: Readonly<Record<string, { id: string; upTo?: unknown }>> }
  }
  return tables.every((name) => {
    const table = snapshot.tables[`shop.${name}`]
    return table !== undefined && table.id !== '' && table.upTo === undefined
  })
}

/** Statements of a recording on a server of our own, read by our own source until it has all. */
async function own(
  [connector, isCopied]: readonly [unknown, HasCopied],
  config: unknown,
  run: (sql: string) => Promise<unknown>,
  parts: readonly string[],
): Promise<Log> {
  using folder = tempDir('own')
  const log = await testLog()
  const [setup, ...changes] = parts
  await run(setup!)
  const source = ingest(connector, config, log, folder.path)
  // Of a table without rows no commit has to tell.
  const filled = new Set([...setup!.matchAll(/INSERT INTO (\w+)/g)].map(([, name]) => name!))
  const copied = async (): Promise<void> => {
    await waitFor('the copies', async () => {
      if (source.failed() !== null) throw source.failed() as Error
      const head = await readHead(log, 'p.source.s', forever)
      const position = (head?.position ?? null) as Position | null
      return position !== null && isCopied(position, [...filled, 'marker'])
    })
  }
  const passed = async (markers: number): Promise<void> => {
    await run('INSERT INTO marker VALUES (DEFAULT)')
    await waitFor(
      'the marker',
      async () => {
        if (source.failed() !== null) throw source.failed() as Error
        const { topics } = await foldOf(log, 's')
        const marker = [...topics].find(([name]) => name.endsWith('.marker'))
        return (marker?.[1].size ?? 0) >= markers
      },
      90_000,
    )
  }
  await using _end = source
  await passed(1)
  // The markers come by the stream, a table whose copy is late comes after them.
  await copied()
  let markers = 1
  for (const change of changes) {
    await run(change)
    await passed(++markers)
  }
  return log
}

describe('Debezium to Sluice', () => {
  let cluster: KafkaCluster
  let registry: RecordedRegistry
  let topics = 0
  before(async () => {
    cluster = await startKafka({ version: '4.3' })
    registry = await RecordedRegistry.start()
  })
  after(async () => {
    await registry[Symbol.asyncDispose]()
    await cluster[Symbol.asyncDispose]()
  })

  const produce = async (topic: string, records: readonly Sent[]): Promise<void> => {
    const messages = records.map(({ key, value, headers }) => ({ key, value, headers }))
    await cluster.produce(topic, messages)
  }

  /** The recording in Kafka, read in two lives, the first of which ends after `half` of each topic. */
  const migrated = async (
    file: string,
    form: Form,
    names: readonly string[],
    { recordsMax = {}, lives = 2 }: Migration = {},
  ): Promise<Log> => {
    using folder = tempDir('migration')
    const log = await testLog()
    const records = recording(file).filter((record) => record.form === form)
    const prefix = `m${++topics}`
    const config = configOf({
      brokers: cluster.brokers(),
      registry: { url: registry.url },
      topics: [`${prefix}.*`],
      format: 'debezium',
      unwrapped: form.startsWith('unwrapped'),
    })
    /** By name, how many were produced. */
    const counts = new Map<string, number>()
    const put = async (name: string, more: readonly Sent[]): Promise<void> => {
      await produce(name, more)
      counts.set(name, (counts.get(name) ?? 0) + more.length)
    }
    const nameOf = (topic: string): string => `${prefix}.${topic}`
    const all = new Set(records.map(({ topic }) => topic))
    const read = async (part: 'first' | 'second'): Promise<void> => {
      for (const topic of all) {
        const ofTopic = records
          .filter((record) => record.topic === topic)
          .slice(0, recordsMax[topic] ?? Infinity)
        const middle = Math.ceil(ofTopic.length / lives)
        const [from, to] = part === 'first' ? [0, middle] : [middle, ofTopic.length]
        await put(nameOf(topic), ofTopic.slice(from, to))
      }
      await put(nameOf('end'), [endRecord])
      const { connector, pulled } = watched()
      await using source = ingest(connector, config, log, folder.path)
      await waitFor(
        'the end',
        async () => {
          if (source.failed() !== null) throw source.failed() as Error
          const position = pulled()
          if (position === null) return false
          const { topics } = parseKafka(position)
          return [...counts].every(([name, count]) => topics.get(name)?.next[0] === count)
        },
        90_000,
      )
    }
    for (const topic of [...all, 'end']) await cluster.createTopic(nameOf(topic))
    await read('first')
    if (lives === 2) await read('second')
    return log
  }

  const compare = async (
    [ours, theirs]: readonly [Log, Log],
    [topic, name]: readonly [string, string],
    lost: readonly string[],
  ): Promise<void> => {
    const expected = await tableOf(ours, topic, lost)
    const found = await tableOf(theirs, name, lost)
    assert.ok(expected !== null && expected.rows.length > 0)
    assert.deepEqual(found?.rows, expected.rows)
    assert.deepEqual(found?.types, expected.types)
  }

  test('PostgreSQL: the same rows as by our own source', async () => {
    await using server = await startPostgres({ settings: { wal_level: 'logical' } })
    const ours = await own(
      [postgres, copiedByPostgres],
      postgres.config.parse({ url: server.url, tables: ['public.*'] }),
      (sql) => server.query(sql),
      // The last part changes a table, which each source tells in its own way.
      statements('postgres').slice(0, 2),
    )
    const tables = ['items', 'full_rows', 'pairs']
    const recordsMax = { 'shop.public.full_rows': 6, 'shop.public.pairs': 5 }
    for (const form of ['json_schemas', 'avro'] as const) {
      const names = tables.map((table) => `shop.public.${table}`)
      const theirs = await migrated('postgres', form, names, { recordsMax })
      for (const table of tables) {
        // The zone of a time, and the months of an interval.
        const lost = table === 'items' ? ['ttz', 'iv'] : []
        const name = `m${topics}.shop.public.${table}`
        await compare([ours, theirs], [`public.${table}`, name], lost)
      }
    }
  })

  test('PostgreSQL: values that Debezium was not sent, also under a new key', async () => {
    await using server = await startPostgres({ settings: { wal_level: 'logical' } })
    const ours = await own(
      [postgres, copiedByPostgres],
      postgres.config.parse({ url: server.url, tables: ['public.*'] }),
      (sql) => server.query(sql),
      statements('postgres-more'),
    )
    for (const form of ['json_schemas', 'avro'] as const) {
      const names = ['shop.public.toasts', 'shop.public.kinds']
      const theirs = await migrated('postgres-more', form, names, { lives: 1 })
      const name = `m${topics}.shop.public`
      await compare([ours, theirs], ['public.toasts', `${name}.toasts`], [])
      // Types that Debezium knows by their text alone, or not; what it does to intervals and to years BC.
      const lost = ['bt', 'vb', 'ip', 'mo', 'r', 'tz', 'iv', 'd']
      await compare([ours, theirs], ['public.kinds', `${name}.kinds`], lost)
    }
  })

  test('MySQL: the same rows as by our own source', async () => {
    await using server = await startMysql({ settings: {} })
    await server.query('CREATE DATABASE shop')
    const ours = await own(
      [mysql, copiedByMysql],
      mysql.config.parse({ url: server.url, tables: ['shop.*'] }),
      (sql) => server.query(`USE shop; ${sql}`),
      // The last part empties the table.
      statements('mysql').slice(0, 2),
    )
    for (const form of ['json_schemas', 'avro', 'unwrapped_avro'] as const) {
      const theirs = await migrated('mysql', form, ['shop.shop.items'], {
        recordsMax: { 'shop.shop.items': 10 },
      })
      const name = `m${topics}.shop.shop.items`
      // An unsigned integer that has become a signed one; a label with a comma in it.
      const lost = ['u8', 'e', ...added]
      // That it is MySQL's, which prints blanks in its JSON, only envelopes tell.
      if (form === 'unwrapped_avro') lost.push('j')
      // Of unsigned keys too, only the pipeline file can know.
      const expected = await tableOf(ours, 'shop.items', lost)
      const found = await tableOf(theirs, name, lost)
      assert.equal(expected?.rows.length, 3)
      assert.deepEqual(found?.rows, expected.rows)
      assert.deepEqual({ ...found?.types, id: 'uint64' }, expected.types)
    }
  })

  test('a table that is emptied, and a column that is added', async () => {
    for (const form of ['avro'] as const) {
      const theirs = await migrated('mysql', form, ['shop.shop.items'])
      const table = await tableOf(theirs, `m${topics}.shop.shop.items`, [])
      assert.deepEqual(
        table?.rows.map(({ id, t, more }) => [id, t, more]),
        [['5', 'after', '5']],
      )
    }
  })
})

/** The source, and up to where all of it was taken, which ingest commits before it ends. */
function watched(): {
  readonly connector: SourceConnector<KafkaConfig>
  readonly pulled: () => Position | null
} {
  let pulled: Position | null = null
  async function* read(
    source: Source,
    after: Position | null,
    signal: AbortSignal,
  ): AsyncGenerator<SourceBatch> {
    for await (const batch of source.read(after, signal)) {
      yield batch
      // Who asks for the next one has taken this one.
      if (batch.position !== null) pulled = batch.position
    }
  }
  const open = async (...given: Parameters<typeof kafka.open>): Promise<Source> => {
    const source = await kafka.open(...given)
    return {
      read: (after, signal) => read(source, after, signal),
      ack: (position) => source.ack(position),
      [Symbol.asyncDispose]: () => source[Symbol.asyncDispose](),
    }
  }
  return { connector: { ...kafka, open }, pulled: () => pulled }
}

/** What ExtractNewRecordState was told to add. */
const added = ['__source_ts_us']

type Sent = Pick<Recorded, 'key' | 'value' | 'headers'>

const endRecord: Sent = {
  key: null,
  headers: {},
  value: Buffer.from('{"status":"END","id":"1:1","event_count":0,"data_collections":[],"ts_ms":1}'),
}

/**
 * Records what Debezium writes to Kafka, in every form, from a real PostgreSQL and a real MySQL:
 *
 *   node test/connectors/kafka/debezium/recorder/record.ts
 *
 * Needs Java 17 and Maven. Writes ../<name>.jsonl.gz (its lines are in Record.java) for each run below and
 * ../schemas.json.gz, the registry's schemas by id. Run once a Debezium version; the tests read the files.
 */
import { execFileSync, spawn } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { startMysql } from '../../../../services/mysql.ts'
import { startPostgres } from '../../../../services/postgres.ts'
import { startRegistry } from '../../../../services/registry.ts'
import { tempDir, waitFor } from '../../../../support/env.ts'

const here = import.meta.dirname
using folder = tempDir('debezium')
const target = join(folder.path, 'target')
execFileSync('mvn', ['-q', '-B', `-Dbuild.dir=${target}`, '-f', join(here, 'pom.xml'), 'package'], {
  stdio: 'inherit',
})

await using registry = await startRegistry()
const base = new URL('/', registry.url).href.replace(/\/$/, '')
const ids = new Set<number>()

interface Database {
  /** Of the file that is written. */
  readonly name: string
  /** Of the statements. */
  readonly script: string
  /** Which are kept; all of them without it. */
  readonly forms?: readonly string[]
  readonly properties: Readonly<Record<string, string>>
  readonly query: (sql: string) => Promise<unknown>
}

/** What differs from Debezium's defaults. */
type Settings = Readonly<Record<string, string>>
const usual: Settings = {}
const texts: Settings = {
  'decimal.handling.mode': 'string',
  'time.precision.mode': 'isostring',
  'interval.handling.mode': 'string',
  'binary.handling.mode': 'hex',
  'bigint.unsigned.handling.mode': 'precise',
}
const connect: Settings = {
  'decimal.handling.mode': 'double',
  'time.precision.mode': 'connect',
  'column.propagate.source.type': '.*',
  'tombstones.on.delete': 'false',
}
const micros: Settings = { 'time.precision.mode': 'microseconds' }
const enveloped = ['json', 'json_schemas', 'avro']

interface Run {
  readonly name: string
  readonly script: string
  readonly settings: Settings
  readonly forms?: readonly string[]
}
const runsOf = (database: string): readonly Run[] => [
  { name: database, script: database, settings: usual },
  { name: `${database}-more`, script: `${database}-more`, settings: micros, forms: enveloped },
  { name: `${database}-texts`, script: `${database}-more`, settings: texts, forms: enveloped },
  { name: `${database}-connect`, script: `${database}-more`, settings: connect, forms: enveloped },
]

async function record({ name, script, forms, properties, query }: Database): Promise<void> {
  const [before, ...parts] = readFileSync(join(here, `${script}.sql`), 'utf8').split('-- @next')
  await query(before!)
  const file = join(folder.path, `${name}.properties`)
  const all = {
    name,
    'topic.prefix': 'shop',
    'offset.storage': 'org.apache.kafka.connect.storage.MemoryOffsetBackingStore',
    'poll.interval.ms': '20',
    'provide.transaction.metadata': 'true',
    'skipped.operations': 'none',
    'schema.name.adjustment.mode': 'avro',
    registry: base,
    ...properties,
  }
  const text = Object.entries(all).map(([key, value]) => `${key}=${value}\n`)
  writeFileSync(file, text.join(''))
  const child = spawn(
    'java',
    ['-cp', `${target}/debezium-recorder-1.jar:${target}/lib/*`, 'recorder.Record', file],
    {
      stdio: ['pipe', 'pipe', 'inherit'],
    },
  )
  const ended = new Promise((resolve) => child.once('exit', resolve))
  let output = ''
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => (output += chunk))
  let markers = 0
  const passMarker = async (): Promise<void> => {
    await query('INSERT INTO marker VALUES (DEFAULT)')
    markers++
    const marked = waitFor(
      'the marker',
      () => output.split('\n').filter((line) => isMarker(line)).length >= markers,
      120_000,
    )
    if ((await Promise.race([marked, ended])) !== true) throw new Error('the recorder ended early')
  }
  await passMarker()
  for (const part of parts) {
    await query(part)
    await passMarker()
  }
  child.stdin.end()
  await ended
  const lines = output.split('\n').filter((line) => {
    if (line === '' || line.includes('.marker"')) return false
    return forms === undefined || forms.some((form) => line.startsWith(`{"form":"${form}"`))
  })
  for (const line of lines) {
    const { form, key, value } = JSON.parse(line) as Record<string, string | null>
    if (!form!.endsWith('avro')) continue
    for (const bytes of [key, value])
      if (bytes != null) ids.add(Buffer.from(bytes, 'base64').readUInt32BE(1))
  }
  writeFileSync(join(here, '..', `${name}.jsonl.gz`), gzipSync(`${lines.join('\n')}\n`))
  console.log(name, lines.length, 'records')
}

/** Each marker comes once in the form that is looked at, however it came: copied or streamed. */
function isMarker(line: string): boolean {
  return line.startsWith('{"form":"json",') && line.includes('.marker"')
}

for (const { settings, ...run } of runsOf('postgres')) {
  await using server = await startPostgres({ settings: { wal_level: 'logical' } })
  const url = new URL(server.url)
  await record({
    ...run,
    query: (sql) => server.query(sql),
    properties: {
      'connector.class': 'io.debezium.connector.postgresql.PostgresConnector',
      'plugin.name': 'pgoutput',
      'database.hostname': url.hostname,
      'database.port': url.port,
      'database.user': decodeURIComponent(url.username),
      'database.password': decodeURIComponent(url.password),
      'database.dbname': url.pathname.slice(1),
      ...settings,
    },
  })
}
for (const { settings, ...run } of runsOf('mysql')) {
  await using server = await startMysql({ settings: {} })
  const url = new URL(server.url)
  await server.query('CREATE DATABASE shop')
  await record({
    ...run,
    query: (sql) => server.query(`USE shop; ${sql}`),
    properties: {
      'connector.class': 'io.debezium.connector.mysql.MySqlConnector',
      'database.hostname': url.hostname,
      'database.port': url.port,
      'database.user': decodeURIComponent(url.username),
      'database.password': decodeURIComponent(url.password),
      'database.server.id': '4711',
      'database.include.list': 'shop',
      'schema.history.internal': 'io.debezium.relational.history.MemorySchemaHistory',
      ...settings,
    },
  })
}
const schemas = await Promise.all(
  [...ids].map(async (id) => {
    const response = await fetch(`${registry.url}/schemas/ids/${id}`)
    return [id, ((await response.json()) as { schema: string }).schema]
  }),
)
const found = JSON.stringify(Object.fromEntries(schemas))
writeFileSync(join(here, '..', 'schemas.json.gz'), gzipSync(found))

/**
 * Bad rows end to end: PostgreSQL to ClickHouse (a table that replaces by key, and one that appends) and
 * to an HTTP endpoint, with the real command line: ls, show, edit, retry, drop, replay, while the
 * pipeline runs and while it does not. Attacks invariants 2, 5, 6 and 9.
 */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { after, before, test } from 'node:test'
import { startClickHouse, type ClickHouse } from '../services/clickhouse.ts'
import { postgresMajors, startPostgres, type PostgresServer } from '../services/postgres.ts'
import { startReceiver, type Receiver } from '../services/webhook-receiver.ts'
import { missingService, tempDir, waitFor } from '../support/env.ts'
import { letterTopicOf, listLetters, type LetterTask } from '../../core/task/letter-list.ts'
import { letterJson } from '../../bin/letter-format.ts'
import { testLog } from '../support/task-context.ts'
import { sluice, start, type Started } from './support.ts'

const secret = `whsec_${Buffer.alloc(32, 7).toString('base64')}`
const yaml = `version: 1
name: shop
log: { url: file://./log }
sources:
  shop: { type: postgres, url: '\${env.DATABASE_URL}', tables: [public.orders] }
transforms:
  share:
    sql: SELECT id, 100 / amount AS part FROM orders
sinks:
  warehouse: { type: clickhouse, url: '\${env.CLICKHOUSE_URL}', from: orders }
  ledger:
    type: clickhouse
    url: \${env.CLICKHOUSE_URL}
    from: orders
    mode: append
    tables: { shop.public.orders: ledger }
  hooks:
    type: webhook
    url: \${env.HOOK_URL}
    secret: \${env.HOOK_SECRET}
    from: orders
    allow_http: true
    allow_private: true
`

interface Letter {
  readonly letter: string
  readonly state: string
  readonly topic: string
  readonly offset: number
  readonly code: string
  readonly attempts: number
  readonly key: Readonly<Record<string, unknown>>
  readonly row: Readonly<Record<string, unknown>>
}

const tasks: readonly LetterTask[] = [
  { kind: 'deliver', name: 'warehouse' },
  { kind: 'deliver', name: 'ledger' },
  { kind: 'deliver', name: 'hooks' },
  { kind: 'transform', name: 'share' },
]

interface Stage {
  readonly clickhouse: ClickHouse
  readonly postgres: PostgresServer
  readonly receiver: Receiver
  readonly file: string
  readonly env: Readonly<Record<string, string>>
}

let stage: Stage | null = null
let missing: unknown = null
const owned = new AsyncDisposableStack()
/** Ids of orders that the endpoint refuses. */
const refused = new Set<number>([4])

before(async () => {
  try {
    const [version] = await postgresMajors(18)
    const postgres = owned.use(await startPostgres({ version: version! }))
    const clickhouse = owned.use(await startClickHouse())
    const receiver = owned.use(
      await startReceiver({
        secret,
        behaviour: ({ event }) =>
          refused.has(Number(event.data?.['id'])) ? { status: 422 } : undefined,
      }),
    )
    const folder = tempDir('dlq')
    owned.defer(() => folder[Symbol.dispose]())
    const file = join(folder.path, 'shop.yaml')
    writeFileSync(file, yaml)
    const env = {
      DATABASE_URL: postgres.url,
      CLICKHOUSE_URL: clickhouse.url,
      HOOK_URL: receiver.url,
      HOOK_SECRET: secret,
    }
    stage = { clickhouse, postgres, receiver, file, env }
  } catch (error) {
    missing = error
  }
})
after(() => owned.disposeAsync())

/** Runs the pipeline until `body` is done. */
async function running({ file, env }: Stage, body: (run: Started) => Promise<void>): Promise<void> {
  const run = start(['run', file, '--plain', '--port', '0'], { env })
  try {
    await body(run)
  } catch (cause) {
    throw new Error(`while running:\n${run.stdout()}${run.stderr()}`, { cause })
  } finally {
    run.child.kill('SIGTERM')
  }
  const { code, stderr } = await run.ended
  assert.equal(code, 0, stderr)
}

async function letters({ file }: Stage, ...args: readonly string[]): Promise<readonly Letter[]> {
  const { code, stdout, stderr } = await sluice(['dlq', 'ls', file, '--format', 'json', ...args])
  assert.equal(code, 0, stderr)
  return JSON.parse(stdout) as readonly Letter[]
}

/** Open letters of all tasks, without starting a command for it. */
async function open({ file }: Stage): Promise<readonly Letter[]> {
  const log = await testLog(`file://${join(dirname(file), 'log')}`)
  const found: Letter[] = []
  for (const task of tasks) {
    const topic = letterTopicOf(log, 'shop', task)
    for await (const letter of listLetters(topic, task, false, AbortSignal.timeout(60_000)))
      found.push(JSON.parse(letterJson(letter)) as Letter)
  }
  return found
}

async function dlq(...words: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await sluice(['dlq', ...words])
  assert.equal(code, 0, `${stdout}${stderr}`)
  return `${stdout}${stderr}`
}

test('bad rows are listed, mended and delivered; nothing else is held up', async (t) => {
  if (stage === null) return missingService(t, 'PostgreSQL and ClickHouse', missing)
  const { postgres, clickhouse, receiver, file } = stage
  await postgres.query(
    'CREATE TABLE orders (id bigint PRIMARY KEY, status text, amount int, at timestamp)',
  )
  await postgres.query(
    `INSERT INTO orders SELECT n, 'new', n, '2026-01-01' FROM generate_series(1, 6) n`,
  )
  const live = async (): Promise<string> => {
    const rows = await clickhouse.query(
      'SELECT id, status, toString(at) AS at FROM orders_live ORDER BY id',
    )
    return rows
      .map(({ id, status, at }) => `${String(id)} ${String(status)} ${String(at).slice(0, 4)}`)
      .join(', ')
  }

  await running(stage, async () => {
    await waitFor('the first copy', async () => (await open(stage!)).length >= 1)
    // ClickHouse has no infinity; 9,007,199,254,740,993 is beyond what a double holds.
    await postgres.query(`INSERT INTO orders VALUES (9007199254740993, 'old', 0, 'infinity')`)
    await postgres.query(`UPDATE orders SET status = 'paid' WHERE id <> 4`)
    await waitFor('all letters', async () => (await open(stage!)).length >= 7)
    await waitFor('the others', async () => (await live()).startsWith('1 paid'))
  })
  const found = await letters(stage)
  assert.deepEqual(
    found
      .map(({ letter, code, key }) => `${letter.split(':')[0]} ${code} ${JSON.stringify(key)}`)
      .toSorted(),
    [
      'hooks sink.webhook.rejected {"id":4}',
      'ledger sink.clickhouse.value_out_of_range {"id":"9007199254740993"}',
      'ledger sink.clickhouse.value_out_of_range {"id":"9007199254740993"}',
      'share sql.division_by_zero {"id":"9007199254740993"}',
      'share sql.division_by_zero {"id":"9007199254740993"}',
      'warehouse sink.clickhouse.value_out_of_range {"id":"9007199254740993"}',
      'warehouse sink.clickhouse.value_out_of_range {"id":"9007199254740993"}',
    ],
  )
  assert.equal(
    await live(),
    '1 paid 2026, 2 paid 2026, 3 paid 2026, 4 new 2026, 5 paid 2026, 6 paid 2026',
  )
  const byWhere = await letters(
    stage,
    '--where',
    `key ->> 'id' = '9007199254740993' AND code LIKE 'sink.%' AND row ->> 'at' = 'infinity' AND "offset" >= 6`,
  )
  assert.equal(byWhere.length, 4)
  const [old] = await letters(stage, '--sink', 'warehouse', '--where', "op = 'insert'")
  const shown = await dlq('show', file, old!.letter)
  assert.match(shown, /at = "infinity"/)
  assert.match(shown, /id = "9007199254740993"/)
  const wrong = await sluice([
    'dlq',
    'edit',
    file,
    old!.letter,
    '--set',
    'at=soon',
    '--set',
    'colour=red',
  ])
  assert.equal(wrong.code, 2)
  assert.match(wrong.stderr, /column at: .*timestamp/)
  assert.match(
    wrong.stderr,
    /column colour: there is no such column; there are id, status, amount, at/,
  )
  const code = await sluice(['dlq', 'retry', file, '--code', 'sink.webhook.rejectd'])
  assert.equal(code.code, 2)
  assert.match(
    code.stderr,
    /no code "sink\.webhook\.rejectd"; did you mean "sink\.webhook\.rejected"/,
  )
  const transform = await sluice(['dlq', 'retry', file, '--task', 'share'])
  assert.equal(transform.code, 2)
  assert.match(
    transform.stderr,
    /share:\d+ is a letter of the transform share, which cannot be sent again/,
  )
  const unsure = await sluice(['dlq', 'drop', file, '--task', 'share'])
  assert.deepEqual(
    [unsure.code, unsure.stderr],
    [2, 'nothing was dropped. To drop 2 letters, add --yes\n'],
  )
  await dlq('drop', file, '--task', 'share', '--yes')
  assert.equal((await letters(stage, '--task', 'share', '--all')).length, 2)

  // While nothing runs: the older version of the row is no use to anyone, the newer one is mended.
  await dlq('drop', file, '--sink', 'warehouse', '--where', "op = 'insert'", '--yes')
  await dlq(
    'edit',
    file,
    '--sink',
    'warehouse',
    '--where',
    "op = 'update'",
    '--set',
    'at=2026-02-02',
  )
  await dlq('edit', file, '--sink', 'ledger', '--json', '{"at":"2026-02-02T00:00:00"}')
  refused.clear()
  const waiting = await dlq('requests', file)
  assert.match(waiting, /warehouse +0 +drop .* waits for the pipeline/)
  await running(stage, async () => {
    await waitFor('the requests', async () => (await open(stage!)).length === 1)
    assert.match(await dlq('retry', file, '--sink', 'hooks', '--follow'), /done \(1 row sent\)/)
  })
  assert.deepEqual(await open(stage), [])
  assert.equal(await dlq('show', file), '', 'letters that are over are shown when they are named')
  assert.match(await dlq('show', file, '--all'), /state +retried/)
  const over = JSON.parse(await dlq('requests', file, '--format', 'json')) as { at: string }[]
  assert.ok(over.length >= 4)
  for (const { at } of over) assert.match(at, /^20\d\d-/, 'when it was asked stays known')
  assert.match(await live(), /6 paid 2026, 9007199254740993 paid 2026$/)
  const [ledger] = await clickhouse.query(
    'SELECT count() AS rows, uniqExact(_sluice_offset) AS offsets, max(_sluice_offset) AS last FROM ledger',
  )
  assert.equal(Number(ledger?.['rows']), Number(ledger?.['offsets']))
  assert.equal(Number(ledger?.['rows']), Number(ledger?.['last']) + 1, 'no offset is missing')
  const hook = receiver.requests.filter(({ event }) => event.data?.['id'] === 4)
  assert.equal(hook.length, 2)
  assert.equal(new Set(hook.map(({ id }) => id)).size, 1, 'the webhook-id is the same')
  assert.deepEqual(hook[0]!.text, hook[1]!.text)
  const story = await dlq(
    'show',
    file,
    found.find(({ letter }) => letter.startsWith('hooks'))!.letter,
  )
  assert.match(story, /state +retried/)
  assert.match(story, /story\n.*refused: sink\.webhook\.rejected\n.*retried \(request 0\)/)
})

test('a stretch of the log is delivered once more', async (t) => {
  if (stage === null) return missingService(t, 'PostgreSQL and ClickHouse', missing)
  const { clickhouse, receiver, file } = stage
  const count = async (): Promise<number> =>
    Number((await clickhouse.query('SELECT count() AS n FROM ledger'))[0]?.['n'])
  const before = await count()
  const taken = receiver.taken.length
  await clickhouse.command('DELETE FROM ledger WHERE _sluice_offset IN (1, 3, 5)')
  const bad = await sluice([
    'replay',
    file,
    '--sink',
    'ledger',
    '--from',
    'start',
    '--to',
    'end',
    '--where',
    'colour = 1',
  ])
  assert.equal(bad.code, 2)
  assert.match(bad.stderr, /sql\.unknown_column/)
  await running(stage, async () => {
    const all = await sluice(['replay', file, '--sink', 'ledger', '--from', 'start', '--follow'])
    // The rows that were mended stand at their offsets already; the bad values are not sent again.
    assert.match(all.stdout, /done/, all.stderr)
    const some = await sluice([
      'replay',
      file,
      '--sink',
      'hooks',
      '--topic',
      'orders',
      '--from',
      'offset:0',
      '--to',
      'end',
      '--where',
      'id = 3',
      '--follow',
    ])
    assert.equal(some.code, 0, `${some.stdout}${some.stderr}`)
  })
  assert.equal(await count(), before)
  const again = receiver.taken
    .slice(taken)
    .map(({ event }) => `${event.op} ${String(event.data?.['status'])}`)
  assert.deepEqual(again, ['snapshot new', 'update paid'])
})

/** `tap` reads topics straight from a log on disk: nothing is taken over, nothing is changed. */
import assert from 'node:assert/strict'
import { globSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { test } from 'node:test'
import { openLog } from '../../core/log/log.ts'
import { ChainWriter } from '../../core/log/writer.ts'
import { makeBatch, Op, type Batch } from '../../core/record/batch.ts'
import { makeSchema } from '../../core/record/schema.ts'
import { openStore } from '../../core/store/open.ts'
import { tempDir, waitFor } from '../support/env.ts'
import { sluice, start } from './support.ts'

/** The values of sinks and sources are not needed to read the log. */
const yaml = `version: 1
name: shop
log: { url: file://./log }
sources:
  pg: { type: postgres, url: 'postgres://u:p@127.0.0.1:1/x', tables: [public.orders] }
sinks:
  hooks: { type: webhook, url: \${env.NOT_SET}, secret: \${env.NOT_SET}, from: orders }
`
const schema = makeSchema(
  [
    { name: 'id', type: { kind: 'int64' }, nullable: false },
    { name: 'note', type: { kind: 'text' }, nullable: true },
  ],
  [0],
  'upsert',
)
const startUs = Date.UTC(2026, 0, 1) * 1000
const minuteUs = 60e6

/** Rows with these ids; row n is n minutes after the year began. */
function rows(...ids: number[]): Batch {
  const texts = ids.map((id) => {
    if (id === 9) return Buffer.from([0x6e, 0xff])
    return Buffer.from(id === 3 ? '\u001b[31mred' : `note ${id}`)
  })
  const offsets = Int32Array.from([0, ...texts.keys()], (_, at) =>
    texts.slice(0, at).reduce((sum, text) => sum + text.length, 0),
  )
  return makeBatch(
    schema,
    [
      { encoding: 'float64', length: ids.length, validity: null, values: Float64Array.from(ids) },
      {
        encoding: 'bytes',
        length: ids.length,
        validity: null,
        offsets,
        data: Buffer.concat(texts),
      },
    ],
    Int32Array.from(ids, (id) => (id === 5 ? -1 : 1)),
    Uint8Array.from(ids, (id) => (id === 5 ? Op.delete : Op.insert)),
    Float64Array.from(ids, (id) => startUs + id * minuteUs),
  )
}

async function withLog(
  use: (
    file: string,
    commit: (...batches: readonly (Batch | 'truncate')[]) => Promise<void>,
  ) => Promise<void>,
): Promise<void> {
  using folder = tempDir('tap')
  const file = join(folder.path, 'shop.yaml')
  writeFileSync(file, yaml)
  const { signal } = new AbortController()
  await using store = openStore(pathToFileURL(join(folder.path, 'log')).href)
  const log = await openLog(store, { signal })
  await using writer = await ChainWriter.open(log, 'shop.source.pg', { writer: 'test', signal })
  const topic = 'pg.public.orders'
  await use(file, async (...batches) => {
    const entries = batches.map((batch) =>
      batch === 'truncate'
        ? ({ kind: 'truncate', topic } as const)
        : ({ kind: 'rows', topic, batch } as const),
    )
    await writer.commit({ entries }, signal)
  })
}

test('all formats, places and limits', async () => {
  await withLog(async (file, commit) => {
    await commit(rows(1, 2, 3))
    await commit('truncate', rows(4, 5))
    const before = globSync('**', { cwd: join(file, '../log') }).sort()
    const ids = async (...words: readonly string[]): Promise<readonly unknown[]> => {
      const { code, stdout, stderr } = await sluice([
        'tap',
        file,
        'orders',
        '--format',
        'jsonl',
        ...words,
      ])
      assert.equal(code, 0, stderr)
      return stdout
        .split('\n')
        .filter(Boolean)
        .map((line) => JSON.parse(line) as { row?: { id: number } })
        .map((entry) => entry.row?.id ?? 'truncate')
    }
    assert.deepEqual(await ids(), [1, 2, 3, 'truncate', 4, 5])
    assert.deepEqual(await ids('--limit', '2'), [1, 2])
    assert.deepEqual(await ids('--limit', '0'), [])
    assert.deepEqual(await ids('--from', 'offset:2', '--limit', '3'), [3, 'truncate', 4])
    assert.deepEqual(await ids('--from', 'end'), [])
    assert.deepEqual((await ids('--from', 'time:2026-01-01T00:04:00Z')).at(-1), 5)
    const json = await sluice(['tap', file, 'pg.public.orders', '--format', 'json'])
    const parsed = JSON.parse(json.stdout) as Record<string, unknown>[]
    assert.deepEqual(parsed[0], {
      offset: 0,
      op: 'insert',
      weight: 1,
      time: '2026-01-01T00:01:00.000000Z',
      row: { id: 1, note: 'note 1' },
    })
    assert.deepEqual(parsed[3], { offset: 3, truncate: true })
    assert.deepEqual([parsed[5]?.['op'], parsed[5]?.['weight']], ['delete', -1])
    const table = await sluice(['tap', file, 'orders'])
    assert.match(
      table.stdout,
      /^pg\.public\.orders \(upsert, key: id\)\noffset +op +time +id +note\n-/,
    )
    assert.ok(!table.stdout.includes('\u001b'), 'values cannot colour the terminal')
    assert.match(table.stdout, /delete \(−\)/)
    assert.deepEqual(globSync('**', { cwd: join(file, '../log') }).sort(), before, 'only read')
  })
})

test('topics are listed, and misspelt ones are told apart', async () => {
  await withLog(async (file, commit) => {
    await commit(rows(1))
    const list = await sluice(['tap', file])
    assert.match(list.stdout, /^pg\.public\.orders {2}1 offset {2}id, note\n$/)
    const wrong = await sluice(['tap', file, 'pg.public.ordrs'])
    assert.equal(wrong.code, 2)
    assert.match(wrong.stderr, /did you mean "pg\.public\.orders"\?/)
  })
})

test('--follow prints what is committed later, and SIGINT ends it well', async () => {
  await withLog(async (file, commit) => {
    await commit(rows(1))
    const tap = start(['tap', file, 'orders', '--follow', '--format', 'jsonl'])
    try {
      await waitFor('the first row', () => tap.stdout().includes('"id":1'))
      await commit(rows(2))
      await waitFor('the second row', () => tap.stdout().includes('"id":2'))
      tap.child.kill('SIGINT')
      const { code, stderr } = await tap.ended
      assert.equal(code, 0, stderr)
    } finally {
      // Where it fails before, the child would keep this file from ending.
      tap.child.kill('SIGKILL')
    }
  })
})

test('without a log nothing is made', async () => {
  using folder = tempDir('tap')
  const file = join(folder.path, 'shop.yaml')
  writeFileSync(file, yaml)
  const { code, stderr } = await sluice(['tap', file, 'orders'])
  assert.equal(code, 3)
  assert.match(stderr, /there is no log at file:\/\/.*\/log yet/)
  assert.deepEqual(readdirSync(folder.path), ['shop.yaml'])
})

test('a text that is not UTF-8 is shown as far as it can be, and that it is not all is said', async () => {
  await withLog(async (file, commit) => {
    await commit(rows(8, 9))
    const words = ['tap', file, 'pg.public.orders', '--from', 'start', '--limit', '2']
    const { code, stdout } = await sluice([...words, '--format', 'jsonl'])
    assert.equal(code, 0)
    const printed = stdout
      .trim()
      .split('\n')
      .map((line): unknown => JSON.parse(line))
    assert.deepEqual(
      printed.map((line) => {
        const { lossy, row } = line as { readonly lossy?: boolean; readonly row: unknown }
        return { lossy, row }
      }),
      [
        { lossy: undefined, row: { id: 8, note: 'note 8' } },
        { lossy: true, row: { id: '9', note: 'n\ufffd' } },
      ],
    )
  })
})

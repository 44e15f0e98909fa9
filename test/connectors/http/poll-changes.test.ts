/**
 * What of an answer is news: by a field that grows, by what the server says of its answer, by key and by
 * whole listings; also when the source is stopped anywhere. Attacks invariants 2 and 5.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { ApiServer } from './api-server.ts'
import { Kept, Life, valuesOf } from './polling.ts'

const schema = { id: 'int64', note: 'text?' }

interface Row {
  readonly id: number
  readonly note?: string
  readonly at?: string
}

function items(server: ApiServer, more: Record<string, unknown> = {}): unknown {
  return { poll: { items: { url: `${server.origin}/items`, every: '100ms', schema, ...more } } }
}

test('of a key only rows that changed are written, also by a new life', async () => {
  let rows: Row[] = [
    { id: 1, note: 'a' },
    { id: 2, note: 'b' },
  ]
  await using server = await ApiServer.start(() => ({ body: rows }))
  const config = items(server, { key: ['id'], columns: { seen: 'received' } })
  const kept = new Kept()
  const notes = (): string[] => kept.rows('items').map((text) => text.replace(/\|[^|]*$/, ''))
  {
    await using life = await Life.start(config, { kept })
    await life.runs('items', 3)
    assert.deepEqual(notes(), ['1|a', '2|b'])
    rows = [{ id: 2, note: 'B' }, { id: 1, note: 'a' }, { id: 3 }]
    await life.runs('items', 2)
  }
  assert.deepEqual(notes(), ['1|a', '2|b', '2|B', '3|null'])
  rows = [
    { id: 1, note: 'a' },
    { id: 2, note: 'B' },
    { id: 3, note: 'c' },
  ]
  await using life = await Life.start(config, { kept })
  await life.runs('items', 2)
  assert.deepEqual(notes().slice(4), ['3|c'])
})

test('a whole listing tells what is gone; a suspicious one deletes nothing', async () => {
  let rows: Row[] = [1, 2, 3, 4].map((id) => ({ id }))
  await using server = await ApiServer.start(() => ({ body: rows }))
  const config = items(server, { key: ['id'], deletes: 'full_listing' })
  const kept = new Kept()
  {
    await using life = await Life.start(config, { kept })
    await life.runs('items')
    rows = [1, 2, 4].map((id) => ({ id }))
    await life.runs('items', 2)
    assert.deepEqual(kept.rows('items').slice(4), ['-3'])
    // Empty, then with more gone than half.
    rows = []
    await life.runs('items', 2)
    rows = [{ id: 9 }]
    await life.runs('items', 2)
    assert.deepEqual(kept.rows('items').slice(5), ['9|null'])
    assert.ok(life.context.hasLogged('a listing of 1 records lacks 3 of 3 rows'))
    assert.ok(life.context.hasLogged('a listing of 0 records lacks 3 of 3 rows'))
    // Said once, however often it comes.
    assert.equal(life.context.lines.filter(({ level }) => level === 'warn').length, 3)
    // A record that is no row may be any of them.
    rows = [{ id: 9 }, { id: 1 }, { id: 2 }, { id: 'four' as unknown as number }]
    await life.runs('items', 2)
    assert.deepEqual(kept.rows('items').slice(6), [])
    // It is set aside once, however often it comes.
    assert.equal(kept.rejected.length, 1)
    assert.ok(life.context.hasLogged('1 of 4 records of a listing are no rows'))
  }
  // Deleted while nobody looked.
  rows = [1, 2, 9].map((id) => ({ id }))
  await using life = await Life.start(config, { kept })
  await life.runs('items')
  assert.deepEqual(kept.rows('items').slice(6), ['-4'])
  assert.deepEqual(kept.folded('items'), ['1|null', '2|null', '9|null'])
})

test('all may go where that is allowed, and keys of several columns come back exact', async () => {
  const key = { a: '9007199254740993', b: 'ü|1', day: '2026-02-03' }
  let rows: unknown[] = [{ ...key, x: 1 }]
  await using server = await ApiServer.start(() => ({ body: rows }))
  await using life = await Life.start(
    items(server, {
      schema: { x: 'int32', b: 'text', a: 'int64', day: 'date' },
      key: ['a', 'b', 'day'],
      deletes: 'full_listing',
      deletes_max: 1,
    }),
  )
  await life.runs('items')
  rows = []
  await life.runs('items')
  const { batch } = life.kept.batches.findLast(({ batch }) => batch.rows > 0)!
  assert.deepEqual([...batch.weights], [-1])
  assert.deepEqual(valuesOf(batch), [[null, 'ü|1', '9007199254740993', '2026-02-03']])
})

test('with counted pages a row has to be missing twice: it may slip between them', async () => {
  let rows: Row[] = [1, 2, 3, 4, 5].map((id) => ({ id }))
  let isSlipping = false
  await using server = await ApiServer.start(({ query }) => {
    const from = Number(query.get('o'))
    const body = rows.slice(from, from + 2)
    // Row 1 goes while the pages are read: row 3 slips from the second page to the first.
    if (isSlipping && from === 0) rows = rows.slice(1)
    return { body }
  })
  const pagination = { type: 'offset', parameter: 'o', size: 2 }
  await using life = await Life.start(
    items(server, { key: ['id'], deletes: 'full_listing', pagination }),
  )
  await life.runs('items')
  isSlipping = true
  await life.runs('items')
  isSlipping = false
  assert.deepEqual(life.kept.rows('items').slice(5), [])
  await life.runs('items', 2)
  assert.deepEqual(life.kept.rows('items').slice(5), ['-1'])
})

test('a listing that was broken off is finished, deletes nothing, and is read whole at once', async () => {
  let rows: Row[] = [1, 2, 3, 4].map((id) => ({ id }))
  await using server = await ApiServer.start(({ query }) => {
    const from = Number(query.get('c') ?? 0)
    const next = from + 2 < rows.length ? from + 2 : null
    return { body: { rows: rows.slice(from, from + 2), next } }
  })
  const config = items(server, {
    every: '1h',
    records: '$.rows',
    key: ['id'],
    deletes: 'full_listing',
    deletes_max: 1,
    pagination: { type: 'cursor', next: '$.next', parameter: 'c' },
  })
  const kept = new Kept()
  {
    await using life = await Life.start(config, { kept })
    await life.until(() => kept.position !== null)
    assert.equal(kept.state('items')?.page?.cursor, '2')
  }
  rows = [1, 2, 4].map((id) => ({ id }))
  server.asked.length = 0
  await using life = await Life.start(config, { kept })
  await life.runs('items', 1)
  assert.deepEqual(kept.rows('items'), ['1|null', '2|null', '4|null'])
  await life.runs('items', 1)
  assert.deepEqual(
    server.asked.map(({ url }) => url),
    ['/items?c=2', '/items', '/items?c=2'],
  )
  assert.deepEqual(kept.folded('items'), ['1|null', '2|null', '4|null'])
  assert.ok(!kept.rows('items').includes('-1'))
})

test('a page that the server has forgotten begins the run anew', async () => {
  let isFresh = true
  await using server = await ApiServer.start(({ query }) => {
    const cursor = query.get('c')
    if (cursor === null) return { body: { rows: [{ id: 1 }], next: isFresh ? 'old' : 'new' } }
    if (cursor === 'old' && !isFresh) return { status: 410 }
    return { body: { rows: [{ id: 2 }], next: null } }
  })
  const config = items(server, {
    every: '1h',
    records: '$.rows',
    key: ['id'],
    pagination: { type: 'cursor', next: '$.next', parameter: 'c' },
  })
  const kept = new Kept()
  {
    await using life = await Life.start(config, { kept })
    await life.until(() => kept.position !== null)
  }
  isFresh = false
  await using life = await Life.start(config, { kept })
  await life.runs('items')
  assert.deepEqual(kept.rows('items'), ['1|null', '2|null'])
})

test('only what is new is asked for, and rows at the border come once', async () => {
  const rows: Row[] = [
    { id: 1, at: '2026-01-01T00:00:00.000001Z' },
    { id: 2, at: '2026-01-01T00:00:01.5Z' },
    // Alike in every column, and two of them.
    { id: 2, at: '2026-01-01T00:00:01.5Z' },
  ]
  const asUs = (text: string): number =>
    Date.parse(text) * 1000 + Number(/(\d{3})Z$/.exec(text)?.[1] ?? 0)
  await using server = await ApiServer.start(({ query }) => {
    const from = query.get('from')!
    return { body: rows.filter(({ at }) => asUs(at!) >= asUs(from) || at! >= from) }
  })
  const config = items(server, {
    schema: { id: 'int64', at: 'timestamptz' },
    since: { field: 'at', parameter: 'from', start: '2026-01-01' },
  })
  const kept = new Kept()
  {
    await using life = await Life.start(config, { kept })
    await life.runs('items', 3)
  }
  assert.equal(kept.rows('items').length, 3)
  assert.equal(server.asked[0]!.query.get('from'), '2026-01-01T00:00:00.000Z')
  assert.equal(server.asked[1]!.query.get('from'), '2026-01-01T00:00:01.500Z')
  rows.push({ id: 3, at: '2026-01-01T00:00:01.5Z' }, { id: 4, at: '2026-01-01T00:00:02Z' })
  await using life = await Life.start(config, { kept })
  await life.runs('items', 2)
  assert.deepEqual(
    kept.rows('items').map((text) => text.split('|')[0]),
    ['1', '2', '2', '3', '4'],
  )
})

test('rows without a value of the field that grows come once too', async () => {
  await using server = await ApiServer.start(() => ({
    body: [{ id: 1 }, { id: 2, at: '2026-01-01T00:00:00Z' }],
  }))
  const config = items(server, {
    schema: { id: 'int64', at: 'timestamptz?' },
    since: { field: 'at', parameter: 'from' },
  })
  const kept = new Kept()
  for (let lives = 0; lives < 2; lives++) {
    await using life = await Life.start(config, { kept })
    await life.runs('items', 2)
  }
  assert.deepEqual(kept.rows('items'), ['1|null', '2|2026-01-01 00:00:00+00'])
})

test('a row that is dated into the future hides none that is written while an answer is under way (invariant 1)', async () => {
  const ago = (ms: number): string => new Date(Date.now() - ms).toISOString()
  const rows: Row[] = [
    { id: 1, at: ago(60_000) },
    { id: 2, at: '2999-01-01T00:00:00Z' },
  ]
  await using server = await ApiServer.start(async ({ query }) => {
    const from = Date.parse(query.get('from') ?? '1970-01-01')
    const body = rows.filter(({ at }) => Date.parse(at!) >= from)
    if (rows.length < 6) rows.push({ id: 8 + rows.length, at: ago(0) })
    await setTimeout(50)
    return { body }
  })
  const config = items(server, {
    schema: { id: 'int64', at: 'timestamptz' },
    since: { field: 'at', parameter: 'from' },
  })
  const kept = new Kept()
  for (let life = 0; life < 3; life++) {
    await using one = await Life.start(config, { kept })
    await one.runs('items', 3)
  }
  // Each came once, and those of long ago are not asked for any more.
  assert.deepEqual(kept.rows('items').map(Number.parseFloat), [1, 2, 10, 11, 12, 13])
  assert.equal(server.asked[1]!.query.get('from'), rows[0]!.at)
  assert.equal(server.asked.at(-1)!.query.get('from'), rows.at(-1)!.at)
})

test('what becomes visible late is found within the overlap', async () => {
  const rows: Row[] = [{ id: 100 }, { id: 110 }]
  await using server = await ApiServer.start(({ query }) => ({
    body: rows.filter(({ id }) => id > Number(query.get('after') ?? 0)),
  }))
  const config = items(server, { since: { field: 'id', parameter: 'after', overlap: 10 } })
  const kept = new Kept()
  {
    await using life = await Life.start(config, { kept })
    await life.runs('items', 2)
    rows.push({ id: 105 })
    await life.runs('items')
  }
  rows.push({ id: 103 }, { id: 99 })
  await using life = await Life.start(config, { kept })
  await life.runs('items', 2)
  assert.deepEqual(
    server.asked.slice(0, 2).map(({ url }) => url),
    ['/items', '/items?after=100'],
  )
  assert.deepEqual(kept.rows('items'), ['100|null', '110|null', '105|null', '103|null'])
})

test('a run that is stopped in its middle keeps asking from where it began', async () => {
  const rows = [5, 1, 4, 2, 3].map((id) => ({ id }))
  await using server = await ApiServer.start(({ query }) => {
    const found = rows.filter(({ id }) => id > Number(query.get('after')))
    const from = Number(query.get('o'))
    return { body: found.slice(from, from + 2) }
  })
  const config = items(server, {
    every: '1h',
    since: { field: 'id', parameter: 'after', start: 0 },
    pagination: { type: 'offset', parameter: 'o', size: 2 },
  })
  const kept = new Kept()
  for (let life = 0; life < 3; life++) {
    await using one = await Life.start(config, { kept })
    const before = kept.position
    await one.until(() => kept.position !== before)
  }
  assert.deepEqual(
    server.asked.map(({ query }) => [query.get('after'), query.get('o')]),
    [
      ['0', '0'],
      ['0', '2'],
      ['0', '4'],
    ],
  )
  assert.deepEqual(kept.rows('items').map(Number.parseFloat), [5, 1, 4, 2, 3])
  assert.equal(kept.state('items')?.since, '5')
})

test('an answer that has not changed is not sent again', async () => {
  let etag = '"1"'
  let rows: Row[] = [{ id: 1 }]
  await using server = await ApiServer.start(({ headers }) =>
    headers['if-none-match'] === etag
      ? { status: 304, headers: { etag } }
      : { headers: { etag, 'last-modified': 'Sun, 01 Feb 2026 00:00:00 GMT' }, body: rows },
  )
  // Without key: what comes again would be written again.
  const config = items(server)
  const kept = new Kept()
  {
    await using life = await Life.start(config, { kept })
    await life.runs('items', 2)
    assert.equal(server.asked[1]!.headers['if-modified-since'], 'Sun, 01 Feb 2026 00:00:00 GMT')
    rows = [{ id: 1 }, { id: 2 }]
    etag = '"2"'
    await life.runs('items', 2)
  }
  await using life = await Life.start(config, { kept })
  await life.runs('items')
  assert.deepEqual(kept.rows('items'), ['1|null', '1|null', '2|null'])
  // Another schema is another question.
  const wider = items(server, { schema: { ...schema, more: 'text?' } })
  await using other = await Life.start(wider, { kept })
  await other.runs('items')
  assert.equal(kept.rows('items').length, 5)
})

test('what an answer says of itself is said to the same address and body only', async () => {
  await using server = await ApiServer.start(({ headers }) =>
    // As a server of files answers: none of them is newer than what was seen of another one.
    headers['if-modified-since'] === undefined
      ? {
          headers: { 'last-modified': 'Sun, 01 Feb 2026 00:00:00 GMT' },
          body: [{ id: server.asked.length }],
        }
      : { status: 304 },
  )
  for (const more of [
    { url: `${server.origin}/{{ now.unix_ms }}.json` },
    { method: 'POST', body: '{"at":{{ now.unix_ms }}}' },
  ]) {
    await using life = await Life.start(items(server, more))
    await life.runs('items', 3)
    assert.equal(life.kept.rows('items').length, 3)
  }
})

test('runs begin at their interval, and a new life waits for it', async () => {
  let nowMs = 1_000_000
  const clock = {
    nowMs: () => nowMs,
    sleep: async (ms: number, signal: AbortSignal) => {
      nowMs += ms
      await new Promise((resolve) => setImmediate(resolve))
      signal.throwIfAborted()
    },
  }
  const times: number[] = []
  await using server = await ApiServer.start(({ query }) => {
    times.push(nowMs)
    nowMs += 3000
    return { body: [{ id: Number(query.get('t')) }] }
  })
  const config = items(server, { every: '10m', url: `${server.origin}/items?t={{ now.unix }}` })
  const kept = new Kept()
  for (let lives = 0; lives < 2; lives++) {
    await using life = await Life.start(config, { kept, context: { clock } })
    await life.runs('items', 2)
  }
  assert.deepEqual(
    times,
    [0, 1, 2, 3].map((run) => 1_000_000 + run * 600_000),
  )
  assert.deepEqual(kept.rows('items').map(Number.parseFloat), [1000, 1600, 2200, 2800])
})

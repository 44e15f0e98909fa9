/**
 * Streams that do not end: server-sent events and lines. They break off anywhere and go on behind what is
 * in a commit; a silent one is opened again; a slow reader is waited for. Attacks invariants 5 and 8.
 */
import assert from 'node:assert/strict'
import type { ServerResponse } from 'node:http'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { waitFor } from '../../support/env.ts'
import { steadily } from '../../support/steadily.ts'
import { ApiServer } from './api-server.ts'
import { Kept, Life } from './polling.ts'

const schema = { id: 'int64', note: 'text?' }

function feed(server: ApiServer, more: Record<string, unknown> = {}): unknown {
  return { poll: { feed: { url: `${server.origin}/feed`, stream: 'sse', schema, ...more } } }
}

function begin(response: ServerResponse): ServerResponse {
  response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8' })
  response.flushHeaders()
  return response
}

test('events are rows; it goes on behind the last one, whoever breaks off', async () => {
  // Each connection sends two events behind the id it is given, and breaks off in the middle of a third.
  await using server = await ApiServer.start(({ headers }, response) => {
    const from = Number(headers['last-event-id'] ?? 0)
    begin(response).write('\ufeffretry: 1\n: hello\n\n')
    for (const id of [from + 1, from + 2]) {
      response.write(`id: ${id}\r\nevent: tick\r\ndata: {"id":${id},\r\ndata:"note":"ü"}\r\n\r\n`)
    }
    response.write('event: other\ndata: {"id":0}\n\n')
    response.write(`id: ${from + 3}\ndata: {"id":${from + 3}}\n`)
    if (from % 4 === 0) response.end()
    else setTimeout(() => response.destroy(), 5)
    return null
  })
  const columns = { kind: 'event', place: 'event_id' }
  const config = feed(server, { events: ['tick'], columns })
  const kept = new Kept()
  const context = { random: () => 0.001 }
  for (let life = 0; life < 3; life++) {
    await using one = await Life.start(config, { kept, context })
    const enough = kept.rows('feed').length + 5
    await one.until(() => kept.rows('feed').length >= enough)
  }
  const rows = kept.rows('feed')
  assert.deepEqual(
    rows,
    rows.map((_, at) => `${at + 1}|ü|tick|${at + 1}`),
  )
  assert.equal(server.asked[0]!.headers['accept'], 'text/event-stream')
  assert.equal(server.asked[0]!.headers['last-event-id'], undefined)
})

test('an id of any text comes back as it was', async () => {
  await using server = await ApiServer.start((_, response) => {
    const id = server.asked.length
    begin(response).end(`retry: 1\nid: ü ${id}\nid: bad\tid\ndata: {"id":${id}}\n\n`)
    return null
  })
  await using life = await Life.start(feed(server), { context: { random: () => 0.001 } })
  await life.until(() => life.kept.rows('feed').length === 2)
  const bytes = Buffer.from(String(server.asked[1]!.headers['last-event-id']), 'latin1')
  assert.equal(bytes.toString(), 'ü 1')
})

test('lines are rows, the last one also without its end; broken ones are set aside', async () => {
  let connections = 0
  await using server = await ApiServer.start((_, response) => {
    connections++
    response.writeHead(200, { 'content-type': 'application/x-ndjson' })
    response.write('{"id":1}\n\n{"id"')
    setTimeout(() => response.end(`:2,"note":"é"}\r\nnot json\n{"id":${connections + 2}}`), 10)
    return null
  })
  await using life = await Life.start(feed(server, { stream: 'ndjson', key: ['id'] }))
  await life.until(() => life.kept.rows('feed').length >= 3)
  assert.deepEqual(life.kept.rows('feed').slice(0, 3), ['1|null', '2|é', '3|null'])
  assert.equal(life.kept.rejected.length, 1)
})

test('a stream by `since` asks from where it was', async () => {
  await using server = await ApiServer.start(({ query }, response) => {
    const from = Number(query.get('from') ?? 0)
    response.writeHead(200)
    response.end([from, from + 1, from + 2].map((id) => `{"id":${id}}\n`).join(''))
    return null
  })
  const config = feed(server, { stream: 'ndjson', since: { field: 'id', parameter: 'from' } })
  const kept = new Kept()
  for (let life = 1; life <= 3; life++) {
    await using one = await Life.start(config, { kept })
    await one.until(() => kept.rows('feed').length > 2 * life)
  }
  assert.deepEqual(kept.rows('feed').map(Number.parseFloat), [0, 1, 2, 3, 4, 5, 6])
})

test('a silent stream is opened again, one that gives a sign of life is not', async () => {
  await steadily(300, async () => {
    let connections = 0
    await using server = await ApiServer.start((_, response) => {
      connections++
      begin(response).write(`retry: 1\n\nid: ${connections}\ndata: {"id":${connections}}\n\n`)
      if (connections === 1) return null
      const timer = setInterval(() => response.write(': alive\n\n'), 200)
      response.on('close', () => clearInterval(timer))
      return null
    })
    await using life = await Life.start(feed(server, { silence: '1s' }), {
      context: { random: () => 0.001 },
    })
    await life.until(() => life.kept.rows('feed').length === 2)
    assert.ok(life.context.hasLogged('sent nothing for too long'))
    const waiting = life.next()
    // Awaited at the end, which an assertion that fails before does not come to.
    waiting.catch(() => {})
    await sleep(1600)
    assert.equal(connections, 2)
    life.abort()
    await assert.rejects(waiting)
    await waitFor('the connection to end', async () => (await server.open()) === 0)
  })
})

test('while nobody takes what came, nothing more is read', async () => {
  let written = 0
  const line = `{"id":1,"note":"${'x'.repeat(10_000)}"}\n`
  await using server = await ApiServer.start((_, response) => {
    response.writeHead(200)
    const write = (): void => {
      for (let i = 0; i < 2000 && !response.destroyed; i++) {
        written += line.length
        if (!response.write(line)) return void response.once('drain', write)
      }
    }
    write()
    return null
  })
  await using life = await Life.start(feed(server, { stream: 'ndjson' }))
  await life.next()
  await life.next()
  await waitFor('the reading to stop', async () => {
    const before = written
    await sleep(500)
    return written === before || written > 20 << 20
  })
  assert.ok(written < 20 << 20, `${written} bytes`)
})

test('answers that nobody reads keep no connection, however large they are', async () => {
  await using server = await ApiServer.start((_, response) => {
    const count = server.asked.length
    if (count <= 4) {
      // Neither an end nor so little that it is there at once; a refusal and what is no stream, in turns.
      response.writeHead(count % 2 === 0 ? 503 : 200, { 'content-type': 'text/plain' })
      if (count % 2 === 1) response.write('x'.repeat(1 << 20))
      else response.flushHeaders()
      return null
    }
    begin(response).write('data: {"id":1}\n\n')
    return null
  })
  const clock = {
    nowMs: () => Date.now() + skippedMs,
    sleep: async (ms: number, signal: AbortSignal) => {
      skippedMs += ms
      await sleep(5)
      signal.throwIfAborted()
    },
  }
  let skippedMs = 0
  await using life = await Life.start(feed(server, { timeout: '5s' }), { context: { clock } })
  await life.until(() => life.kept.rows('feed').length === 1)
  assert.equal(server.asked.length, 5)
})

test('a page for people is no stream of lines, and no letters', async () => {
  await using server = await ApiServer.start(() => ({
    headers: { 'content-type': 'text/html' },
    body: '\n<!doctype html>\n<html>\n<body>log in</body>\n</html>\n',
  }))
  await using life = await Life.start(feed(server, { stream: 'ndjson' }))
  const waiting = life.until(() => false)
  await waitFor('a reason', () => life.context.hasLogged('it is a page or XML (text/html)'))
  life.abort()
  await assert.rejects(waiting)
  assert.deepEqual([life.kept.rows('feed'), life.kept.rejected], [[], []])
})

test('what is no stream is no answer, and a long line stops the source', async () => {
  await using server = await ApiServer.start(({ path }) => ({
    headers: { 'content-type': path === '/feed' ? 'text/html' : 'text/event-stream' },
    body: path === '/feed' ? 'data: {"id":1}\n\n' : `data: ${'x'.repeat(5000)}\n\n`,
  }))
  await using life = await Life.start(feed(server))
  const waiting = life.until(() => false)
  await waitFor('a reason', () => life.context.hasLogged('no stream of events, but text/html'))
  life.abort()
  await assert.rejects(waiting)
  const config = feed(server, { url: `${server.origin}/long`, max_response: '4kB' })
  await using other = await Life.start(config)
  await assert.rejects(
    other.until(() => false),
    /more than 4000 bytes/,
  )
})

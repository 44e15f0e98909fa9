/**
 * Those who push against the rules: refused with the right status, in bounded memory, while others are
 * served (invariants 5, 8). What is wrong below the body is in test/core/hub/http-server.test.ts.
 */
import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { request as httpRequest } from 'node:http'
import { connect, type Socket } from 'node:net'
import { describe, test } from 'node:test'
import { brotliCompressSync, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib'
import { waitFor } from '../../support/env.ts'
import { HttpHub, orders, StalledStore, sorted } from './support.ts'

const small = { max_body: '64KiB', max_unpacked: '128KiB', max_rows: 1000 }

async function isServed(hub: HttpHub, id: number): Promise<void> {
  const answer = await hub.send(`{"id":${id}}`)
  assert.deepEqual([answer.status, answer.json], [200, { accepted: 1 }])
}

/** Writes as much as the other end takes of an endless body; resolves with what it answered. */
function endless(
  port: number,
  head: string,
  piece: Buffer,
  bytesMax: number,
): Promise<{ text: string; sent: number }> {
  return new Promise((resolve) => {
    const socket: Socket = connect(port, '127.0.0.1')
    let text = ''
    let sent = 0
    const more = (): void => {
      while (sent < bytesMax && !socket.destroyed) {
        sent += piece.length
        if (!socket.write(piece)) return void socket.once('drain', more)
      }
    }
    socket.on('connect', () => {
      socket.write(head)
      more()
    })
    socket.on('data', (chunk: Buffer) => (text += chunk.toString('latin1')))
    socket.on('error', () => {})
    socket.on('close', () => resolve({ text, sent }))
  })
}

/** Requests whose heads were read, told by the room that they have. */
async function connections(hub: HttpHub): Promise<number> {
  const backlog = hub.context.reports.findLast((report) => report.backlogBytes !== undefined)
  const bytes = typeof backlog?.backlogBytes === 'function' ? backlog.backlogBytes() : 0
  await new Promise((resolve) => setTimeout(resolve, 10))
  return Math.floor((bytes ?? 0) / 4096)
}

describe('bodies', () => {
  test('one that says it is too large is not read', async () => {
    await using hub = await HttpHub.start({ config: orders(small) })
    const answer = await hub.send('x'.repeat(70_000))
    assert.equal(answer.status, 413)
    assert.equal(answer.json['limit'], 65_536)
    await isServed(hub, 1)
  })

  test('one in chunks that never ends is cut off', async () => {
    await using hub = await HttpHub.start({ config: orders(small) })
    const head = 'POST /in HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n'
    const piece = Buffer.from(`1000\r\n${'x'.repeat(4096)}\r\n`)
    // It never stops by itself: that it ends is the other end's doing.
    const attack = endless(hub.port, head, piece, Infinity)
    await isServed(hub, 1)
    const { text } = await attack
    assert.match(text, /^HTTP\/1\.1 413 /)
    await isServed(hub, 2)
  })

  test('one in very small chunks is taken as it is', async () => {
    await using hub = await HttpHub.start({ config: orders(small) })
    const text = `{"id":1,"note":"${'abcdefghijklm'.repeat(1000)}"}`
    const chunks = text
      .split('')
      .map((letter) => `1\r\n${letter}\r\n`)
      .join('')
    const head =
      'POST /in HTTP/1.1\r\nhost: x\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n'
    const answer = await endless(hub.port, head, Buffer.from(`${chunks}0\r\n\r\n`), 1)
    assert.match(answer.text, /^HTTP\/1\.1 200 /)
    assert.deepEqual(await hub.rows('orders'), [['1', 'abcdefghijklm'.repeat(1000)]])
  })

  test('those that only say how large they will be keep nobody out', async () => {
    await using hub = await HttpHub.start({ config: orders({}, { max_waiting: '1MiB' }) })
    const head = 'POST /in HTTP/1.1\r\nhost: x\r\ncontent-length: 258048\r\n\r\n'
    const slow = Array.from({ length: 12 }, () => {
      const socket = connect(hub.port, '127.0.0.1')
      socket.on('error', () => {})
      socket.write(`${head}{"id":`)
      return socket
    })
    await waitFor('their heads', async () => (await connections(hub)) >= slow.length)
    await isServed(hub, 1)
    for (const socket of slow) socket.destroy()
  })

  test('one that there will never be room for is too large, and not to be sent again', async () => {
    await using hub = await HttpHub.start({ config: orders({}, { max_waiting: '1MiB' }) })
    const body = `{"id":1,"note":"${'x'.repeat(1_200_000)}"}`
    const plain = await hub.send(body)
    assert.deepEqual([plain.status, plain.json['code']], [413, 'http.too_large'])
    assert.ok(Number(plain.json['limit']) < 2 ** 20)
    const packed = await hub.send(gzipSync(body), { headers: { 'content-encoding': 'gzip' } })
    assert.deepEqual([packed.status, packed.json['code']], [413, 'http.too_large'])
    await isServed(hub, 2)
  })

  test('bombs are not unpacked beyond the bound', async () => {
    await using hub = await HttpHub.start({ config: orders(small) })
    const zeros = Buffer.alloc(30 << 20)
    const packers = {
      gzip: gzipSync,
      deflate: deflateSync,
      br: brotliCompressSync,
      zstd: zstdCompressSync,
    }
    globalThis.gc?.()
    const before = process.memoryUsage.rss()
    let id = 0
    for (const [coding, pack] of Object.entries(packers)) {
      const bomb = pack(zeros)
      assert.ok(bomb.length < 65_536, coding)
      const answers = await Promise.all(
        Array.from({ length: 8 }, () =>
          hub.send(bomb, { headers: { 'content-encoding': coding } }),
        ),
      )
      assert.deepEqual(
        answers.map(({ status }) => status),
        Array(8).fill(413),
        coding,
      )
      await isServed(hub, id++)
    }
    const grown = (process.memoryUsage.rss() - before) / 2 ** 20
    assert.ok(grown < 150, `${Math.round(grown)} MB more`)
  })

  test('more rows than may be', async () => {
    await using hub = await HttpHub.start({ config: orders(small) })
    const many = JSON.stringify(Array.from({ length: 1001 }, (_, id) => ({ id })))
    assert.equal((await hub.send(many)).status, 413)
    const lines = Array.from({ length: 1001 }, (_, id) => `{"id":${id}}`).join('\n')
    const headers = { 'content-type': 'application/x-ndjson' }
    assert.equal((await hub.send(lines, { headers })).status, 413)
    assert.equal((await hub.send(`[${'1,'.repeat(20_000)}1]`)).status, 413)
    assert.deepEqual(await hub.rows('orders'), [])
  })

  test('deep JSON is refused, also in what is passed over and in columns of JSON', async () => {
    await using hub = await HttpHub.start({
      config: orders({ schema: { id: 'int64', doc: 'json?' } }),
    })
    const deep = `${'['.repeat(100_000)}${']'.repeat(100_000)}`
    for (const body of [
      `{"id":1,"x":${deep}}`,
      `{"id":1,"doc":${deep}}`,
      deep,
      '{"a":'.repeat(50_000),
    ]) {
      const answer = await hub.send(body)
      assert.equal(answer.status, 400, answer.text)
    }
    await isServed(hub, 1)
  })

  test('a header of CSV that each row would copy', async () => {
    const schema = { id: 'int64?' }
    const config = { ...small, max_rows: 100_000, format: 'csv', csv: { header: true }, schema }
    await using hub = await HttpHub.start({ config: orders(config) })
    const body = `id,${'x'.repeat(30_000)}\n${'1,\n'.repeat(10_000)}`
    assert.equal((await hub.send(body)).status, 413)
    assert.equal((await hub.send('id\n1\n')).status, 200)
  })

  test('names that objects have by themselves are names', async () => {
    await using hub = await HttpHub.start({ config: orders() })
    const body = '{"__proto__":{"id":1},"constructor":1,"id":5}'
    assert.equal((await hub.send(body)).status, 200)
    const form = { headers: { 'content-type': 'application/x-www-form-urlencoded' } }
    assert.equal((await hub.send('__proto__=1&toString=2&id=6', form)).status, 200)
    assert.equal(
      (await hub.send('{"id":1}', { headers: { 'content-encoding': 'constructor' } })).status,
      415,
    )
    assert.deepEqual(
      (await hub.rows('orders')).map(([id]) => id),
      ['5', '6'],
    )
  })
})

describe('who may send', () => {
  test('bad signatures and replays', async () => {
    const auth = { scheme: 'stripe', secret: 's' }
    await using hub = await HttpHub.start({ config: orders({ auth }) })
    const body = '{"id":1}'
    const signed = (atS: number, text: string): Record<string, string> => {
      const digest = createHmac('sha256', 's').update(`${atS}.${text}`).digest('hex')
      return { 'stripe-signature': `t=${atS},v1=${digest}` }
    }
    const nowS = Math.floor(Date.now() / 1000)
    const refused = [
      await hub.send(body),
      await hub.send(body, { headers: signed(nowS, '{"id":2}') }),
      await hub.send(body, { headers: signed(nowS - 600, body) }),
      await hub.send(body, { headers: { 'stripe-signature': `t=${nowS},v1=${'0'.repeat(64)}` } }),
    ]
    for (const { status, headers } of refused) {
      assert.equal(status, 401)
      assert.match(headers['www-authenticate'] ?? '', /stripe-signature/)
    }
    assert.equal((await hub.send(body, { headers: signed(nowS, body) })).status, 200)
    assert.equal((await hub.rows('orders')).length, 1)
  })

  test('whoever shows no credentials gets no body read', async () => {
    const auth = { scheme: 'bearer', token: 't' }
    await using hub = await HttpHub.start({ config: orders({ auth }) })
    const head = 'POST /in HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000000\r\n\r\n'
    const { text, sent } = await endless(hub.port, head, Buffer.alloc(65_536), 1 << 30)
    assert.match(text, /^HTTP\/1\.1 401 /)
    assert.ok(sent < 1 << 30)
    const good = await hub.send('{"id":1}', { headers: { authorization: 'Bearer t' } })
    assert.equal(good.status, 200)
  })

  test('addresses that are not on the list, also when they say so themselves', async () => {
    const allow = { allow_ips: ['198.51.100.0/24'] }
    await using plain = await HttpHub.start({ config: orders(allow) })
    const spoofed = { 'x-forwarded-for': '198.51.100.1' }
    assert.equal((await plain.send('{"id":1}', { headers: spoofed })).status, 403)
    const server = { trustProxy: ['127.0.0.0/8'] }
    await using behind = await HttpHub.start({ config: orders(allow), server })
    assert.equal((await behind.send('{"id":1}', { headers: spoofed })).status, 200)
    const further = { 'x-forwarded-for': '198.51.100.1, 203.0.113.1' }
    assert.equal((await behind.send('{"id":1}', { headers: further })).status, 403)
  })

  test('more requests than the rate are told when to come again', async () => {
    await using hub = await HttpHub.start({ config: orders({ rate_limit: '5/s' }) })
    const startMs = performance.now()
    const answers = await Promise.all(
      Array.from({ length: 12 }, (_, id) => hub.send(`{"id":${id}}`)),
    )
    const tookS = (performance.now() - startMs) / 1000
    const taken = answers.filter(({ status }) => status === 200).length
    assert.ok(taken >= 5 && taken <= 5 + Math.ceil(5 * tookS), `${taken} in ${tookS} s`)
    for (const { status, headers } of answers) {
      if (status === 200) continue
      assert.equal(status, 429)
      assert.ok(Number(headers['retry-after']) >= 1)
    }
    assert.equal((await hub.rows('orders')).length, taken)
  })
})

test('a store that stalls: as many wait as may, others are told to come again, and none is forgotten', async () => {
  const store = new StalledStore()
  const config = orders({}, { max_waiting: '1MiB', answer_timeout: '60s' })
  await using hub = await HttpHub.start({ config, store: store.wrap })
  store.stall()
  const note = 'x'.repeat(50_000)
  const answers: number[] = []
  const sending = Array.from({ length: 60 }, async (_, id) => {
    const answer = await hub.send(`{"id":${id},"note":"${note}"}`)
    answers.push(answer.status)
    if (answer.status === 503) assert.ok(Number(answer.headers['retry-after']) >= 1)
    return answer.status === 200 ? String(id) : null
  })
  await waitFor('the refusals', () => answers.length >= 35)
  assert.ok(
    answers.every((status) => status === 503),
    'a 2xx before the commit',
  )
  store.goOn()
  const taken = (await Promise.all(sending)).filter((id) => id !== null)
  assert.ok(taken.length >= 15, String(taken.length))
  const ids = (await hub.rows('orders')).map(([id]) => id)
  assert.deepEqual(sorted(ids), sorted(taken))
  await isServed(hub, 1000)
})

test('a request that waits too long is told so', async () => {
  const store = new StalledStore()
  const idempotency = { from: 'header.k' }
  const config = orders({ idempotency }, { answer_timeout: '1s' })
  await using hub = await HttpHub.start({ config, store: store.wrap })
  store.stall()
  const headers = { k: 'a' }
  const late = await hub.send('{"id":1}', { headers })
  assert.deepEqual([late.status, late.json['code']], [503, 'http.not_stored_yet'])
  store.goOn()
  // Its rows were stored after all: the key says so, by when they are.
  const again = await waitFor('the commit', async () => {
    const answer = await hub.send('{"id":1}', { headers })
    return answer.status !== 503 && answer
  })
  assert.deepEqual([again.status, again.json], [200, { accepted: 0, duplicates: 1 }])
  assert.equal((await hub.rows('orders')).length, 1)
})

test('what was told that it is not stored is not stored, once the log takes rows again', async () => {
  const store = new StalledStore()
  const config = orders({}, { answer_timeout: '1s' })
  await using hub = await HttpHub.start({ config, store: store.wrap })
  store.stall()
  const note = 'x'.repeat(1 << 20)
  const answers = await Promise.all(
    Array.from({ length: 24 }, (_, id) => hub.send(`{"id":${id},"note":"${note}"}`)),
  )
  assert.ok(answers.every(({ status }) => status === 503))
  // Those on their way into a commit when the store stalled nobody can know of; the others wait in memory.
  const told = answers.flatMap(({ json }, id) => (json['code'] === 'http.busy' ? [String(id)] : []))
  assert.ok(told.length >= 4, String(told.length))
  store.goOn()
  await waitFor('the log', async () => (await hub.send('{"id":100}')).status === 200)
  const ids = (await hub.rows('orders')).flatMap(([id]) => (id === '100' ? [] : [id]))
  assert.equal(ids.length, 24 - told.length)
  assert.deepEqual(
    told.filter((id) => ids.includes(id)),
    [],
  )
})

test('clients that go away in the middle leave nothing behind', async () => {
  await using hub = await HttpHub.start({ config: orders({}, { max_waiting: '1MiB' }) })
  const head = 'POST /in HTTP/1.1\r\nhost: x\r\ncontent-length: 200000\r\n\r\n'
  for (let round = 0; round < 20; round++) {
    const sockets = Array.from({ length: 4 }, () => {
      const socket = connect(hub.port, '127.0.0.1')
      socket.on('error', () => {})
      socket.write(`${head}{"id":`)
      return socket
    })
    await new Promise((resolve) => setTimeout(resolve, 20))
    for (const socket of sockets) socket.destroy()
  }
  // The room they held is given back, or this would be told to come again.
  const answer = await waitFor('room', async () => {
    const one = await hub.send(`{"id":1,"note":"${'x'.repeat(900_000)}"}`)
    return one.status === 200 ? one : false
  })
  assert.equal(answer.status, 200)
})

test('many requests on one connection at once are bounded, and answered in order', async () => {
  await using hub = await HttpHub.start({ config: orders({}, { max_waiting: '1MiB' }) })
  const one = (id: number): string =>
    `POST /in HTTP/1.1\r\nhost: x\r\ncontent-length: ${`{"id":${id}}`.length}\r\n\r\n{"id":${id}}`
  const socket = connect(hub.port, '127.0.0.1')
  let text = ''
  socket.on('data', (chunk: Buffer) => (text += chunk.toString()))
  socket.write(Array.from({ length: 600 }, (_, id) => one(id)).join(''))
  await waitFor('the answers', () => [...text.matchAll(/HTTP\/1\.1 /g)].length === 600)
  socket.destroy()
  const taken = [...text.matchAll(/HTTP\/1\.1 200/g)].length
  const told = [...text.matchAll(/HTTP\/1\.1 503/g)].length
  assert.equal(taken + told, 600)
  assert.ok(taken > 0)
  assert.equal((await hub.rows('orders')).length, taken)
})

test('a body that is asked for with 100-continue is not asked for when it is refused', async () => {
  await using hub = await HttpHub.start({ config: orders(small) })
  const ask = (length: number): Promise<{ readonly status: number; readonly asked: boolean }> =>
    new Promise((resolve, reject) => {
      let asked = false
      const headers = { expect: '100-continue', 'content-length': String(length) }
      const request = httpRequest({
        host: '127.0.0.1',
        port: hub.port,
        path: '/in',
        method: 'POST',
        headers,
        agent: false,
      })
      request.on('continue', () => {
        asked = true
        request.end(`{"id":1}${' '.repeat(length - 8)}`)
      })
      request.on('response', (response) => {
        response.resume()
        resolve({ status: response.statusCode ?? 0, asked })
        if (!asked) request.destroy()
      })
      request.on('error', reject)
      request.flushHeaders()
    })
  assert.deepEqual(await ask(8), { status: 200, asked: true })
  assert.deepEqual(await ask(100_000), { status: 413, asked: false })
})

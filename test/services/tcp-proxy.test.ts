/** The proxy that breaks connections leaves nothing behind that keeps a test's process from ending. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { test } from 'node:test'
import { promisify } from 'node:util'

/**
 * A server ends one connection through the proxy and three beside it. All ends come in one turn of the loop,
 * in whatever order, so that in one of the rounds the proxy is still ending its side when it is told to cut.
 */
const script = `
import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import { startTcpProxy } from ${JSON.stringify(new URL('tcp-proxy.ts', import.meta.url).href)}

let peers = []
const server = createServer((peer) => peers.push(peer.on('error', () => {})))
await once(server.listen(0, '127.0.0.1'), 'listening')
const { port } = server.address()
const proxy = await startTcpProxy(port)
for (const through of [0, 1, 2, 3]) {
  peers = []
  const clients = []
  let ended = 0
  while (clients.length < 4) {
    const isThrough = clients.length === through
    const client = connect(isThrough ? proxy.port : port, '127.0.0.1').on('error', () => {}).resume()
    if (!isThrough) client.once('end', () => ++ended === 3 && proxy.cut())
    clients.push(client)
    while (peers.length < clients.length) await new Promise(setImmediate)
  }
  for (const peer of peers) peer.end()
  for (const client of clients) {
    if (!client.closed) await new Promise((resolve) => client.once('close', resolve))
  }
}
await proxy[Symbol.asyncDispose]()
server.close()
`

test('a process exits after connections were cut while they ended', async () => {
  const args = ['--input-type=module', '-e', script]
  const { stderr } = await promisify(execFile)(process.execPath, args, { timeout: 60_000 })
  assert.equal(stderr, '')
})

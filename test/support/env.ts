/**
 * What service starters and tests share: free ports, temporary folders that a server's own user can
 * reach, waiting for a condition, and the rule for a service that is missing.
 */
import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { TestContext } from 'node:test'

/** For servers in the process of a test: a connection that they close first would be a failure of its own. */
export const keepAliveMs = 600_000

/** Below what kernels give to connections and to `listen(0)`: Linux from 32768 on, others from 49152. */
const ports = { first: 10_000, end: 32_000 }
const given = new Set<number>()

/**
 * A port on loopback that was free a moment ago, and is given once. One that the kernel gives away by itself
 * could be taken before the server is there, or while it is killed; and a client that calls a port of its own
 * range in vain may be given that one as its own, and so speak with itself.
 */
export async function freePort(): Promise<number> {
  for (let tries = 0; tries < 1000; tries++) {
    const port = ports.first + Math.floor(Math.random() * (ports.end - ports.first))
    if (given.has(port) || !(await isFree(port))) continue
    if (reserve([port])) return port
  }
  throw new Error('no free port')
}

/** For ports that were chosen otherwise: they are not given any more. False, and none is kept, where one was given. */
export function reserve(wanted: readonly number[]): boolean {
  if (wanted.some((port) => given.has(port))) return false
  for (const port of wanted) given.add(port)
  return true
}

/** Whether a server can listen there on loopback. */
export async function isFree(port: number): Promise<boolean> {
  const server = createServer()
  const listening = once(server, 'listening').then(
    () => true,
    () => false,
  )
  server.listen(port, '127.0.0.1')
  const free = await listening
  if (free) await new Promise((resolve) => server.close(resolve))
  return free
}

/** A new folder, readable by everyone (Postgres runs as another user), removed at exit of the scope. */
export function tempDir(name: string): { readonly path: string } & Disposable {
  const path = mkdtempSync(join(tmpdir(), `sluice-${name}-`))
  chmodSync(path, 0o755)
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) }
}

/** A round of polling that takes longer counts as so long: the machine was busy, or stopped. */
const stepMsMax = 1000

/**
 * Polls until `probe` gives something other than undefined and false; its last error is the cause when time
 * runs out. Time in which the machine stood still is no time in which it could have come true.
 */
export async function waitFor<T>(
  what: string,
  probe: () => T | undefined | false | Promise<T | undefined | false>,
  timeoutMs = 60_000,
): Promise<T> {
  let cause: unknown
  for (let waitedMs = 0; waitedMs < timeoutMs;) {
    const startMs = performance.now()
    try {
      const value = await probe()
      if (value !== undefined && value !== false) return value
    } catch (error) {
      cause = error
    }
    await sleep(25)
    waitedMs += Math.min(performance.now() - startMs, stepMsMax)
  }
  throw new Error(`waited ${timeoutMs} ms for ${what}`, { cause })
}

/** Skips the test loudly where a service cannot be had; in CI that is a failure. */
export function missingService(t: TestContext, what: string, cause: unknown): void {
  const reason = `${what} cannot be started here: ${cause instanceof Error ? cause.message : String(cause)}`
  if (process.env['CI'] !== undefined) throw new Error(reason, { cause })
  process.stderr.write(`SKIPPED: ${reason}\n`)
  t.skip(reason)
}

/**
 * The delivering process is killed (SIGKILL) at each of its steps, and at random moments, again and again,
 * on one log and one Redis: what is there at the end is what the history says (invariants 5 and 6).
 */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { test } from 'node:test'
import { Redis } from 'ioredis'
import { ChainWriter } from '../../../../core/log/writer.ts'
import { startRedis, type RedisServer } from '../../../services/redis.ts'
import { batchOf, type Row } from '../../../conformance/rows.ts'
import { seeded } from '../../../support/random.ts'
import { missingService, tempDir, waitFor } from '../../../support/env.ts'
import { testLog } from '../../../support/task-context.ts'
import { fieldOf, hashOf, schemaOf, signal } from './support.ts'

const child = fileURLToPath(new URL('./crash-child.ts', import.meta.url))
const schema = schemaOf({ id: 'int64', at: 'timestamptz', n: 'int32' }, ['id'])
const entities = 300
const commits = 12
const rowsACommit = 500
const failpoints = [
  'deliver.after_plan=2',
  'deliver.before_send=2',
  'sink.feast.redis.after_write=2',
  'deliver.after_send=2',
  'log.commit.before_create=3',
]

interface Expected {
  readonly time: number
  readonly n: number
}

/** Rows and deletions of random entities at random event times; what is left of each. */
function history(random: () => number): { batches: Row[][]; left: Map<number, Expected> } {
  const left = new Map<number, Expected>()
  const batches = Array.from({ length: commits }, (_, commit) =>
    Array.from({ length: rowsACommit }, (_, i): Row => {
      const id = Math.floor(random() * entities)
      if (random() < 0.1) {
        left.delete(id)
        return { weight: -1, values: { id: BigInt(id) } }
      }
      const n = commit * rowsACommit + i
      const time = 1.7e15 + Math.floor(random() * 1e6)
      if (time >= (left.get(id)?.time ?? 0)) left.set(id, { time, n })
      return { values: { id: BigInt(id), at: time, n } }
    }),
  )
  return { batches, left }
}

async function killed(folder: string, url: string, failpoint: string | number): Promise<void> {
  const env = {
    ...process.env,
    ...(typeof failpoint === 'string' ? { SLUICE_FAILPOINTS: failpoint } : {}),
  }
  const running = spawn(process.execPath, [child, folder, url], {
    env,
    stdio: ['ignore', 'ignore', 2],
  })
  const timer = setTimeout(
    () => running.kill('SIGKILL'),
    typeof failpoint === 'number' ? failpoint : 20_000,
  )
  const [, killedBy] = (await once(running, 'exit')) as [number | null, string | null]
  clearTimeout(timer)
  assert.equal(killedBy, 'SIGKILL')
}

test(
  'killed at every step: nothing lost, nothing older left (invariants 5 and 6)',
  { timeout: 120_000 },
  async (t) => {
    let server: RedisServer
    try {
      server = await startRedis()
    } catch (error) {
      return missingService(t, 'redis', error)
    }
    await using _server = server
    using folder = tempDir('feast-crash')
    const seed = Number(process.env['SEED'] ?? Date.now() % 1_000_000)
    t.diagnostic(`seed ${seed}`)
    const random = seeded(seed).next
    const { batches, left } = history(random)
    const log = await testLog(`file://${folder.path}`)
    {
      await using writer = await ChainWriter.open(log, 'c', { writer: 'test', signal })
      for (const rows of batches) {
        const entries = [{ kind: 'rows', topic: 'src.rows', batch: batchOf(schema, rows) } as const]
        await writer.commit({ entries }, signal)
      }
    }
    for (const failpoint of failpoints) await killed(folder.path, server.url, failpoint)
    for (let i = 0; i < 3; i++)
      await killed(folder.path, server.url, 800 + Math.floor(random() * 600))
    const last = spawn(process.execPath, [child, folder.path, server.url], {
      stdio: ['ignore', 'ignore', 2],
    })
    const redis = new Redis(server.port, server.host)
    try {
      const problem = async (): Promise<string | null> => {
        for (let id = 0; id < entities; id++) {
          const seen = (await hashOf(redis, id))[fieldOf('v', 'n')]
          const wanted = left.get(id)
          if (seen !== (wanted === undefined ? undefined : int32(wanted.n))) return `entity ${id}`
        }
        return null
      }
      await waitFor('all entities to be as they should', async () => (await problem()) === null)
    } finally {
      redis.disconnect()
      last.kill('SIGKILL')
      await once(last, 'exit')
    }
  },
)

/** A positive int32_val. */
function int32(n: number): string {
  const bytes = [0x18]
  for (; n >= 0x80; n >>= 7) bytes.push((n & 0x7f) | 0x80)
  return Buffer.from([...bytes, n]).toString('hex')
}

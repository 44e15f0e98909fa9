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
import { startRedis } from '../../../services/redis.ts'
import { batchOf, type Row } from '../../../conformance/rows.ts'
import { seeded } from '../../../support/random.ts'
import { killedAt, runChild } from '../../../support/child.ts'
import { tempDir, waitFor } from '../../../support/env.ts'
import { testLog } from '../../../support/task-context.ts'
import { startOrSkip } from '../../../support/service.ts'
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

test(
  'killed at every step: nothing lost, nothing older left (invariants 5 and 6)',
  { timeout: 600_000 },
  async (t) => {
    await using server = await startOrSkip(t, 'redis', () => startRedis())
    if (server === null) return
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
    const words = [child, folder.path, server.url]
    for (const failpoint of failpoints) await killedAt(failpoint, words)
    for (let i = 0; i < 3; i++) {
      const killAfterMs = 800 + Math.floor(random() * 600)
      assert.equal(await runChild(words, { killAfterMs }), 'SIGKILL')
    }
    const last = spawn(process.execPath, words, {
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

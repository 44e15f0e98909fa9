/**
 * A real Redis with a replica and a sentinel that watches them: the master is killed, and the sentinel makes the
 * replica the master.
 */
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { freePort, waitFor } from '../support/env.ts'
import {
  answers,
  redisCommand,
  startRedis,
  startRedisReplica,
  type RedisServer,
  type RedisVersion,
} from './redis.ts'
import { ServerProcess } from './server-process.ts'

export interface RedisSentinel extends AsyncDisposable {
  /** In the beginning the master, and its replica. */
  readonly servers: readonly [RedisServer, RedisServer]
  /** The sentinel's address. */
  readonly url: string
  /** The name under which it knows the master. */
  readonly name: string
}

const execute = promisify(execFile)
const name = 'main'

/** The replica has all of the master when it returns. */
export async function startRedisSentinel(
  version: RedisVersion = 'redis-7',
): Promise<RedisSentinel> {
  await using stack = new AsyncDisposableStack()
  const master = stack.use(await startRedis({ version }))
  const replica = stack.use(await startRedisReplica(master))
  const port = await freePort()
  const dir = mkdtempSync(join(tmpdir(), 'sluice-sentinel-'))
  stack.defer(() => rmSync(dir, { recursive: true, force: true, maxRetries: 5 }))
  const sentinel = new ServerProcess('sentinel', dir)
  stack.defer(() => sentinel.end('SIGKILL'))
  // It writes what it learns into its file.
  const file = join(dir, 'sentinel.conf')
  const lines = [
    `port ${port}`,
    'bind 127.0.0.1',
    `dir ${dir}`,
    `sentinel monitor ${name} ${master.host} ${master.port} 1`,
    // Longer than the machine may stand still: else a master that is well is taken for down.
    `sentinel down-after-milliseconds ${name} 5000`,
    `sentinel failover-timeout ${name} 15000`,
  ]
  writeFileSync(file, `${lines.join('\n')}\n`)
  const command = redisCommand(version, 'server', file, '--sentinel')
  await sentinel.start(['setpriv', '--pdeathsig=KILL', ...command], {
    cwd: dir,
    isReady: () => answers(port),
  })
  const [program, ...args] = redisCommand(version, 'cli', '-p', String(port))
  await waitFor('the sentinel to know the replica', async () => {
    const { stdout } = await execute(program!, [...args, 'sentinel', 'replicas', name])
    return stdout.includes(String(replica.port))
  })
  const running = stack.move()
  return {
    servers: [master, replica],
    url: `redis://127.0.0.1:${port}`,
    name,
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  }
}

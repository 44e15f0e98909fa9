/**
 * The watch over a server that may be silent: silence is found (invariant 8), and neither a clock that
 * jumps, nor a process that was held up, nor a reader that does not take what came is taken for it.
 */
import assert from 'node:assert/strict'
import { it } from 'node:test'
import { ticksPerPeriod, watchSilence } from '../../../core/connector/silence.ts'
import { SluiceError } from '../../../core/errors/error.ts'

/** What happened before a tick. */
type Before = 'nothing' | 'bytes' | 'full'

interface Watched {
  readonly ticks: number
  readonly failed: SluiceError | null
  /** The ticks at which the server was to be asked. */
  readonly asked: readonly number[]
}

/** Runs the watch, with a clock that jumps to and fro by hours, until it fails or `befores` end. */
async function watch(befores: readonly Before[], periodMs = 800): Promise<Watched> {
  const stop = new AbortController()
  const asked: number[] = []
  let ticks = 0
  let failed: SluiceError | null = null
  const socket = {
    reads: 7,
    full: false,
    fail: (error: Error): void => {
      assert.ok(error instanceof SluiceError)
      failed = error
    },
  }
  const clock = {
    nowMs: () => (ticks % 2 === 0 ? 1 : 2) * 3_600_000,
    sleep: (ms: number): Promise<void> => {
      assert.equal(ms, periodMs / ticksPerPeriod)
      if (ticks === befores.length) stop.abort()
      else {
        const before = befores[ticks++]!
        if (before === 'bytes') socket.reads++
        socket.full = before === 'full'
      }
      return Promise.resolve()
    },
  }
  const onTick = (ask: boolean): void => void (ask && asked.push(ticks))
  const code = 'source.mysql.silent'
  await watchSilence({ socket, periodMs, code, clock, onTick }, stop.signal)
  return { ticks, failed, asked }
}

const twoPeriods = 2 * ticksPerPeriod
function times(count: number, before: Before): Before[] {
  return Array.from({ length: count }, () => before)
}

it('two periods without a byte are silence, and after one the server is asked, once', async () => {
  const { ticks, failed, asked } = await watch(times(100, 'nothing'), 15_000)
  assert.equal(ticks, twoPeriods)
  assert.deepEqual([failed?.code, failed?.fault], ['source.mysql.silent', 'transient'])
  assert.match(String(failed?.message), /nothing for 30 s/)
  assert.deepEqual(asked, [ticksPerPeriod])
})

it('a byte in the last moment is none, and the count begins anew', async () => {
  const round: Before[] = [...times(twoPeriods - 1, 'nothing'), 'bytes']
  const rounds = [...round, ...round, ...round]
  const { ticks, failed, asked } = await watch(rounds)
  assert.deepEqual([ticks, failed], [rounds.length, null])
  assert.deepEqual(
    asked,
    [0, 1, 2].map((i) => i * twoPeriods + ticksPerPeriod),
  )
  const silent = await watch([...round, ...times(100, 'nothing')])
  assert.deepEqual([silent.ticks, silent.failed?.code], [2 * twoPeriods, 'source.mysql.silent'])
})

it('a socket that nobody reads is not silent, and is watched again when it is read', async () => {
  const waiting = times(10 * twoPeriods, 'full')
  assert.deepEqual(await watch(waiting), { ticks: waiting.length, failed: null, asked: [] })
  const { ticks, failed } = await watch([...waiting, ...times(100, 'nothing')])
  assert.deepEqual([ticks, failed?.code], [waiting.length + twoPeriods, 'source.mysql.silent'])
})

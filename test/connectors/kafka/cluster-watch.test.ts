/**
 * What goes on beside reading, on a driver that fails as the test says. Attacks invariant 8 (bounded): what
 * is tried again is tried soon, and the status says so no longer than it is.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { Background } from '../../../connectors/kafka/background.ts'
import { ClusterWatch } from '../../../connectors/kafka/cluster-watch.ts'
import { Fetcher } from '../../../connectors/kafka/fetcher.ts'
import { TopicFollower, type FollowSettings } from '../../../connectors/kafka/follow-topics.ts'
import { TopicsWanted } from '../../../connectors/kafka/topics-wanted.ts'
import type { StatusReport } from '../../../core/connector/context.ts'
import { Troubles } from '../../../core/connector/troubles.ts'
import { SluiceError } from '../../../core/errors/error.ts'
import { ScriptedDriver, topic } from './scripted-driver.ts'

const nothing = (): void => {}
const logger = { debug: nothing, info: nothing, warn: nothing, error: nothing }

class FailingDriver extends ScriptedDriver {
  failures = 0

  override topics(names: readonly string[] | null): ReturnType<ScriptedDriver['topics']> {
    if (this.failures-- > 0) {
      return Promise.reject(new SluiceError('source.kafka.unreachable', { message: 'nobody' }))
    }
    return super.topics(names)
  }
}

interface Said {
  readonly status: StatusReport
  readonly atMs: number
}

/** Runs the watch from a topic that is read until `isOver`; what it said of its state, and on show. */
async function watched(
  driver: FailingDriver,
  happens: () => void,
  isOver: (said: readonly Said[]) => boolean,
): Promise<{ readonly said: readonly Said[]; readonly shown: readonly string[] }> {
  driver.there = [topic('a', 'i1')]
  let nowMs = 0
  const stop = new AbortController()
  const clock = {
    nowMs: () => nowMs,
    sleep: async (ms: number): Promise<void> => {
      await turn()
      nowMs += ms
    },
  }
  const settings: FollowSettings = { startOf: () => ({ kind: 'earliest' }), keyed: false }
  const wanted = new TopicsWanted(new Map([['a', settings]]))
  const follower = new TopicFollower(
    { driver, clock, logger, wanted, group: null, onDeleted: 'stop', restart: {} },
    null,
  )
  await follower.begin(stop.signal)
  const said: Said[] = []
  const shown: string[] = []
  const troubles = new Troubles({
    logger,
    report: (status) => void said.push({ status, atMs: nowMs }),
    trouble: (error) => {
      if (error !== null) shown.push(error.message)
    },
  })
  // The fetch loops are not looked at here: nothing is assigned to them that could be asked for.
  const idle: Pick<Fetcher, 'assign' | 'look' | 'jump' | 'rewind'> = {
    assign: nothing,
    look: nothing,
    jump: nothing,
    rewind: nothing,
  }
  await using background = new Background((error) => assert.fail(String(error)))
  const watch = new ClusterWatch({
    driver,
    follower,
    fetcher: idle,
    background,
    troubles,
    onLost: () => 'stop',
    errorOf: (name) => new SluiceError('source.kafka.protocol', { message: name }),
    onChange: () => {
      if (isOver(said)) stop.abort()
    },
    intervalMs: 600_000,
    ctx: { clock, random: () => 0.5, logger },
  })
  happens()
  watch.lookSoon()
  await watch.run(stop.signal)
  return { said, shown }
}

test('a look that failed is made again soon, not after metadata_interval', async () => {
  const driver = new FailingDriver()
  const fail = (): void => void (driver.failures = 4)
  const { said } = await watched(driver, fail, ({ length }) => length === 2)
  assert.deepEqual(
    said.map(({ status }) => status),
    [
      { state: 'retrying', detail: 'topics' },
      { state: 'running', detail: '' },
    ],
  )
  const tookMs = said[1]!.atMs - said[0]!.atMs
  assert.ok(tookMs < 15_000, `${tookMs} ms`)
})

test('while a topic seems to be gone, that is on show, and not that it has no leader', async () => {
  const driver = new FailingDriver()
  const vanish = (): void => void (driver.there = [])
  const { shown } = await watched(driver, vanish, ({ length }) => length > 0)
  assert.deepEqual(shown, ['The brokers say that a topic is gone or is another one.'])
})

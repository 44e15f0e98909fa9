/**
 * A sink's own chain: changes of many topics share commits, and none is reported done before the
 * commit that holds it is durable. Attacks invariants 2 and 5.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openLog, type Log } from '../../../core/log/log.ts'
import { readHead } from '../../../core/log/head.ts'
import { ChainWriter } from '../../../core/log/writer.ts'
import { openStore } from '../../../core/store/open.ts'
import type { ObjectStore } from '../../../core/store/store.ts'
import type { DeadLetter } from '../../../core/task/dead-letters.ts'
import {
  DeliveryLog,
  type DeliveredTopic,
  type TopicState,
} from '../../../core/task/delivery-log.ts'
import { SluiceError } from '../../../core/errors/error.ts'
import { failsWith } from '../../support/fails-with.ts'
import { taskContext } from '../../support/task-context.ts'
import { bulk } from '../log/support.ts'

const sinkChain = 'p.sink.k'
const { signal } = new AbortController()

const state = (done: number, seq = 1): TopicState => ({ done, seq, plan: null, parked: null })
const letter: DeadLetter = {
  topic: 't0',
  offset: 0,
  code: 'internal.bug',
  message: 'no',
  attempts: 1,
  row: null,
}

/** A log whose creations of commits and segments of the sink's chain go through `gate` once it is set. */
async function gatedLog(
  name: string,
): Promise<{ log: Log; readonly hold: (gate: () => Promise<void>) => void }> {
  const store = openStore(`memory://delivery-log-${name}-${process.pid}`)
  let gate = async (): Promise<void> => Promise.resolve()
  const create: ObjectStore['create'] = async (key, bytes, abort) => {
    if (key.includes(`/${sinkChain}/`) && !key.includes('/snap/')) await gate()
    return store.create(key, bytes, abort)
  }
  const gated = new Proxy(store, {
    get: (target, property) => {
      if (property === 'create') return create
      const value: unknown = Reflect.get(target, property)
      return typeof value === 'function' ? (value.bind(target) as unknown) : value
    },
  })
  return { log: await openLog(gated, { signal }), hold: (next) => (gate = next) }
}

test('changes that come while a commit is under way share the next one (invariant 2)', async () => {
  const { log, hold } = await gatedLog('group')
  await using writer = await ChainWriter.open(log, sinkChain, { writer: 'test', signal })
  const commits = new DeliveryLog(writer, taskContext(log, 'k'))
  const before = writer.head.seq
  let release = (): void => {}
  hold(() => new Promise((resolve) => (release = resolve)))
  const done: string[] = []
  const update = async (name: string, letters: readonly DeadLetter[] = []): Promise<void> => {
    const topic = { name, chain: 'p.source.s' }
    commits.begin(topic, 1)
    await commits.update(topic, state(7), letters)
    done.push(name)
  }
  const first = update('t0')
  await new Promise((resolve) => setImmediate(resolve))
  const rest = ['t1', 't2', 't3', 't4'].map((name) => update(name, [letter]))
  await new Promise((resolve) => setImmediate(resolve))
  assert.deepEqual(done, [], 'nothing is done before its commit is durable')
  hold(async () => Promise.resolve())
  release()
  await first
  assert.deepEqual(done, ['t0'], 'the first commit does not hold what came after it began')
  await Promise.all(rest)
  assert.equal(writer.head.seq, before + 2)
  const head = await readHead(log, sinkChain, signal)
  const { topics } = head!.notes as { topics: Readonly<Record<string, TopicState>> }
  assert.deepEqual(Object.keys(topics), ['t0', 't1', 't2', 't3', 't4'])
  assert.equal(head!.topics.get('k.dead_letters')?.nextOffset, 4, 'each dead letter once')
})

test('a chain’s cursor is the lowest of its topics, so that retention keeps what one still needs', async () => {
  const { log } = await gatedLog('cursors')
  await using writer = await ChainWriter.open(log, sinkChain, { writer: 'test', signal })
  const commits = new DeliveryLog(writer, taskContext(log, 'k'))
  const [a, b, c] = topicsOf(commits)
  await commits.update(a, state(10, 9), [])
  await commits.update(b, state(3, 4), [])
  await commits.update(c, state(1, 6), [])
  assert.deepEqual(writer.head.cursors, { one: 4, two: 6 })
  // After a restart `b` waits, parked perhaps, while `a` goes on.
  const later = new DeliveryLog(writer, taskContext(log, 'k'))
  assert.deepEqual(
    topicsOf(later).map((topic) => later.begin(topic, 1).seq),
    [9, 4, 6],
  )
  await later.update(a, state(20, 19), [])
  assert.deepEqual(writer.head.cursors, { one: 4, two: 6 })
  await later.update(b, state(12, 11), [])
  assert.deepEqual(writer.head.cursors, { one: 11, two: 6 })
})

/** Two topics of one chain and one of another, begun. */
function topicsOf(commits: DeliveryLog): [DeliveredTopic, DeliveredTopic, DeliveredTopic] {
  const topics = [
    { name: 'a', chain: 'one' },
    { name: 'b', chain: 'one' },
    { name: 'c', chain: 'two' },
  ] as const
  for (const topic of topics) commits.begin(topic, 1)
  return [...topics]
}

test('a commit that fails is told to everyone who waits for it (invariant 5)', async () => {
  const { log, hold } = await gatedLog('failure')
  await using writer = await ChainWriter.open(log, sinkChain, { writer: 'test', signal })
  const commits = new DeliveryLog(writer, taskContext(log, 'k'))
  const broken = new Error('disk full')
  hold(async () => Promise.reject(broken))
  const update = (name: string): Promise<void> =>
    commits.update({ name, chain: 'p.source.s' }, state(1), [letter])
  const outcomes = await Promise.allSettled([update('a'), update('b')])
  assert.deepEqual(
    outcomes.map(({ status }) => status),
    ['rejected', 'rejected'],
  )
  assert.equal((await readHead(log, sinkChain, signal))?.notes, null)
})

test('rows are not passed by a later commit whose letters an earlier one was to hold (invariant 5)', async () => {
  const { log, hold } = await gatedLog('letters')
  await using writer = await ChainWriter.open(log, sinkChain, { writer: 'test', signal })
  const commits = new DeliveryLog(writer, taskContext(log, 'k'))
  const update = (name: string, of: readonly DeadLetter[]): Promise<void> =>
    commits.update({ name, chain: 'p.source.s' }, state(1), of)
  for (const name of ['t0', 't1']) commits.begin({ name, chain: 'p.source.s' }, 1)
  // So large that it is written to a segment, before the commit begins.
  const row = { batch: bulk(1, 5 << 20), row: 0 }
  const away = new SluiceError('store.unavailable', { message: 'away' })
  hold(async () => Promise.reject(away))
  await assert.rejects(update('t0', [{ ...letter, row }]), failsWith('store.unavailable'))
  hold(async () => Promise.resolve())
  await assert.rejects(update('t1', []), failsWith('store.unavailable'))
  assert.equal((await readHead(log, sinkChain, signal))?.notes, null)
})

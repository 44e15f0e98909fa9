/**
 * Which topics are read, from where, and when one is no longer what it was. Attacks invariant 5 (nothing
 * vanishes): no answer of a broker may make records be passed over or taken for those of another topic.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  TopicFollower,
  type FollowOptions,
  type FollowSettings,
} from '../../../connectors/kafka/follow-topics.ts'
import type { KafkaPosition } from '../../../connectors/kafka/position.ts'
import type { Start } from '../../../connectors/kafka/start.ts'
import { TopicsWanted } from '../../../connectors/kafka/topics-wanted.ts'
import { ScriptedDriver, topic } from './scripted-driver.ts'

const never = new AbortController().signal
const nothing = (): void => {}
const logger = { debug: nothing, info: nothing, warn: nothing, error: nothing }

interface Script extends Partial<FollowOptions> {
  readonly topics?: readonly string[]
  readonly start?: Start
  readonly keyed?: boolean
}

/** A follower whose clock moves by what is slept, and by `later`. */
class Stage {
  readonly driver = new ScriptedDriver()
  nowMs = 0

  follower(script: Script, after: KafkaPosition | null = null): TopicFollower {
    const { topics = ['a'], start = { kind: 'earliest' }, keyed = false, ...rest } = script
    const settings: FollowSettings = { startOf: () => start, keyed }
    const wanted = new TopicsWanted(new Map(topics.map((name) => [name, settings])))
    const clock = {
      nowMs: () => this.nowMs,
      sleep: (ms: number) => Promise.resolve(void (this.nowMs += ms)),
    }
    const { driver } = this
    return new TopicFollower(
      { driver, wanted, group: null, onDeleted: 'stop', restart: {}, clock, logger, ...rest },
      after,
    )
  }

  async looks(follower: TopicFollower, seconds: number): Promise<void> {
    for (let i = 0; i < seconds; i++) {
      this.nowMs += 1000
      await follower.look(never)
    }
  }
}

function next(follower: TopicFollower, name = 'a'): readonly number[] | undefined {
  return follower.position.topics.get(name)?.next
}

test('begins by `start`, later partitions and topics at their first record', async () => {
  const starts: [Start, number[]][] = [
    [{ kind: 'earliest' }, [7, 7]],
    [{ kind: 'latest' }, [100, 100]],
    [{ kind: 'time', timeMs: 500 }, [50, 50]],
    [{ kind: 'time', timeMs: 2000 }, [100, 100]],
    [{ kind: 'offsets', offsets: new Map([[1, 33]]) }, [7, 33]],
  ]
  for (const [start, expected] of starts) {
    const stage = new Stage()
    stage.driver.earliest = 7n
    stage.driver.there = [topic('a', 'i1')]
    const follower = stage.follower({ topics: ['a', 'b*'], start })
    await follower.begin(never)
    assert.deepEqual(next(follower), expected, start.kind)
    stage.driver.there = [topic('a', 'i1', 3), topic('b1', 'i2', 1), topic('__b', 'i3')]
    await follower.look(never)
    assert.deepEqual(next(follower), [...expected, 7])
    assert.deepEqual(next(follower, 'b1'), [7])
    assert.equal(follower.topics.size, 2)
  }
})

test('`start: group` begins where the group is, elsewhere at the first record', async () => {
  const stage = new Stage()
  stage.driver.there = [topic('a', 'i1')]
  stage.driver.stored = [{ topic: 'a', partition: 0, offset: 12n }]
  const follower = stage.follower({ start: { kind: 'group' }, group: 'g' })
  await follower.begin(never)
  assert.deepEqual(next(follower), [12, 0])
})

test('after a restart of ours: made since is from the first record, wanted since is by `start`', async () => {
  const stage = new Stage()
  stage.driver.there = [topic('a', 'i1')]
  const before = stage.follower({ topics: ['a*'], start: { kind: 'latest' } })
  await before.begin(never)
  stage.driver.there = [topic('a', 'i1', 3), topic('a2', 'i2', 1), topic('b', 'i3', 1)]
  const script: Script = { topics: ['a*', 'b*'], start: { kind: 'latest' } }
  const after = stage.follower(script, before.position)
  await after.begin(never)
  assert.deepEqual(next(after), [100, 100, 0])
  assert.deepEqual(next(after, 'a2'), [0])
  assert.deepEqual(next(after, 'b'), [100])
})

test('a topic that one answer leaves out is not gone', async () => {
  const stage = new Stage()
  stage.driver.there = [topic('a', 'i1')]
  const follower = stage.follower({})
  await follower.begin(never)
  for (let round = 0; round < 3; round++) {
    stage.driver.there = []
    await stage.looks(follower, 8)
    // Nobody is asked for records meanwhile.
    assert.ok([...follower.partitions()].every(({ leader }) => leader === null))
    stage.driver.there = [topic('a', 'i1')]
    await stage.looks(follower, 1)
    assert.ok([...follower.partitions()].every(({ leader }) => leader === 1))
  }
})

test('a topic that is gone stops the source, or is kept', async () => {
  const stage = new Stage()
  stage.driver.there = [topic('a', 'i1'), topic('b', 'i2')]
  const stopping = stage.follower({ topics: ['*'] })
  const keeping = stage.follower({ topics: ['*'], onDeleted: 'keep' })
  await stopping.begin(never)
  await keeping.begin(never)
  stage.driver.there = [topic('b', 'i2')]
  await assert.rejects(stage.looks(stopping, 20), { code: 'source.kafka.topic_deleted' })
  await stage.looks(keeping, 20)
  assert.deepEqual([...keeping.topics.keys()], ['b'])
  assert.deepEqual(next(keeping), [0, 0], 'where it was stays known')
  // The same at a start, from the position.
  const again = stage.follower({ topics: ['*'] }, keeping.position)
  await assert.rejects(again.begin(never), { code: 'source.kafka.topic_deleted' })
  const kept = stage.follower({ topics: ['*'], onDeleted: 'keep' }, keeping.position)
  await kept.begin(never)
  // Made anew, it is another one.
  stage.driver.there = [topic('a', 'i9'), topic('b', 'i2')]
  await assert.rejects(stage.looks(kept, 20), { code: 'source.kafka.topic_recreated' })
})

test('a listed topic that was never there is missing', async () => {
  const follower = new Stage().follower({})
  await assert.rejects(follower.begin(never), { code: 'source.kafka.topic_missing' })
})

test('a topic that was made again stops the source, running and at a start', async () => {
  const changes: ((driver: ScriptedDriver) => void)[] = [
    (driver) => (driver.there = [topic('a', 'i2')]),
    (driver) => (driver.there = [topic('a', 'i1', 1)]),
    (driver) => (driver.there = [topic('a', null, 1)]),
  ]
  for (const change of changes) {
    const stage = new Stage()
    stage.driver.there = [topic('a', 'i1')]
    const follower = stage.follower({})
    await follower.begin(never)
    const { position } = follower
    change(stage.driver)
    await assert.rejects(stage.looks(follower, 20), { code: 'source.kafka.topic_recreated' })
    assert.ok([...follower.partitions()].every(({ leader }) => leader === null))
    const again = stage.follower({}, position)
    await assert.rejects(again.begin(never), { code: 'source.kafka.topic_recreated' })
  }
})

test('a broker that lags behind and names the old topic does not stop the source', async () => {
  const stage = new Stage()
  stage.driver.there = [topic('a', 'i2')]
  const follower = stage.follower({})
  await follower.begin(never)
  stage.driver.there = [topic('a', 'i1')]
  await stage.looks(follower, 5)
  stage.driver.there = [topic('a', 'i2')]
  await stage.looks(follower, 20)
  assert.equal([...follower.partitions()][0]?.leader, 1)
})

test('another cluster is another topic, whatever its name', async () => {
  const stage = new Stage()
  stage.driver.there = [topic('a', null)]
  const before = stage.follower({})
  await before.begin(never)
  stage.driver.cluster = 'c2'
  const after = stage.follower({}, before.position)
  await assert.rejects(after.begin(never), { code: 'source.kafka.topic_recreated' })
})

test('`restart` reads a topic anew, once, and empties it when it has a key', async () => {
  for (const keyed of [false, true]) {
    const stage = new Stage()
    stage.driver.there = [topic('a', 'i1')]
    const first = stage.follower({ keyed })
    await first.begin(never)
    stage.driver.there = [topic('a', 'i2', 1)]
    stage.driver.earliest = 3n
    const second = stage.follower({ keyed, restart: { a: 'again' } }, first.position)
    await second.begin(never)
    const place = second.position.topics.get('a')
    const again = { restarts: 1, restart: 'again', next: [3], last: [null] }
    assert.deepEqual(place, { cluster: 'c1', id: 'i2', ...again })
    assert.deepEqual(second.takeEmptied(), keyed ? ['a'] : [])
    assert.deepEqual(second.takeEmptied(), [])
    // The same text is no new order.
    const third = stage.follower({ keyed, restart: { a: 'again' } }, second.position)
    await third.begin(never)
    assert.equal(third.position.topics.get('a')?.restarts, 1)
    assert.deepEqual(third.takeEmptied(), [])
    stage.driver.there = [topic('a', 'i3', 1)]
    const fourth = stage.follower({ restart: { a: 'again' } }, second.position)
    await assert.rejects(fourth.begin(never), { code: 'source.kafka.topic_recreated' })
  }
})

test('what the log has of a topic that is not wanted now stays in the position', async () => {
  const stage = new Stage()
  stage.driver.there = [topic('a', 'i1'), topic('b', 'i2')]
  const both = stage.follower({ topics: ['a', 'b'] })
  await both.begin(never)
  stage.driver.there = [topic('a', 'i1')]
  const one = stage.follower({ topics: ['a'] }, both.position)
  await one.begin(never)
  assert.deepEqual(one.position.topics.get('b'), both.position.topics.get('b'))
})

test('an id that is told later, or not any more, is no difference', async () => {
  const stage = new Stage()
  stage.driver.there = [topic('a', null)]
  const follower = stage.follower({})
  await follower.begin(never)
  stage.driver.there = [topic('a', 'i1')]
  await follower.look(never)
  stage.driver.there = [topic('a', null)]
  await stage.looks(follower, 20)
  assert.equal(follower.position.topics.get('a')?.id, 'i1')
})

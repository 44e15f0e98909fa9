/** What a pipeline file or a topic may not ask of Feast is refused, and the error names the cure. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SluiceError } from '../../../core/errors/error.ts'
import type { Schema } from '../../../core/record/schema.ts'
import { refuseCollisions } from '../../../sinks/feast/collisions.ts'
import { feastConfig } from '../../../sinks/feast/config.ts'
import { Routes } from '../../../sinks/feast/routes.ts'
import { murmur3 } from '../../../sinks/feast/layout/murmur3.ts'
import { planView } from '../../../sinks/feast/view.ts'
import { schemaOf } from './redis/support.ts'

type Views = Readonly<Record<string, unknown>>

function parse(views: Views, project = 'shop') {
  return feastConfig.safeParse({
    project,
    target: { type: 'redis', url: 'redis://127.0.0.1' },
    views,
  })
}

function issues(views: Views, project?: string): readonly string[] {
  const { error } = parse(views, project)
  return (error?.issues ?? []).map(({ path, message }) => `${path.join('.')}: ${message}`)
}

function plan(view: unknown, schema: Schema) {
  return planView(parse({ v: view }).data!, 'v', 'src.rows', schema)
}

function refused(view: unknown, schema: Schema, pattern: RegExp): void {
  assert.throws(
    () => plan(view, schema),
    (error) => {
      assert.ok(error instanceof SluiceError && error.code === 'sink.feast.view')
      assert.match(`${error.message} ${error.remedy}`, pattern)
      return true
    },
  )
}

const rows = schemaOf({ id: 'int64', at: 'timestamptz', n: 'int32', real: 'float64' }, ['id'])

test('what the file alone tells is refused with its place', () => {
  assert.deepEqual(issues({ v: {} }), [])
  assert.match(issues({ v: {} }, '_shop').join(), /^project: expected a name/)
  assert.match(issues({ 'a:b': {} }).join(), /^views\.a:b: /)
  assert.match(issues({}).join(), /^views: expected at least one view/)
  assert.match(
    issues({ v: { features: ['n', 'n'] } }).join(),
    /views\.v\.features\.1: "n" is named twice/,
  )
  assert.match(
    issues({ v: { entities: ['n'], features: ['n'] } }).join(),
    /is an entity of this view/,
  )
  assert.match(
    issues({ v: { entities: ['at'], event_timestamp: 'at' } }).join(),
    /event time cannot be/,
  )
  assert.match(
    issues({ v: { version: 2, topic: 'a' }, v_v2: { topic: 'b' } }).join(),
    /both stored as v_v2/,
  )
  assert.match(issues({ a: { topic: 'x' }, b: {} }).join(), /views\.b: expected a topic/)
})

test('a view takes its defaults from the topic', () => {
  const view = plan({ types: { at: 'int64' } }, rows)
  assert.deepEqual(
    view.entities.map(({ name, type }) => [name, type]),
    [['id', 'int64']],
  )
  assert.deepEqual(
    view.features.map(({ name }) => name),
    ['at', 'n', 'real'],
  )
  assert.deepEqual([view.order, view.stored], ['log', 'v'])
  const timed = plan({ event_timestamp: 'at', version: 3 }, rows)
  assert.deepEqual([timed.order, timed.stored], ['time', 'v_v3'])
  assert.deepEqual(
    timed.features.map(({ name }) => name),
    ['n', 'real'],
  )
})

test('what a topic cannot give is refused with the cure', () => {
  refused({ features: ['gone'] }, rows, /no column "gone".*Its columns are: id, at, n, real/)
  refused({}, rows, /"at".*microseconds.*types: \{ at: int64 \}/)
  refused({ event_timestamp: 'n' }, rows, /which is no time/)
  refused({ event_timestamp: 'at', types: { n: 'uuid' } }, rows, /int32, int64|int32 or int64/)
  refused({ event_timestamp: 'at', types: { x: 'int64' } }, rows, /types names "x"/)
  refused(
    { entities: ['real'], event_timestamp: 'at', on_delete: 'keep' },
    rows,
    /Feast takes no such entity/,
  )
  refused({ entities: ['n'], event_timestamp: 'at' }, rows, /GROUP BY the entity.*on_delete: keep/)
  refused({}, schemaOf({ n: 'int64' }, [], 'append'), /has no entity/)
  refused({ entities: ['n'] }, schemaOf({ n: 'int64' }, [], 'append'), /has no feature/)
})

/** Two names with one hash: 32 bits, so that some 80,000 names hold a pair. */
function collision(): readonly [string, string] {
  const names = new Map<number, string>()
  for (let i = 0; ; i++) {
    const name = `feature_${i}`
    const hash = murmur3(Buffer.from(`v:${name}`))
    const other = names.get(hash)
    if (other !== undefined) return [other, name]
    names.set(hash, name)
  }
}

test('two features with one hash are refused: Redis would hold one of them', () => {
  const config = parse({ v: { entities: ['id'] } }).data!
  const fields = (names: readonly string[]) =>
    schemaOf(
      { id: 'int64', ...Object.fromEntries(names.map((name) => [name, 'int64' as const])) },
      ['id'],
    )
  refuseCollisions([planView(config, 'v', 'src.rows', fields(['a', 'b']))])
  const [one, two] = collision()
  const view = planView(config, 'v', 'src.rows', fields([one, two]))
  assert.throws(() => refuseCollisions([view]), { code: 'sink.feast.collision' })
})

test('a topic finds its views, and says when it is not clear which', () => {
  const named = parse({
    a: { topic: 'orders' },
    b: { topic: 'public.orders' },
    c: { topic: 'x.y' },
  }).data!
  assert.deepEqual(new Routes(named, []).viewsOf('shop.public.orders'), ['a', 'b'])
  assert.throws(() => new Routes(named, []).viewsOf('shop.other'), { code: 'sink.feast.topic' })
  const twice = new Routes(named, ['shop.public.orders', 'shop.sales.orders'])
  assert.throws(
    () => twice.viewsOf('shop.public.orders'),
    /any of shop.public.orders, shop.sales.orders/,
  )
  const bare = parse({ a: {}, b: {} }).data!
  assert.deepEqual(new Routes(bare, ['t']).viewsOf('t'), ['a', 'b'])
  assert.throws(() => new Routes(bare, ['t', 'u']).viewsOf('t'), { code: 'sink.feast.topic' })
})

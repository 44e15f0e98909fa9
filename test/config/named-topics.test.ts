/**
 * Topics that a sink's own keys name, and kinds of a part of a sink: what `validate` says of them, where
 * (no invariant of the log; a misspelt name would park a topic, or be passed over, at run).
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sinks } from '../../sinks/index.ts'
import type { ConfigProblem } from '../../config/problem.ts'
import { brief, good, load } from './support.ts'
import { toyRegisters } from './toy.ts'

const registers = { sources: toyRegisters.sources, sinks }

/** Problems of `good` with a sink in place of its own, whose first line is the file's 15th. */
async function problemsOf(sink: string, edit = (yaml: string) => yaml) {
  const yaml = good.slice(0, good.indexOf('  box:')) + `  k:\n${sink}`
  return (await load(edit(yaml), { registers, offline: true })).problems
}

function feast(from: string, views: string, target = '{ type: redis, url: "redis://h" }') {
  return `    type: feast
    project: shop
    from: ${from}
    target: ${target}
    views: ${views}
`
}

function said(problems: readonly ConfigProblem[]): readonly string[] {
  return problems.map(({ message, suggestion }) => `${message}; ${suggestion}`)
}

test('a view takes a topic of `from`, by its full name or a tail', async () => {
  for (const [from, topic] of [
    ['shop.*', 'orders'],
    ['shop.*', 'public.orders'],
    ['orders', 'shop.public.orders'],
    ['[orders, revenue]', 'revenue'],
    ['[revenue, revenue.dead_letters]', 'revenue.dead_letters'],
    ['orders', '${env.TOPIC}'],
    ['"${env.FROM}"', 'orders'],
  ] as const) {
    const view = `{ a: { topic: "${topic}" } }`
    const found = await problemsOf(feast(from, view))
    assert.deepEqual(
      found.filter(({ severity }) => severity === 'error'),
      [],
      `${from} ${topic}`,
    )
  }
})

test('a view whose topic the sink does not receive is found where it stands', async () => {
  const views = '{ a: { topic: customers }, b: { topic: oders }, c: { topic: orders } }'
  const found = await problemsOf(feast('orders', views))
  assert.deepEqual(brief(found), [
    '20:26 config.topic_not_received sinks.k.views.a.topic',
    '20:51 config.topic_not_received sinks.k.views.b.topic',
  ])
  assert.deepEqual(
    found.map(({ suggestion }) => suggestion),
    ['add it to `from`, or name another one', 'did you mean "orders"?'],
  )
})

test('what depends on a server passes as far as it may be there', async () => {
  const open = (yaml: string) => yaml.replace('[public.orders, public.customers]', '["public.*"]')
  const of = async (from: string, topic: string) =>
    brief(await problemsOf(feast(from, `{ a: { topic: ${topic} } }`), open))
  assert.deepEqual(await of('shop.*', 'anything'), [])
  assert.deepEqual(await of('shop.*', 'shop.public.anything'), [])
  assert.deepEqual(await of('shop.public.anything', 'anything'), [])
  assert.deepEqual(await of('anything', 'public.anything'), [])
  const wrong = ['20:26 config.topic_not_received sinks.k.views.a.topic']
  assert.deepEqual(await of('anything', 'other'), wrong)
  assert.deepEqual(await of('revenue', 'orders'), wrong)
  assert.deepEqual(await of('shop.*.archive', 'orders'), wrong)
})

test('a view without a topic needs a sink that receives one', async () => {
  assert.deepEqual(await problemsOf(feast('orders', '{ a: {} }')), [])
  const found = await problemsOf(feast('shop.*', '{ a: {} }'))
  assert.deepEqual(brief(found), ['20:14 config.ambiguous_topic sinks.k.views.a'])
  assert.match(found[0]!.message, /shop\.public\.orders, shop\.public\.customers/)
  const tail = (yaml: string) =>
    yaml.replace('[public.orders, public.customers]', '[public.orders, sales.orders]')
  assert.deepEqual(brief(await problemsOf(feast('shop.*', '{ a: { topic: orders } }'), tail)), [
    '20:26 config.ambiguous_topic sinks.k.views.a.topic',
  ])
})

test('tables and orders of ClickHouse are by full names', async () => {
  const found = await problemsOf(`    type: clickhouse
    from: shop.*
    url: http://h
    tables: { orders: t, shop.public.customers: c }
    order_by: { shop.public.ordrs: [id] }
    low_cardinality: { revenue: [region] }
`)
  assert.deepEqual(brief(found), [
    '19:15 config.topic_not_received sinks.k.tables.orders',
    '20:17 config.topic_not_received sinks.k.order_by.shop.public.ordrs',
    '21:24 config.topic_not_received sinks.k.low_cardinality.revenue',
  ])
  assert.deepEqual(
    found.map(({ suggestion }) => suggestion),
    [
      'write "shop.public.orders"',
      'did you mean "shop.public.orders"?',
      'add it to `from`, or name another one',
    ],
  )
})

test('a target of no known type, or without one', async () => {
  const of = (target: string) => problemsOf(feast('orders', '{ a: {} }', target))
  const redys = await of('{ type: redys, url: "redis://u:hunter2@h" }')
  assert.deepEqual(brief(redys), ['19:21 config.unknown_type sinks.k.target.type'])
  assert.deepEqual(said(redys), ['there is no target of type "redys"; did you mean "redis"?'])
  const far = await of('{ type: cassandra, url: "redis://u:hunter2@h" }')
  assert.deepEqual(said(far), [
    'there is no target of type "cassandra"; possible: redis, postgres, push',
  ])
  const misspelt = await of('{ typ: redis, url: "redis://u:hunter2@h" }')
  assert.deepEqual(brief(misspelt), ['19:15 config.unknown_key sinks.k.target.typ'])
  assert.deepEqual(said(misspelt), ['"typ" is not a key of sinks.k.target; did you mean "type"?'])
  const none = await of('{ url: "redis://u:hunter2@h" }')
  assert.deepEqual(brief(none), ['19:5 config.missing_key sinks.k.target.type'])
  assert.deepEqual(said(none), ['"type" is missing; possible: redis, postgres, push'])
  assert.deepEqual(brief(await of('{ type: 1, url: "redis://u:hunter2@h" }')), [
    '19:21 config.wrong_type sinks.k.target.type',
  ])
  for (const found of [redys, far, misspelt, none]) {
    assert.doesNotMatch(found.map(({ frame }) => frame).join(), /hunter2/)
  }
})

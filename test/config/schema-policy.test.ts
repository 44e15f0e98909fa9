/** `on_schema_change` of every sink: its two forms, and what is wrong with one, at its line. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { SinkConnector } from '../../core/connector/sink.ts'
import { brief, good, load } from './support.ts'
import { toyRegisters, toySink } from './toy.ts'

/** The good file with this in its sink, which stands on line 15, from column 37 on. */
function withPolicy(text: string): string {
  return good.replace('type: toybox,', `type: toybox, ${text},`)
}

async function policyOf(text: string): Promise<unknown> {
  const { pipeline, problems } = await load(withPolicy(text))
  assert.deepEqual(brief(problems), [])
  return pipeline?.sinks[0]?.onSchemaChange
}

test('a word, a mapping, and nothing', async () => {
  const { pipeline } = await load(good)
  assert.deepEqual(pipeline?.sinks[0]?.onSchemaChange, { policy: 'lenient' })
  assert.deepEqual(await policyOf('on_schema_change: stop'), { policy: 'stop' })
  assert.deepEqual(await policyOf('on_schema_change: { drop: apply }'), {
    policy: 'lenient',
    drop: 'apply',
  })
  assert.deepEqual(await policyOf('on_schema_change: { policy: evolve, truncate: ignore }'), {
    policy: 'evolve',
    truncate: 'ignore',
  })
})

async function problemsOf(text: string): Promise<readonly string[]> {
  const { problems } = await load(withPolicy(text))
  return problems.map(({ line, col, code, suggestion }) =>
    `${line}:${col} ${code} ${suggestion ?? ''}`.trim(),
  )
}

test('what is wrong is shown where it stands', async () => {
  assert.deepEqual(await problemsOf('on_schema_change: evlove'), [
    '15:42 config.invalid_value did you mean "evolve"?',
  ])
  assert.deepEqual(await problemsOf('on_schema_change: { policy: lenient, drop: ignore }'), [
    '15:67 config.invalid_value',
  ])
  assert.deepEqual(await problemsOf('on_schema_change: { dorp: apply }'), [
    '15:44 config.unknown_key did you mean "drop"?',
  ])
  assert.deepEqual(await problemsOf('on_schema_chnage: stop'), [
    '15:24 config.unknown_key did you mean "on_schema_change"?',
  ])
  assert.deepEqual(await problemsOf('on_schema_change: [stop]'), ['15:24 config.wrong_type'])
  assert.deepEqual(await problemsOf('on_schema_change: '), ['15:24 config.wrong_type'])
})

test('a yes to what the sink cannot follow is an error at its line', async () => {
  const rigid: SinkConnector<unknown> = {
    ...(toySink as SinkConnector<unknown>),
    schemaChanges: { ...toySink.schemaChanges, key: 'refuses', truncate: 'refuses' },
  }
  const registers = { ...toyRegisters, sinks: { toybox: () => Promise.resolve(rigid) } }
  const { problems } = await load(
    withPolicy('on_schema_change: { policy: evolve, key: apply, drop: apply, truncate: ignore }'),
    { registers },
  )
  assert.deepEqual(brief(problems), [
    '15:65 config.schema_change_refused sinks.box.on_schema_change.key',
  ])
  assert.equal(problems[0]?.suggestion, 'possible: stop')
})

test('what a configuration can be made to follow is asked of that configuration', async () => {
  const abilities = { ...toySink.schemaChanges, drop: 'refuses' } as const
  const problemsWith = async (matches: () => boolean) => {
    const variant = { name: 'rigid', abilities, matches }
    const sink = { ...(toySink as SinkConnector<unknown>), schemaVariants: [variant] }
    const registers = { ...toyRegisters, sinks: { toybox: () => Promise.resolve(sink) } }
    return (await load(withPolicy('on_schema_change: { drop: apply }'), { registers })).problems
  }
  assert.deepEqual(brief(await problemsWith(() => true)), [
    '15:50 config.schema_change_refused sinks.box.on_schema_change.drop',
  ])
  assert.deepEqual(brief(await problemsWith(() => false)), [])
})

test('a reference without a value is no mistake offline', async () => {
  const yaml = withPolicy('on_schema_change: "${env.POLICY}"')
  const { problems } = await load(yaml, { offline: true })
  assert.deepEqual(brief(problems), ['15:42 warning config.unresolved sinks.box.on_schema_change'])
  const { pipeline } = await load(yaml, { env: { POLICY: 'ignore' } })
  assert.deepEqual(pipeline?.sinks[0]?.onSchemaChange, { policy: 'ignore' })
})

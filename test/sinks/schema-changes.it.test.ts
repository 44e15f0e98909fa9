/**
 * The whole table of docs/schema-changes.md: every sink × every change × every policy, and every word
 * that can be written for a change, on real targets. Attacks invariants 5 and 9.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  changeKinds,
  judge,
  policyNames,
  schemaActions,
  type SchemaPolicy,
} from '../../core/connector/schema-policy.ts'
import { abilitiesOf } from '../../core/connector/sink.ts'
import { readHead } from '../../core/log/head.ts'
import type { Log } from '../../core/log/log.ts'
import { runDeliver } from '../../core/task/deliver.ts'
import type { TopicState } from '../../core/task/delivery-log.ts'
import { waitFor } from '../support/env.ts'
import { statesOf } from '../support/letters.ts'
import { schemaCases, type SchemaCase } from '../support/schema-cases.ts'
import { schemaTargets, type SchemaTarget } from '../support/schema-targets.ts'
import { sourceChain, writeTopics } from '../support/scripted-sink.ts'
import { taskContext, testLog } from '../support/task-context.ts'
import { whileRunning } from '../support/while-running.ts'
import { startOrSkip } from '../support/service.ts'

/** The policies by themselves, and one for each word that can be said, where the sink can follow it. */
function policiesOf({ connector, config }: SchemaTarget): readonly SchemaPolicy[] {
  const abilities = abilitiesOf(connector, config)
  const bare = policyNames.map((policy): SchemaPolicy => ({ policy }))
  const actions = ['apply', 'keep', 'ignore'] as const
  const said = actions.map((action): SchemaPolicy => {
    const kinds = changeKinds.filter((kind) => {
      const possible: readonly string[] = schemaActions[kind]
      return possible.includes(action) && !(action === 'apply' && abilities[kind] === 'refuses')
    })
    return { policy: 'stop', ...Object.fromEntries(kinds.map((kind) => [kind, action])) }
  })
  return [...bare, ...said]
}

interface Run {
  readonly target: SchemaTarget
  readonly policy: SchemaPolicy
  readonly log: Log
  /** Name of the sink. */
  readonly name: string
}

/** Runs every case under one policy, each in a topic of its own, and looks at the target. */
async function runPolicy({ target, policy, log, name }: Run): Promise<void> {
  const { connector, config } = target
  const topicOf = (one: SchemaCase): string => `s.${one.name}_${name}`
  for (const one of schemaCases) await writeTopics(log, ...one.entries(topicOf(one)))
  const task = { connector, config, from: [`s.*_${name}`], chains: [sourceChain] }
  const settled = async () => {
    const found = await statesOf(log, name)
    const isSettled = schemaCases.every((one) => {
      const state = found[topicOf(one)]
      return state !== undefined && (state.parked !== null || state.done === one.end)
    })
    return isSettled && found
  }
  const ctx = taskContext(log, name)
  const found = await whileRunning(
    (stop) => runDeliver({ ...task, onSchemaChange: policy }, ctx, stop),
    () => waitFor('every topic', settled),
  ).catch(async (cause: unknown) => {
    const states = JSON.stringify(await statesOf(log, name))
    throw new Error(`${JSON.stringify(policy)}: ${ctx.troubles.join(', ')}; ${states}`, { cause })
  })
  for (const one of schemaCases) {
    await look({ target, policy, log, name }, one, found[topicOf(one)]!, topicOf(one))
  }
}

async function look(run: Run, one: SchemaCase, state: TopicState, topic: string): Promise<void> {
  const { target, policy, log, name } = run
  const abilities = abilitiesOf(target.connector, target.config)
  const { action } = judge(one.kind, { policy, abilities }, one.holds)
  const where = `${target.connector.kind}: ${one.name} under ${JSON.stringify(policy)}: ${action}`
  const ability = abilities[one.kind]
  if (action === 'stop' || (action === 'apply' && ability === 'refuses')) {
    assert.ok(state.parked !== null && state.parked.remedy !== '', where)
    assert.equal(state.parked.code === 'schema.stopped', action === 'stop', where)
    assert.equal(state.done, 1, `${where}: what comes before the change is there`)
    assert.deepEqual(Object.keys(await target.rows(topic)), ['1'], where)
    return
  }
  assert.equal(state.parked, null, `${where}: ${state.parked?.message}`)
  const { rows, has = [], lacks = [], letters = 0 } = one.expected(action, ability === 'absorbs')
  const seen = await target.rows(topic)
  assert.deepEqual(Object.keys(seen).toSorted(), Object.keys(rows).toSorted(), where)
  for (const [key, values] of Object.entries(rows)) {
    for (const [column, value] of Object.entries(values)) {
      if (target.couldSee?.(topic, column) === false) continue
      assert.equal(seen[key]![column] ?? null, value, `${where}: row ${key}, ${column}`)
    }
  }
  const newest = Object.keys(rows).toSorted().at(-1)!
  const columns = (await target.columns?.(topic)) ?? Object.keys(seen[newest]!)
  for (const column of lacks) assert.ok(!columns.includes(column), `${where}: lacks ${column}`)
  if (target.columns !== null) {
    for (const column of has) assert.ok(columns.includes(column), `${where}: has ${column}`)
  }
  const head = await readHead(log, `p.sink.${name}`, AbortSignal.timeout(60_000))
  if (letters > 0) assert.ok(head!.topics.has(`${name}.dead_letters`), where)
}

for (const [type, start] of Object.entries(schemaTargets)) {
  test(`${type}: what the table says is what the target shows`, async (t) => {
    await using target = await startOrSkip<SchemaTarget>(t, type, start)
    if (target === null) return
    const log = await testLog()
    for (const [index, policy] of policiesOf(target).entries()) {
      await runPolicy({ target, policy, log, name: `p${index}` })
    }
  })
}

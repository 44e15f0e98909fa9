/**
 * Shapes of targets under every policy and random histories of a topic's schema. Attacks invariants 5
 * (nothing is taken away without a written yes), 6 (the same decision again changes nothing) and 9.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import {
  changeKinds,
  policyNames,
  schemaActions,
  type ChangeKind,
  type SchemaPolicy,
  type SchemaRules,
} from '../../../core/connector/schema-policy.ts'
import { absorbsAll } from '../../../core/connector/sink.ts'
import { keyNames } from '../../../core/record/schema-change.ts'
import { makeSchema, type Field, type Schema } from '../../../core/record/schema.ts'
import { holdsType } from '../../../core/record/type-order.ts'
import type { LogicalType } from '../../../core/record/types.ts'
import { targetOf, type TopicShape } from '../../../core/task/schema-shape.ts'
import { nextShape } from '../../../core/task/schema-step.ts'
import { appliesAll } from '../../support/table-sink.ts'

const types: readonly LogicalType[] = [
  ...(['int16', 'int32', 'int64', 'text', 'date'] as const).map((kind): LogicalType => ({ kind })),
  { kind: 'decimal', precision: 10, scale: 2 },
]

/** Schemas of few names and types, so that a history meets itself again. */
const anyTopic: fc.Arbitrary<Schema> = fc
  .tuple(
    fc.shuffledSubarray(['a', 'b', 'c', 'd']),
    fc.array(fc.constantFrom(...types), { minLength: 5, maxLength: 5 }),
    fc.array(fc.boolean(), { minLength: 5, maxLength: 5 }),
    fc.boolean(),
  )
  .map(([names, given, nullable, wideKey]) => {
    const fields = ['k', ...names].map((name, i): Field => ({
      name,
      type: given[i]!,
      nullable: i > 0 && nullable[i]!,
    }))
    return makeSchema(fields, wideKey && fields.length > 1 ? [0, 1] : [0], 'upsert')
  })

const anyPolicy: fc.Arbitrary<SchemaPolicy> = fc
  .tuple(
    fc.constantFrom(...policyNames),
    fc.array(fc.constantFrom(...changeKinds), { maxLength: 3 }),
    fc.nat(3),
  )
  .map(([policy, kinds, at]) => {
    const chosen = kinds.map((kind) => {
      const actions = schemaActions[kind]
      return [kind, actions[at % actions.length]!] as const
    })
    return { policy, ...Object.fromEntries(chosen) }
  })

const anyRules: fc.Arbitrary<SchemaRules> = fc.record({
  policy: anyPolicy,
  abilities: fc.constantFrom(absorbsAll, appliesAll),
})

const history = fc.array(fc.record({ topic: anyTopic, rules: anyRules }), {
  minLength: 2,
  maxLength: 6,
})

interface Seen {
  readonly before: Schema
  readonly after: Schema
  readonly step: ReturnType<typeof nextShape>
  readonly topic: Schema
  readonly rules: SchemaRules
}

/** Takes a target through a history, stopping where a policy stops. */
function follow(
  steps: readonly { readonly topic: Schema; readonly rules: SchemaRules }[],
  look: (seen: Seen) => void,
): void {
  const [first, ...rest] = steps
  let shape: TopicShape = { schema: first!.topic.id }
  let topic = first!.topic
  for (const { topic: next, rules } of rest) {
    const step = nextShape({ shape, topic }, next, rules)
    if (step.decisions.some(({ action }) => action === 'stop')) continue
    const before = targetOf(shape, topic).schema
    const after = targetOf(step.shape, next).schema
    look({ before, after, step, topic: next, rules })
    shape = step.shape
    topic = next
  }
}

const field = (schema: Schema, name: string): Field | undefined =>
  schema.fields.find((one) => one.name === name)

test('a target has each name once, and the whole key of its topic', () => {
  fc.assert(
    fc.property(history, (steps) => {
      follow(steps, ({ after, topic }) => {
        assert.equal(new Set(after.fields.map(({ name }) => name)).size, after.fields.length)
        assert.ok(!after.key.includes(-1))
        assert.equal(after.key.length, topic.key.length)
      })
    }),
    { numRuns: 500 },
  )
})

test('decided once, nothing is left to decide (invariant 6)', () => {
  fc.assert(
    fc.property(history, (steps) => {
      follow(steps, ({ step, topic, rules }) => {
        const again = nextShape({ shape: step.shape, topic }, topic, rules)
        assert.deepEqual(again.decisions, [])
        assert.deepEqual(again.agreed, [])
        // With a yes to drops, columns that were kept before are let go once.
        if (rules.policy.drop !== 'apply') assert.deepEqual(again.shape, step.shape)
      })
    }),
    { numRuns: 500 },
  )
})

test('a column, or room for a value, goes only where somebody said yes (invariant 5)', () => {
  fc.assert(
    fc.property(history, (steps) => {
      follow(steps, ({ before, after, step, rules }) => {
        const yes = (kind: ChangeKind): boolean =>
          rules.policy[kind] === 'apply' || rules.abilities === absorbsAll
        const renamed = new Map(
          step.agreed.flatMap((change) =>
            change.kind === 'rename' ? [[change.from.name, change.to.name] as const] : [],
          ),
        )
        for (const old of before.fields) {
          const now = field(after, renamed.get(old.name) ?? old.name)
          if (now === undefined) assert.ok(yes('drop'), old.name)
          else if (!yes('narrow')) {
            assert.ok(holdsType(now.type, old.type))
            assert.ok(now.nullable || !old.nullable)
          }
        }
        for (const { kind } of step.agreed) {
          if (kind === 'drop' || kind === 'narrow') assert.ok(yes(kind))
        }
      })
    }),
    { numRuns: 500 },
  )
})

test('a target without a shape of its own is sent the rows as they are', () => {
  fc.assert(
    fc.property(fc.array(anyTopic, { minLength: 2, maxLength: 6 }), (topics) => {
      for (const policy of ['lenient', 'evolve'] as const) {
        const rules = { policy: { policy }, abilities: absorbsAll }
        follow(
          topics.map((topic) => ({ topic, rules })),
          ({ after, topic }) => assert.equal(after.id, topic.id),
        )
      }
    }),
  )
})

test('under `stop` any change stops, and none does where nothing changed', () => {
  fc.assert(
    fc.property(anyTopic, anyTopic, (from, to) => {
      const rules = { policy: { policy: 'stop' }, abilities: appliesAll } as const
      const { decisions } = nextShape({ shape: { schema: from.id }, topic: from }, to, rules)
      const said = (schema: Schema): string[] =>
        schema.fields.map((one) => JSON.stringify(one)).toSorted()
      const same =
        JSON.stringify([said(from), keyNames(from)]) === JSON.stringify([said(to), keyNames(to)])
      assert.equal(decisions.length === 0, same)
      assert.ok(decisions.every(({ action }) => action === 'stop'))
    }),
  )
})

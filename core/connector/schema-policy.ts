/**
 * `on_schema_change`: what the user wants done when a topic's rows get another shape, and what comes of
 * it for one change at one sink. Pure, so that the pipeline file, the deliver loop and the table in
 * docs/schema-changes.md say the same.
 *
 * Nothing that takes something away for good (a column, room for values, all rows) is done without a
 * written yes for that kind of change.
 */
import type { SchemaChange } from '../record/schema-change.ts'
import type { SchemaAbilities } from './sink.ts'

export type ChangeKind = SchemaChange['kind'] | 'truncate'

/**
 * - `apply`: the target follows;
 * - `keep`: the target's column stays as it is;
 * - `ignore`: the target is as if nothing had happened;
 * - `stop`: the topic waits for a decision.
 */
export type SchemaAction = 'apply' | 'keep' | 'ignore' | 'stop'

export const policyNames = ['evolve', 'lenient', 'ignore', 'stop'] as const
export type PolicyName = (typeof policyNames)[number]

/** What can be said of each kind of change. */
export const schemaActions = {
  /** ignore: the column is left out. */
  add: ['apply', 'ignore', 'stop'],
  /** keep: the old type stays; a value that it does not hold is a dead letter. */
  widen: ['apply', 'keep', 'stop'],
  /** keep: the old type stays; a value that it does not hold is a dead letter. */
  narrow: ['apply', 'keep', 'stop'],
  /** keep: the old column stays, the new name is a new one; ignore: values go on under the old name. */
  rename: ['apply', 'keep', 'ignore', 'stop'],
  /** keep: the column stays and is NULL in rows from now on. */
  drop: ['apply', 'keep', 'stop'],
  key: ['apply', 'stop'],
  /** ignore: the rows stay in the target. */
  truncate: ['apply', 'ignore', 'stop'],
} as const satisfies Readonly<Record<ChangeKind, readonly SchemaAction[]>>

export const changeKinds = Object.keys(schemaActions) as readonly ChangeKind[]

export type SchemaPolicy = { readonly policy: PolicyName } & {
  readonly [K in ChangeKind]?: SchemaAction
}

export const defaultPolicy: SchemaPolicy = { policy: 'lenient' }

export interface Verdict {
  readonly action: SchemaAction
  /** For people: the rule that it comes from. */
  readonly why: string
}

export interface SchemaRules {
  readonly policy: SchemaPolicy
  readonly abilities: SchemaAbilities
}

/**
 * What is done about a change. `holds`, of a `narrow`: whether the target's type holds every value that
 * comes from now on, as BIGINT does those of an INT.
 */
export function judge(
  kind: ChangeKind,
  { policy, abilities }: SchemaRules,
  holds: boolean,
): Verdict {
  const own = policy[kind]
  if (own !== undefined) return { action: own, why: `on_schema_change says ${kind}: ${own}` }
  const name = policy.policy
  const ruled = (action: SchemaAction): Verdict => ({ action, why: `on_schema_change is ${name}` })
  if (name === 'stop') return ruled('stop')
  if (kind === 'truncate') {
    if (abilities.truncate === 'absorbs') {
      return { action: 'apply', why: 'nothing is lost by it: the target keeps what was there' }
    }
    // Passed over in silence, rows that are nowhere else would stay in the target for ever.
    if (name === 'ignore') return ruled('ignore')
    return abilities.truncate === 'refuses'
      ? { action: 'apply', why: 'the sink cannot remove rows, and says what to do' }
      : { action: 'stop', why: 'it would remove rows for good, which needs truncate: apply' }
  }
  if (name === 'ignore') return ruled(ignored[kind])
  // A target without a shape of its own has nothing that could be lost.
  if (abilities[kind] === 'absorbs') {
    return { action: 'apply', why: 'the target takes rows of any shape' }
  }
  switch (kind) {
    case 'add':
    case 'widen':
    case 'key':
      return ruled('apply')
    case 'rename':
      return ruled(name === 'evolve' && abilities.rename === 'applies' ? 'apply' : 'keep')
    case 'narrow':
      return holds
        ? { action: 'keep', why: 'the target’s type holds every value' }
        : { action: 'stop', why: 'the target’s type does not hold every value of the new one' }
    case 'drop':
      return { action: 'keep', why: 'dropping a column needs drop: apply' }
  }
}

const ignored = {
  add: 'ignore',
  widen: 'keep',
  narrow: 'keep',
  rename: 'ignore',
  drop: 'keep',
  key: 'stop',
} as const

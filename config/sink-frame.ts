/** The keys that every sink has beside its own: what it receives, and what is done when that changes. */
import { z } from 'zod'
import { letterBudgetSchema } from '../core/connector/letter-budget.ts'
import {
  changeKinds,
  policyNames,
  schemaActions,
  type SchemaPolicy,
} from '../core/connector/schema-policy.ts'
import { abilitiesOf, type SinkConnector } from '../core/connector/sink.ts'
import type { ConfigDocument } from './document.ts'

/** What sinks read: names, short names, and `*` for any characters. */
export const fromSchema = z.union([z.string().min(1), z.array(z.string().min(1)).min(1)]).meta({
  description:
    'What the sink receives: the name of a transform, a topic (`shop.public.orders`, or `orders` while only one fits), or a pattern such as `shop.*`; one or a list.',
  examples: ['revenue_per_minute', ['shop.*', 'revenue_per_minute']],
})

const policySchema = z.enum(policyNames).meta({
  description:
    '`lenient`: new columns and wider types are followed, nothing is taken away. `evolve`: renames too. `ignore`: the target keeps its columns. `stop`: a topic waits in front of every change.',
})

const overrides = {
  add: 'A new column. `ignore`: it is left out.',
  widen:
    'A type that holds more, or NULL allowed now. `keep`: the old type stays, and a value that it does not hold is a dead letter.',
  narrow:
    'A type that does not hold all of the old one. `keep`: the old type stays, and a value that it does not hold is a dead letter. `apply` is a yes to losing values.',
  rename:
    'A column with another name. `keep`: the old one stays, the new name is a new column. `ignore`: values go on under the old name.',
  drop: 'A column that is gone. `keep`: it stays, NULL in new rows. `apply` is a yes to losing it.',
  key: 'Another key.',
  truncate:
    'All rows removed. `ignore`: they stay in the target. `apply` is a yes to losing them where the target keeps no history.',
} as const

/** `lenient`, or `{ policy: lenient, drop: apply }`. */
export const onSchemaChangeSchema = z
  .union([
    policySchema,
    z.strictObject({
      policy: policySchema.default('lenient'),
      ...mapped((kind) =>
        z
          .enum(schemaActions[kind])
          .meta({ description: `${overrides[kind]} Default: as \`policy\` says.` })
          .optional(),
      ),
    }),
  ])
  .transform((value): SchemaPolicy => {
    if (typeof value === 'string') return { policy: value }
    const said = Object.entries(value).filter(([, action]) => action !== undefined)
    return Object.fromEntries(said) as SchemaPolicy
  })
  .meta({
    description:
      'What is done when the rows of a topic change their shape: `lenient` (default), `evolve`, `ignore` or `stop`, or a mapping with a word for single kinds of change. docs/schema-changes.md has the whole table.',
    examples: ['evolve', { policy: 'evolve', drop: 'apply' }],
  })

function mapped<T>(
  make: (kind: keyof typeof schemaActions) => T,
): Record<keyof typeof schemaActions, T> {
  return Object.fromEntries(changeKinds.map((kind) => [kind, make(kind)])) as Record<
    keyof typeof schemaActions,
    T
  >
}

/** By key. Those that may be absent are optional. */
export const sinkFrame = {
  from: fromSchema,
  on_schema_change: onSchemaChangeSchema.optional(),
  dead_letters: letterBudgetSchema.optional(),
} as const

/** A yes to what the sink cannot do would only be found out when the change comes. */
export function checkPolicy(
  document: ConfigDocument,
  sink: {
    readonly name: string
    readonly kind: string
    readonly connector: SinkConnector<unknown>
    /** null where it is not valid. */
    readonly config: unknown
  },
  policy: SchemaPolicy,
): void {
  const { name, kind: type, connector, config } = sink
  const abilities = config === null ? connector.schemaChanges : abilitiesOf(connector, config)
  for (const kind of changeKinds) {
    if (policy[kind] !== 'apply' || abilities[kind] !== 'refuses') continue
    const others = schemaActions[kind].filter((action) => action !== 'apply')
    document.add('config.schema_change_refused', ['sinks', name, 'on_schema_change', kind], {
      message: `this sink (${type}) cannot follow this change (${kind})`,
      suggestion: `possible: ${others.join(', ')}`,
    })
  }
}

/**
 * docs/schema-changes.md: what each sink does for each change under each policy, from what the sinks
 * say they can and from the function that the deliver loop asks. test/sinks/schema-changes.it.test.ts
 * runs the same table on real targets.
 */
import type { Registers } from '../config/schema.ts'
import {
  changeKinds,
  judge,
  policyNames,
  schemaActions,
  type ChangeKind,
  type SchemaAction,
} from '../core/connector/schema-policy.ts'
import type { SchemaAbilities } from '../core/connector/sink.ts'
import { page } from './docs-schema-changes-text.ts'

interface Row {
  readonly kind: ChangeKind
  readonly label: string
  /** Of a `narrow`: whether the target's type holds every value. */
  readonly holds: boolean
}

const rows: readonly Row[] = changeKinds.flatMap((kind): readonly Row[] =>
  kind === 'narrow'
    ? [
        { kind, label: 'narrow, the old type holds the new values', holds: true },
        { kind, label: 'narrow, it does not', holds: false },
      ]
    : [{ kind, label: kind, holds: true }],
)

/** What a reader of the target finds after a change, in few words. */
const outcomes: Readonly<Record<string, string>> = {
  'add apply applies': 'column added',
  'add apply absorbs': 'in new rows',
  'add ignore': 'left out',
  'widen apply applies': 'column widened',
  'widen apply absorbs': 'in new rows',
  'widen keep': 'old type, else dead letter',
  'narrow apply applies': 'column narrowed',
  'narrow apply absorbs': 'in new rows',
  'narrow keep held': 'old type stays',
  'narrow keep': 'old type, else dead letter',
  'rename apply applies': 'column renamed',
  'rename apply absorbs': 'in new rows',
  'rename keep': 'old one stays, new one added',
  'rename ignore': 'goes on under the old name',
  'drop apply applies': 'column dropped',
  'drop apply absorbs': 'gone from new rows',
  'drop keep': 'stays, NULL in new rows',
  'key apply applies': 'followed',
  'key apply absorbs': 'in new rows',
  'truncate apply applies': 'rows removed',
  'truncate apply absorbs': 'told; history stays',
  'truncate ignore': 'rows stay',
}

function outcome({ kind, holds }: Row, action: SchemaAction, abilities: SchemaAbilities): string {
  const ability = abilities[kind]
  if (action === 'stop') return '**stops**'
  if (action === 'apply' && ability === 'refuses') return '**stops** with the cure'
  const names = [
    `${kind} ${action} ${ability}`,
    `${kind} ${action}${holds ? ' held' : ''}`,
    `${kind} ${action}`,
  ]
  const found = names.map((name) => outcomes[name]).find((text) => text !== undefined)
  if (found === undefined) throw new Error(`no words for ${names[0]}`)
  return found
}

function linesOf(sink: string, abilities: SchemaAbilities): readonly string[] {
  return rows.map((row) => {
    const cells = policyNames.map((policy) => {
      const { action } = judge(row.kind, { policy: { policy }, abilities }, row.holds)
      return outcome(row, action, abilities)
    })
    return `| ${sink} | ${row.label} | ${cells.join(' | ')} |`
  })
}

export async function schemaChangesDocs(registers: Registers): Promise<string> {
  const table = [
    `| sink | change | ${policyNames.map((name) => `\`${name}\``).join(' | ')} |`,
    `| --- | --- | ${policyNames.map(() => '---').join(' | ')} |`,
  ]
  for (const [type, load] of Object.entries(registers.sinks)) {
    const { schemaChanges, schemaVariants = [] } = await load()
    table.push(...linesOf(type, schemaChanges))
    for (const { name, abilities } of schemaVariants) {
      table.push(...linesOf(`${type}, ${name}`, abilities))
    }
  }
  const words = [
    '| | words | |',
    '| --- | --- | --- |',
    ...changeKinds.map((kind) => {
      const actions = schemaActions[kind].map((action) => `\`${action}\``).join(' ')
      return `| \`${kind}\` | ${actions} | ${page.kinds[kind]} |`
    }),
  ]
  return (
    [page.head, table.join('\n'), page.afterTable, words.join('\n'), page.tail].join('\n\n') + '\n'
  )
}

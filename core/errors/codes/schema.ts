import type { CodeTable } from './table.ts'

/** Codes that begin with `schema.`: what `on_schema_change` makes of a topic's changes. */
export const schemaCodes = {
  'schema.stopped': {
    fault: 'config',
    cause:
      'A topic’s rows changed their shape, or were all removed, in a way that `on_schema_change` of the sink does not decide by itself.',
    remedy:
      'Nothing was skipped: delivery waits in front of the change. Write one of the lines that the message shows under the sink and start again; docs/schema-changes.md says what each does.',
  },
  'schema.value_not_held': {
    fault: 'row',
    cause:
      'A value has no exact place in the column that the target keeps, because `on_schema_change` does not let the column follow its source.',
    remedy:
      'Let the target follow with `widen: apply` or `narrow: apply` under `on_schema_change`, then send the dead letters again (`sluice dlq retry`).',
  },
} as const satisfies CodeTable

import type { CodeTable } from './table.ts'

/** Codes that begin with `sql.`. */
export const sqlCodes = {
  'sql.syntax': {
    fault: 'config',
    cause: 'The query is not valid PostgreSQL.',
    remedy: 'Correct the query at the place that is marked.',
  },
  'sql.unsupported': {
    fault: 'config',
    cause: 'The query uses a construct that the streaming engine does not run.',
    remedy: 'Rewrite the marked part; the message names the rewrite where there is one.',
  },
  'sql.nondeterministic': {
    fault: 'config',
    cause:
      'A function such as now() or random() gives another answer each time, so that the old result of a row could not be computed again to take it back.',
    remedy: 'Use a column of the input instead, such as the time at which the event happened.',
  },
  'sql.unknown_table': {
    fault: 'config',
    cause: 'FROM names a topic that no source and no transform of this pipeline has.',
    remedy:
      'Name one of the topics that exist, as source.schema.table, or shorter while it is unique.',
  },
  'sql.ambiguous_table': {
    fault: 'config',
    cause: 'The short name in FROM fits several topics.',
    remedy: 'Write more of the name, as source.schema.table.',
  },
  'sql.unknown_column': {
    fault: 'config',
    cause: 'The query names a column that its input does not have.',
    remedy: 'Name one of the columns that exist.',
  },
  'sql.ambiguous_column': {
    fault: 'config',
    cause: 'The name fits several columns.',
    remedy: 'Write the table before the column, or give the columns different aliases.',
  },
  'sql.unknown_function': {
    fault: 'config',
    cause: 'The query calls a function that the engine does not have, or not for these types.',
    remedy: 'Use one of the functions in docs/sql.md, or cast the arguments.',
  },
  'sql.type': {
    fault: 'config',
    cause: 'An expression combines types that PostgreSQL would not combine either.',
    remedy: 'Cast one side, as in value::type.',
  },
  'sql.grouping': {
    fault: 'config',
    cause: 'A column is neither grouped by nor inside an aggregate.',
    remedy: 'Add it to GROUP BY, or wrap it in an aggregate such as MIN.',
  },
  'sql.input_changed': {
    fault: 'config',
    cause: 'A column that the query uses was dropped from its input, or has another type now.',
    remedy:
      'Bring the column back, or change the query and let the transform start from the beginning.',
  },
  'sql.state_mismatch': {
    fault: 'config',
    cause: 'The stored state belongs to another query, or to a newer version of Sluice.',
    remedy: 'Start the transform under a new name, or let it start from the beginning.',
  },
  'sql.state_corrupt': {
    fault: 'bug',
    cause: 'The stored state of a transform cannot be decoded.',
    remedy: 'Report it; until then let the transform start from the beginning.',
  },
  'sql.division_by_zero': {
    fault: 'row',
    cause: 'An expression divides by zero.',
    remedy: 'Guard the divisor, as in x / NULLIF(y, 0).',
  },
  'sql.out_of_range': {
    fault: 'row',
    cause: 'A result does not fit its type.',
    remedy: 'Cast to a wider type before computing, as in x::bigint or x::numeric.',
  },
  'sql.invalid_value': {
    fault: 'row',
    cause: 'A value cannot be read as the type that it is cast to, or a function refuses it.',
    remedy: 'Guard the cast with CASE, or correct the value at its source.',
  },
  'sql.impossible_retraction': {
    fault: 'bug',
    cause: 'An input took back a row that it never gave.',
    remedy: 'Report it with the name of the topic; rebuild the transform from the beginning.',
  },
} as const satisfies CodeTable

import type { CodeTable } from './table.ts'

/** Codes of the ClickHouse sink beside those in sinks.ts. */
export const clickhouseCodes = {
  'sink.clickhouse.not_shared': {
    fault: 'config',
    cause:
      'Several servers are named, and a table is on one of them alone: after a change of servers its rows would be split.',
    remedy:
      'Name one server; or make the tables replicated: `replicated: { cluster: … }` for new ones, and `sluice resync` for one that is there.',
  },
  'sink.clickhouse.memory': {
    fault: 'transient',
    cause: 'ClickHouse has not enough memory for an insert (241, MEMORY_LIMIT_EXCEEDED).',
    remedy:
      'Sluice waits, and from the third attempt on sends the rows in halves. Where it lasts: smaller batches (`flush`), more memory, or lighter materialized views on the table.',
  },
  'sink.clickhouse.column_read': {
    fault: 'config',
    cause: 'A column is to be renamed, and a materialized view reads it under its old name.',
    remedy:
      'Change or drop the view, and it goes on by itself; or keep the column: `on_schema_change: { rename: keep }`.',
  },
  'sink.clickhouse.cleaned_up': {
    fault: 'row',
    cause:
      'A row that is sent once more is older than tombstones that `cleanup` removed: its key may have been deleted since, and the row would live again.',
    remedy:
      'The row is a dead letter, nothing changed. Drop it, build the table anew from the log (`sluice resync`), or keep tombstones longer: `cleanup: { deleted_after: … }`.',
  },
} as const satisfies CodeTable

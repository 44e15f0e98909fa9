import type { CodeTable } from './table.ts'

/** Codes that begin with `source.snapshot.`: the copy of tables beside the running stream, of any database. */
export const snapshotCodes = {
  'source.snapshot.table_changed': {
    fault: 'transient',
    cause: 'A table was altered, emptied, replaced or dropped while it was being copied.',
    remedy: 'Nothing to do; Sluice looks at the table again and copies it as it is now.',
  },
} as const satisfies CodeTable

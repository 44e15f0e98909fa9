import type { CodeTable } from './table.ts'

/** Codes that begin with `sql.`. */
export const sqlCodes = {} as const satisfies CodeTable

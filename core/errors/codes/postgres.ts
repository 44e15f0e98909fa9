import type { CodeTable } from './table.ts'

/** Codes that begin with `source.postgres.`. */
export const postgresCodes = {} as const satisfies CodeTable

import type { CodeTable } from './table.ts'

/** Codes that begin with `store.` or `log.`. */
export const logCodes = {} as const satisfies CodeTable

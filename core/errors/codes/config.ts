import type { CodeTable } from './table.ts'

/** Codes that begin with `config.`. */
export const configCodes = {} as const satisfies CodeTable

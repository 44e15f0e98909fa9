import type { CodeTable } from './table.ts'

/** Codes that begin with `task.`. */
export const taskCodes = {} as const satisfies CodeTable

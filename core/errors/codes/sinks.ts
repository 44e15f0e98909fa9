import type { CodeTable } from './table.ts'

/** Codes that begin with `sink.`. */
export const sinkCodes = {} as const satisfies CodeTable

/** One error code: what it means in general, what to do, and what the runtime does about it. */
export interface CodeEntry {
  readonly fault: 'transient' | 'row' | 'config' | 'fenced' | 'bug'
  readonly cause: string
  readonly remedy: string
}

/** Keys are dotted paths, from the general to the special: `source.postgres.slot_lost`. */
export type CodeTable = Readonly<Record<string, CodeEntry>>

/**
 * The troubles of a task in few words. A server that is away fails every topic of a sink with the same
 * error, which is one trouble; of many different ones the first are shown and the others counted.
 */
import type { TaskStatus, Trouble } from './status.ts'

/** Topics with one error in common. */
export interface TroubleGroup {
  /** What it is about; none: the task itself. */
  readonly about: readonly string[]
  readonly code: string
  readonly message: string
  readonly remedy: string
}

/** How many are shown at once, and how many names of one. */
const shownMax = 5
/** How many /status tells; `troubleCount` says how many there are. */
const tellMax = 100

/** In the order in which they began. */
export function groupTroubles(troubles: readonly Trouble[]): TroubleGroup[] {
  const groups = new Map<string, TroubleGroup & { readonly about: string[] }>()
  for (const { about, code, message, remedy } of troubles) {
    const key = `${code} ${message} ${remedy}`
    let group = groups.get(key)
    if (group === undefined) groups.set(key, (group = { about: [], code, message, remedy }))
    if (about !== '') group.about.push(about)
  }
  return [...groups.values()]
}

/** The first few, and how many more there are. */
export function firstTroubles(groups: readonly TroubleGroup[]): {
  readonly shown: readonly TroubleGroup[]
  readonly more: number
} {
  const shown = groups.slice(0, shownMax)
  return { shown, more: groups.length - shown.length }
}

/** `code: message`, with whom it is about in front. */
export function troubleText({ about, code, message }: TroubleGroup): string {
  const text = `${code}: ${message}`
  return about.length === 0 ? text : `${firstNames(about)}: ${text}`
}

/** `a, b, c and 7 more`. */
function firstNames(names: readonly string[]): string {
  const more = names.length - shownMax
  return names.slice(0, shownMax).join(', ') + (more > 0 ? ` and ${more} more` : '')
}

/** The code of the first trouble, and how many others there are; '' = none. */
export function troubleWord({ troubles }: TaskStatus): string {
  const [first, ...others] = groupTroubles(troubles)
  if (first === undefined) return ''
  return others.length === 0 ? first.code : `${first.code} and ${others.length} more`
}

export function troublesJson({ troubles }: TaskStatus): {
  readonly troubles: readonly Trouble[]
  readonly troubleCount: number
} {
  return { troubles: troubles.slice(0, tellMax), troubleCount: troubles.length }
}

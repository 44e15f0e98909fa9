import { isPaidFor } from '../store/store.ts'

/**
 * How often a task looks at a chain that somebody else is to write to. Looking at a local folder costs a few
 * system calls, at an object store money: each look at a chain's head is about ten requests.
 */
const firstMs = 50
const folderMs = 100
const objectStoreMs = 5000

/** The longest pause between two looks. */
export function pollMs(storeUrl: string): number {
  return isPaidFor(storeUrl) ? objectStoreMs : folderMs
}

/** Short pauses at first, since most of what is waited for comes soon; then longer ones. */
export function* pollPauses(storeUrl: string): Generator<number, never> {
  const longestMs = pollMs(storeUrl)
  for (let pauseMs = firstMs; ; pauseMs = Math.min(longestMs, pauseMs * 2)) yield pauseMs
}

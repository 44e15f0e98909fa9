/**
 * Programs of the tests in processes of their own, which failpoints kill: what a process held in memory is
 * gone, and what it had made durable is what the next one goes on from.
 */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'

const endsWithinMs = 120_000

export interface ChildOptions {
  /** `name=n`: the process is killed when it passes the place for the n-th time. */
  readonly failpoints?: string
  /** Killed then, wherever it is. */
  readonly killAfterMs?: number
}

/**
 * Runs Node with the words, the first of which is the program; its exit code, or the signal that killed it.
 * One that does not end is an error: a kill of ours must not be taken for a failpoint's.
 */
export async function runChild(
  words: readonly string[],
  { failpoints = '', killAfterMs }: ChildOptions = {},
): Promise<number | NodeJS.Signals> {
  const child = spawn(process.execPath, words, {
    env: { ...process.env, SLUICE_FAILPOINTS: failpoints },
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  let late = false
  const timer = setTimeout(() => {
    late = killAfterMs === undefined
    child.kill('SIGKILL')
  }, killAfterMs ?? endsWithinMs)
  try {
    const [code, signal] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null]
    if (late) throw new Error(`${words[0]} had not ended after ${endsWithinMs} ms`)
    return signal ?? code!
  } finally {
    clearTimeout(timer)
  }
}

/** Runs it until the failpoint kills it; fails where the place is never passed. */
export async function killedAt(failpoint: string, words: readonly string[]): Promise<void> {
  const end = await runChild(words, { failpoints: failpoint })
  assert.equal(end, 'SIGKILL', `${failpoint} was not passed`)
}

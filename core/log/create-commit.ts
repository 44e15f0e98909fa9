/**
 * The commit point: creating `c/<seq>`, which must not exist yet.
 *
 * An answer of `exists` does not prove that we lost: a repeated request meets the object that the
 * first one created (measured with the S3 client: two attempts, 412, the object ours). And an error
 * proves nothing at all. So in each doubtful case the object is read, and its commit id decides.
 */
import { SluiceError } from '../errors/error.ts'
import { footerGuessBytes, loadCommit, type LoadedCommit } from './load.ts'
import { commitKey } from './keys.ts'
import type { Log } from './log.ts'

/** Each attempt contains the store's own retries; together they last for about a minute. */
const attemptsMax = 6
const backoffMsMax = 5000

/**
 * null when the commit with `id` is in the log, else the commit that stands in its place. Throws
 * `log.commit_unresolved` when the store does not answer for long, or the abort's reason; the commit
 * may then be in the log, or may even get there later.
 */
export async function createCommit(
  log: Log,
  chain: string,
  commit: { readonly seq: number; readonly id: string; readonly bytes: Uint8Array },
  signal: AbortSignal,
): Promise<LoadedCommit | null> {
  const key = commitKey(chain, commit.seq)
  let cause: unknown
  for (let tries = 0; tries < attemptsMax; tries++) {
    try {
      if ((await log.store.create(key, commit.bytes, signal)) === 'created') return null
    } catch (error) {
      if (!isTransient(error)) throw error
      cause = error
    }
    try {
      const found = await loadCommit(log, chain, commit.seq, footerGuessBytes, signal)
      if (found !== null) return found.footer.id === commit.id ? null : found
    } catch (error) {
      if (!isTransient(error)) throw error
      cause = error
    }
    const backoffMs = log.random() * Math.min(backoffMsMax, 200 * 2 ** tries)
    await log.sleep(backoffMs, signal)
  }
  throw new SluiceError('log.commit_unresolved', {
    message: `${log.store.url}: whether ${key} was written is not known yet`,
    cause,
  })
}

function isTransient(error: unknown): boolean {
  return error instanceof SluiceError && error.fault === 'transient'
}

/** What every database server of the tests needs of its process: a user that is not root, and its end. */
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'

/** The kernel's overflow user, named `nobody` everywhere: root steps down to it. */
export const nobody = 65534

export function asRoot(): boolean {
  return process.getuid?.() === 0
}

/**
 * The command as the server's user. On Linux the kernel sends the server `signal` when this process dies
 * in whatever way (parent death signal), so that a killed test leaves nothing behind.
 */
export function asServerUser(
  command: readonly string[],
  signal: 'KILL' | 'QUIT',
): readonly string[] {
  if (process.platform !== 'linux') return command
  const ids = asRoot() ? [`--reuid=${nobody}`, `--regid=${nobody}`, '--clear-groups'] : []
  return ['setpriv', `--pdeathsig=${signal}`, ...ids, ...command]
}

/** Returns when the process, if there is one, has ended of the signal. */
export async function endProcess(
  child: ChildProcess | null,
  signal: NodeJS.Signals,
): Promise<void> {
  if (child === null) return
  const exited = once(child, 'exit')
  child.kill(signal)
  await exited
}

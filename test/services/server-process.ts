/** What the servers of the tests need of their processes: a start that is told from a failure, an end, a user that is not root. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { waitFor } from '../support/env.ts'

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

export interface StartOptions {
  readonly cwd: string
  readonly env?: NodeJS.ProcessEnv
  /** Three minutes when absent: on a slow machine servers take long, and one that ends is an error at once. */
  readonly withinMs?: number
  /** Whether it takes clients by now; an error is a no. */
  readonly isReady: () => boolean | Promise<boolean>
}

/** The process of a server, which may end and be started again; what it says is in `server.log` of the folder. */
export class ServerProcess {
  readonly #name: string
  readonly #log: string
  #child: ChildProcess | null = null

  constructor(name: string, folder: string) {
    this.#name = name
    this.#log = join(folder, 'server.log')
  }

  /** 0 while none runs. */
  get pid(): number {
    return this.#child?.pid ?? 0
  }

  /** Returns when it is ready. One that ends before, or never is, has ended then; the error has the end of its log. */
  async start(command: readonly string[], options: StartOptions): Promise<void> {
    const { cwd, env = process.env, withinMs = 180_000, isReady } = options
    const [program, ...args] = command
    const log = openSync(this.#log, 'a')
    const child = spawn(program!, args, { cwd, env, stdio: ['ignore', log, log] })
    closeSync(log)
    this.#child = child
    child.once('exit', () => {
      if (this.#child === child) this.#child = null
    })
    const hasEnded = (): boolean => this.#child !== child
    try {
      await waitFor(`${this.#name} to start`, () => hasEnded() || isReady(), withinMs)
      if (hasEnded()) throw new Error('it ended')
    } catch (cause) {
      await this.end('SIGKILL')
      const said = readFileSync(this.#log, 'utf8').slice(-2000)
      throw new Error(`${this.#name} did not start: ${said}`, { cause })
    }
  }

  /** Returns when it has ended of the signal; at once where none runs. */
  async end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#child
    if (child === null) return
    const exited = once(child, 'exit')
    child.kill(signal)
    await exited
  }

  /** For the exit of this process, at which nothing can be waited for. */
  signal(signal: NodeJS.Signals): void {
    this.#child?.kill(signal)
  }
}

/**
 * Sluice as its users run it: the command line, in a process of its own, with a pipeline file and a
 * log in a temporary folder. Benches of the whole path measure this process, not its parts.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { tempDir, waitFor } from '../../test/support/env.ts'

const root = resolve(import.meta.dirname, '../..')

export class Sluice implements AsyncDisposable {
  readonly #folder = tempDir('bench')
  readonly #child: ChildProcess
  #said = ''

  /** Starts `sluice run`; `yaml` is the pipeline, whose `${env.…}` come from `env`. */
  constructor(yaml: string, env: Readonly<Record<string, string>>) {
    writeFileSync(join(this.#folder.path, 'pipeline.yaml'), yaml)
    const words = [join(root, 'bin/sluice.ts'), 'run', 'pipeline.yaml', '--plain', '--port', '0']
    this.#child = spawn(process.execPath, words, {
      cwd: this.#folder.path,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...env },
    })
    for (const pipe of [this.#child.stdout!, this.#child.stderr!]) {
      pipe.on('data', (chunk: Buffer) => {
        this.#said = (this.#said + chunk.toString()).slice(-20_000)
      })
    }
  }

  /** Where the pipeline file and, by its relative url, the log are. */
  get folder(): string {
    return this.#folder.path
  }

  /** Polls until `probe` is true; fails at once, with what the process said, when that has ended. */
  async waitFor(
    what: string,
    probe: () => boolean | Promise<boolean>,
    timeoutMs?: number,
  ): Promise<void> {
    const child = this.#child
    const ended = (): boolean => child.exitCode !== null || child.signalCode !== null
    await waitFor(what, () => ended() || probe(), timeoutMs)
    if (!ended()) return
    throw new Error(
      `sluice ended with ${String(child.exitCode ?? child.signalCode)}: ${this.#said}`,
    )
  }

  /** Peak resident memory so far in mebibytes; null where the system does not tell (it is Linux that does). */
  peakRssMb(): number | null {
    try {
      const status = readFileSync(`/proc/${this.#child.pid}/status`, 'utf8')
      const kibibytes = /^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1]
      return kibibytes === undefined ? null : Math.round(Number(kibibytes) / 1024)
    } catch {
      return null
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const child = this.#child
    if (child.exitCode === null && child.signalCode === null) {
      const exit = once(child, 'exit')
      child.kill('SIGTERM')
      const late = setTimeout(() => child.kill('SIGKILL'), 10_000)
      await exit
      clearTimeout(late)
    }
    this.#folder[Symbol.dispose]()
  }
}

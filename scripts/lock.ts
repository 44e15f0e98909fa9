/**
 * npm run lock: writes package-lock.json anew, after a dependency changed.
 *
 * npm leaves out of the lock file those optional packages of other platforms that the registry in
 * use does not have, and `npm ci` then refuses the whole file ("Missing: … from lock file"). They are
 * added here by name and version, with the platform that their names say, so that nobody's `npm ci`
 * asks for them on another one.
 */
import { execFileSync } from 'node:child_process'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'

interface LockEntry {
  version?: string
  dev?: boolean
  optional?: boolean
  cpu?: string[]
  libc?: string[]
  os?: string[]
  optionalDependencies?: Record<string, string>
}
interface Lock {
  packages: Record<string, LockEntry>
}

const systems = ['aix', 'android', 'darwin', 'freebsd', 'linux', 'openharmony', 'sunos', 'win32']
const processors = ['arm64', 'arm', 'ia32', 'loong64', 'ppc64', 'riscv64', 's390x', 'x64']

rmSync('package-lock.json', { force: true })
const npm = ['install', '--package-lock-only', '--omit-lockfile-registry-resolved']
execFileSync('npm', npm, { stdio: 'inherit' })
const lock = JSON.parse(readFileSync('package-lock.json', 'utf8')) as Lock
for (const entry of Object.values(lock.packages)) {
  for (const [name, range] of Object.entries(entry.optionalDependencies ?? {})) {
    lock.packages[`node_modules/${name}`] ??= entryOf(name, range, entry.dev === true)
  }
}
const sorted = Object.entries(lock.packages).sort(([a], [b]) => (a < b ? -1 : 1))
const text = JSON.stringify({ ...lock, packages: Object.fromEntries(sorted) }, null, 2)
writeFileSync('package-lock.json', `${text}\n`)

function entryOf(name: string, range: string, dev: boolean): LockEntry {
  const parts = name.split(/[-/]/)
  const entry: LockEntry = { version: range.replace(/^[~^]/, '') }
  const cpu = processors.filter((processor) => parts.includes(processor))
  if (cpu.length > 0) entry.cpu = cpu
  if (dev) entry.dev = true
  if (parts.includes('gnu')) entry.libc = ['glibc']
  if (parts.includes('musl')) entry.libc = ['musl']
  entry.optional = true
  const os = systems.filter((system) => parts.includes(system))
  if (os.length > 0) entry.os = os
  return entry
}

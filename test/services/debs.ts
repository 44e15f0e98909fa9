/**
 * Programs out of Debian packages of any suite, unpacked into a folder with all they depend on, and run
 * with their own glibc through their own loader. Nothing is installed: the machine's apt sources, its
 * lists and dpkg's status stay untouched, and no rights are needed.
 */
import { execFile } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { once } from './install.ts'

const run = promisify(execFile)
const keyrings = '/usr/share/keyrings'
const outputLimit = 64 * 1024 * 1024

export interface DebianPrograms {
  /** `sid`, `trixie`, `bookworm`: the suite is the only difference to the machine's own apt source. */
  readonly suite: string
  readonly packages: readonly string[]
  /** Dependencies that the wanted programs do without, by name. */
  readonly without: RegExp
}

/** Unpacks the packages and everything they depend on into `folder`, once; throws where apt cannot. */
export async function unpackDebianPrograms(folder: string, what: DebianPrograms): Promise<void> {
  await once(folder, async (into) => {
    const apt = join(into, '.apt')
    const options = await ownApt(apt, what.suite)
    const aptGet = async (...args: readonly string[]): Promise<string> => {
      const how = { cwd: apt, maxBuffer: outputLimit }
      return (await run('apt-get', [...options, ...args], how)).stdout
    }
    await aptGet('update')
    const plan = await aptGet('install', '-s', '--no-install-recommends', ...what.packages)
    const names = plan
      .split('\n')
      .filter((line) => line.startsWith('Inst '))
      .map((line) => line.split(' ')[1]!.replace(/:.*/, ''))
      .filter((name) => !what.without.test(name))
    await aptGet('download', ...names)
    for (const name of readdirSync(apt).filter((entry) => entry.endsWith('.deb'))) {
      await run('dpkg', ['-x', join(apt, name), into])
    }
    rmSync(apt, { recursive: true })
    for (const unused of ['doc', 'man', 'locale', 'info', 'lintian']) {
      rmSync(join(into, 'usr/share', unused), { recursive: true, force: true })
    }
  })
}

/** The command that runs `program` (a path below `folder`) with the libraries it was built for. */
export function debianCommand(folder: string, program: string): readonly string[] {
  const triplet = process.arch === 'arm64' ? 'aarch64-linux-gnu' : 'x86_64-linux-gnu'
  const name = process.arch === 'arm64' ? 'ld-linux-aarch64.so.1' : 'ld-linux-x86-64.so.2'
  const libraries = [join(folder, 'usr/lib', triplet), join(folder, 'lib', triplet)]
  const loader = libraries.map((at) => join(at, name)).find((path) => existsSync(path))
  if (loader === undefined) throw new Error(`no ${name} below ${folder}`)
  return [loader, '--library-path', libraries.join(':'), join(folder, program)]
}

/** The options by which apt-get works in `apt` alone, with one source: the machine's mirror, that suite. */
async function ownApt(apt: string, suite: string): Promise<readonly string[]> {
  const lists = join(apt, 'state/lists')
  const archives = join(apt, 'cache/archives')
  for (const folder of [lists, archives]) mkdirSync(join(folder, 'partial'), { recursive: true })
  writeFileSync(join(apt, 'state/status'), '')
  const sources = join(apt, 'sources.list')
  const source = `deb [signed-by=${keyring()}] ${await mirror()} ${suite} main\n`
  writeFileSync(sources, source)
  const settings = {
    'Dir::Etc::SourceList': sources,
    'Dir::Etc::SourceParts': '/dev/null',
    'Dir::State': join(apt, 'state'),
    'Dir::State::Lists': lists,
    'Dir::State::status': join(apt, 'state/status'),
    'Dir::Cache': join(apt, 'cache'),
    'APT::Sandbox::User': 'root',
    'Acquire::Languages': 'none',
    'Acquire::IndexTargets::deb::DEP-11::DefaultEnabled': 'false',
  }
  return ['-qq', ...Object.entries(settings).flatMap(([name, value]) => ['-o', `${name}=${value}`])]
}

function keyring(): string {
  const name = existsSync(keyrings)
    ? readdirSync(keyrings).find((entry) => entry.startsWith('debian-archive-keyring.'))
    : undefined
  if (name === undefined)
    throw new Error(`no Debian keyring in ${keyrings}: Debian programs cannot be checked`)
  return join(keyrings, name)
}

/** The mirror that this machine's apt uses, since another may be out of reach; Debian's own when it names none. */
async function mirror(): Promise<string> {
  const format = ['--format', '$(REPO_URI)', 'Created-By: Packages', 'Origin: Debian']
  const ask = async (): Promise<string | undefined> => {
    const { stdout } = await run('apt-get', ['indextargets', ...format], { maxBuffer: outputLimit })
    return stdout.split('\n').find((uri) => uri !== '' && !uri.includes('security'))
  }
  const known = await ask()
  if (known !== undefined) return known
  if (process.getuid?.() === 0) await run('apt-get', ['-qq', 'update'], { maxBuffer: outputLimit })
  return (await ask()) ?? 'http://deb.debian.org/debian'
}

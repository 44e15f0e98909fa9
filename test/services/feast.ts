/**
 * The real Feast, unmodified, in a Python environment of its own from PyPI: what judges whether a feature
 * store that Sluice wrote can be read.
 *
 *   const feast = await installFeast()
 *   const [row] = await feast.run({ repository, read: [{ features: ['orders:n'], entities: [{ user_id: 7 }] }] })
 *
 * One call is one Python process, which takes some seconds only to import Feast: ask for much at once.
 */
import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { once, servicesFolder } from './install.ts'

const execute = promisify(execFile)
export const feastVersion = '0.67.0'
const script = fileURLToPath(new URL('./feast-driver.py', import.meta.url))

export interface FeastField {
  readonly name: string
  /** As in Python: `Int64`, `Array(String)`. */
  readonly type: string
}

export interface FeastRepository {
  readonly project: string
  /** The section of feature_store.yaml. */
  readonly onlineStore: Readonly<Record<string, unknown>>
  readonly views: readonly {
    readonly name: string
    /** Join keys with their `ValueType`: `INT64`. */
    readonly entities: readonly { readonly name: string; readonly type: string }[]
    readonly features: readonly FeastField[]
    /** Features of the versions before this one, from version 0 on: `view@v1:feature` then reads one of them. */
    readonly earlier?: readonly (readonly FeastField[])[]
  }[]
}

/** As JSON, with what JSON has not: {"hex"}, {"decimal"}, {"uuid"}, {"time"} (ISO), {"float"} (Python's hex). */
export type FeastValue = unknown

export interface FeastRequest {
  readonly repository: FeastRepository
  /** Rows that Feast itself writes. */
  readonly write?: readonly {
    readonly view: string
    /** ISO. */
    readonly time: string
    readonly entities: Readonly<Record<string, FeastValue>>
    readonly values: Readonly<Record<string, FeastValue>>
  }[]
  readonly read?: readonly {
    /** `view:feature`. */
    readonly features: readonly string[]
    readonly entities: readonly Readonly<Record<string, FeastValue>>[]
  }[]
}

export interface Feast {
  readonly python: string
  /** What each read gives: one object an entity, by feature. */
  run(request: FeastRequest): Promise<readonly (readonly Readonly<Record<string, FeastValue>>[])[]>
}

/** Installs it once; throws where PyPI or Python cannot be had. */
export async function installFeast(): Promise<Feast> {
  const folder = join(servicesFolder(), `feast-${feastVersion}`)
  await once(folder, async (into) => {
    await execute('python3', ['-m', 'venv', into])
    const packages = [`feast[redis,postgres]==${feastVersion}`]
    await execute(join(into, 'bin/python'), ['-m', 'pip', 'install', '-q', ...packages])
  })
  const python = join(folder, 'bin/python')
  return { python, run: (request) => run(python, request) }
}

async function run(
  python: string,
  request: FeastRequest,
): Promise<readonly (readonly Readonly<Record<string, FeastValue>>[])[]> {
  const dir = mkdtempSync(join(tmpdir(), 'sluice-feast-'))
  try {
    writeFileSync(join(dir, 'request.json'), JSON.stringify(request))
    const env = { ...process.env, FEAST_USAGE: 'False', PYTHONWARNINGS: 'ignore' }
    await execute(python, [script, dir], { env, maxBuffer: 1 << 28, cwd: dir })
    return JSON.parse(
      readFileSync(join(dir, 'answer.json'), 'utf8'),
    ) as readonly (readonly Readonly<Record<string, FeastValue>>[])[]
  } finally {
    rmSync(dir, { recursive: true, force: true })
  }
}

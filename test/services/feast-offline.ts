/** What the unmodified Feast SDK, pyarrow and pandas make of an offline log. One Python process a call. */
import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { installFeast } from './feast.ts'

const execute = promisify(execFile)
const script = fileURLToPath(new URL('./feast-offline.py', import.meta.url))

export interface OfflineRequest {
  /** Folders of views, or `bucket/prefix` of an S3 store at `endpoint` (host:port). */
  readonly tables: readonly {
    readonly path: string
    readonly endpoint?: string
    readonly accessKeyId?: string
    readonly secretAccessKey?: string
  }[]
  /** Point-in-time joins of views whose entity is `user_id`. */
  readonly joins: readonly {
    readonly path: string
    readonly ttlDays: number
    /** Integer features with their Feast types: `{ score: 'Int64' }`. */
    readonly features: Readonly<Record<string, string>>
    /** `at`: ISO. */
    readonly entities: readonly { readonly user_id: number; readonly at: string }[]
  }[]
}

export interface OfflineAnswer {
  readonly tables: readonly {
    /** Arrow's names of the types by column. */
    readonly types: Readonly<Record<string, string>>
    /** In the order of offsets; `int:1`, `decimal:1.50`, `time:…`, `bytes:00ff`, `float:0.5`. */
    readonly rows: readonly Readonly<Record<string, unknown>>[]
    readonly pandasRows: number
  }[]
  /** Of each entity its features. */
  readonly joins: readonly (readonly (readonly (number | null)[])[])[]
}

/** Throws where Feast cannot be had. */
export async function readOffline(request: OfflineRequest): Promise<OfflineAnswer> {
  const { python } = await installFeast()
  const dir = mkdtempSync(join(tmpdir(), 'sluice-offline-'))
  try {
    writeFileSync(join(dir, 'request.json'), JSON.stringify(request))
    const env = { ...process.env, FEAST_USAGE: 'False', PYTHONWARNINGS: 'ignore' }
    await execute(python, [script, dir], { env, cwd: dir, maxBuffer: 1 << 26 })
    return JSON.parse(readFileSync(join(dir, 'answer.json'), 'utf8')) as OfflineAnswer
  } finally {
    rmSync(dir, { recursive: true, force: true })
  }
}

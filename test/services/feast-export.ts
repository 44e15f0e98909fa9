/**
 * A Feast repository that `sluice features export` wrote, in the hands of the unmodified SDK: `feast apply`,
 * then online and historical features. One Python process a call.
 */
import { execFile } from 'node:child_process'
import { writeFileSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { installFeast } from './feast.ts'

const execute = promisify(execFile)
const script = fileURLToPath(new URL('./feast-export.py', import.meta.url))

export interface ExportRead {
  /** `view:feature`. */
  readonly features: readonly string[]
  readonly entities: readonly Readonly<Record<string, unknown>>[]
  /** Of each entity the time as of which history is asked for, ISO; no history is read when absent. */
  readonly times?: readonly string[]
}

export interface ExportAnswer {
  /** One object an entity, by feature; values as text where JSON has no type for them. */
  readonly online: readonly Readonly<Record<string, unknown>>[]
  readonly history: readonly Readonly<Record<string, unknown>>[]
}

/** Applies the repository in `folder` and reads from it; an answer a read. Throws what Feast says. */
export async function applyAndRead(
  folder: string,
  reads: readonly ExportRead[],
  variables: Readonly<Record<string, string>> = {},
): Promise<readonly ExportAnswer[]> {
  const { python } = await installFeast()
  const env = { ...process.env, FEAST_USAGE: 'False', PYTHONWARNINGS: 'ignore', ...variables }
  const options = { env, cwd: folder, maxBuffer: 1 << 26 }
  writeFileSync(join(folder, 'request.json'), JSON.stringify(reads))
  await execute(python, [script, folder], options)
  return JSON.parse(readFileSync(join(folder, 'answer.json'), 'utf8')) as readonly ExportAnswer[]
}

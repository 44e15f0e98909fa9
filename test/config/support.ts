/** Loading a pipeline from text instead of a disk, for the tests of config/. */
import { loadPipeline, type LoadOptions, type LoadResult } from '../../config/load.ts'
import type { ConfigProblem } from '../../config/problem.ts'
import type { ReadFile } from '../../config/read-file.ts'
import type { Secret } from '../../core/connector/secret.ts'
import { toyRegisters } from './toy.ts'

export interface Files {
  readonly [path: string]: string | Uint8Array
}

export function filesOf(files: Files): ReadFile {
  return (path, bytesMax) => {
    const found = Object.entries(files).find(([name]) => path === name || path.endsWith(`/${name}`))
    if (found === undefined) return Promise.resolve({ kind: 'missing' })
    const bytes = typeof found[1] === 'string' ? new TextEncoder().encode(found[1]) : found[1]
    return Promise.resolve(
      bytes.length > bytesMax ? { kind: 'too_large' } : { kind: 'bytes', bytes },
    )
  }
}

export function load(
  yaml: string | Uint8Array,
  options: Partial<LoadOptions> & { readonly files?: Files } = {},
): Promise<LoadResult> {
  const { files = {}, ...rest } = options
  return loadPipeline('shop.yaml', {
    env: {},
    registers: toyRegisters,
    readFile: filesOf({ 'shop.yaml': yaml, ...files }),
    ...rest,
  })
}

/** `7:5 config.unknown_key sources.shop.tabels` */
export function brief(problems: readonly ConfigProblem[]): readonly string[] {
  return problems.map(({ line, col, code, path, severity }) =>
    [`${line}:${col}`, severity === 'warning' ? 'warning' : '', code, path]
      .filter(Boolean)
      .join(' '),
  )
}

export const good = `version: 1
name: shop
log: { url: file://./.sluice/log }
sources:
  shop:
    type: toy
    url: toy://user:hunter2@host
    tables: [public.orders, public.customers]
transforms:
  revenue:
    sql: |
      SELECT region, COUNT(*) AS n
      FROM orders GROUP BY region
sinks:
  box: { type: toybox, url: https://example.com, from: [shop.*, revenue] }
`

/** The parsed config of the first source or sink. */
export function configOf({ pipeline }: LoadResult, part: 'sources' | 'sinks'): ToyConfig {
  const entry = pipeline?.[part][0]
  if (entry === undefined) throw new Error('there is no pipeline')
  return entry.config as ToyConfig
}

/** What the tests look at in the configs of toy.ts. */
export interface ToyConfig {
  readonly url: Secret
  readonly port: number
  readonly allow_http: boolean
}

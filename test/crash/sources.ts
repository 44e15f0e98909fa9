/** The sources that a crash run can have. */
import { mysqlSource } from './mysql-source.ts'
import { postgresSource } from './postgres-source.ts'
import type { CrashSource, SourceKind } from './source.ts'

export function startSource(
  kind: SourceKind,
  settings?: Readonly<Record<string, string>>,
): Promise<CrashSource> {
  return kind === 'postgres' ? postgresSource(settings) : mysqlSource(kind, settings)
}

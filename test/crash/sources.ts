/** The sources that a crash run can have. */
import { kafkaSource } from './kafka-source.ts'
import { mysqlSource } from './mysql-source.ts'
import { postgresSource } from './postgres-source.ts'
import type { CrashSource, SourceKind } from './source.ts'

export function startSource(
  kind: SourceKind,
  settings?: Readonly<Record<string, string>>,
): Promise<CrashSource> {
  if (kind === 'kafka') return kafkaSource(settings)
  return kind === 'postgres' ? postgresSource(settings) : mysqlSource(kind, settings)
}

/** The sources that a crash run can have. */
import { kafkaSource } from './kafka-source.ts'
import { mysqlSource } from './mysql-source.ts'
import { postgresSource } from './postgres-source.ts'
import type { CrashSource, SourceKind, SourceOptions } from './source.ts'

export function startSource(
  kind: SourceKind,
  { settings, cuts }: SourceOptions,
): Promise<CrashSource> {
  if (kind === 'kafka') return kafkaSource(settings, cuts)
  return kind === 'postgres' ? postgresSource(settings) : mysqlSource(kind, settings)
}

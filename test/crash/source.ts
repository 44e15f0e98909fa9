/**
 * What a crash run asks of a source: a real server with tables and writers on it, the source's part of
 * the pipeline file, and the truth in the end.
 */
import type { Random } from '../support/random.ts'
import type { Bag } from './judge.ts'

export type SourceKind = 'postgres' | 'mysql' | 'mariadb' | 'kafka'

export interface SourceOptions {
  /** Settings of its server. */
  readonly settings?: Readonly<Record<string, string>>
  /** Whether it stands behind a proxy that can cut connections. */
  readonly cuts?: boolean
}

export interface CrashColumn {
  readonly name: string
  /** How ClickHouse prints it, where that is not the exact text. */
  readonly kind: 'text' | 'decimal' | 'timestamp' | 'timestamptz'
  /** Digits of fraction of a decimal; 2 when absent. */
  readonly scale?: number
}

export interface CrashTable {
  readonly name: string
  readonly columns: readonly CrashColumn[]
  /** Whether ClickHouse has it as a live view. */
  readonly live: boolean
}

export interface CrashSource extends AsyncDisposable {
  /** Its name in the pipeline file, and what stands between it and a table in a topic: `pg`, `public`. */
  readonly name: string
  readonly schema: string
  /** Its entry in the pipeline file; `${env.SOURCE_URL}` is its address. */
  readonly yaml: string
  readonly url: string
  readonly tables: readonly CrashTable[]
  createTables(): Promise<void>
  /** Kills the server with SIGKILL under its writers, and starts it again; absent where writers do not live through it. */
  crash?(): Promise<void>
  /** Cuts Sluice's connections to it, a few times; absent where it stands behind no proxy. */
  cut?(random: Random): Promise<void>
  /** Runs transactions until the signal is aborted; returns how many rows it wrote. */
  write(seed: number, signal: AbortSignal): Promise<number>
  /**
   * Writes a last row; the function returned says whether everything up to it is acknowledged, given
   * the position in the log.
   */
  end(): Promise<(position: string | null) => Promise<boolean>>
  /** A table as exact texts, as core/record/value.ts prints them. */
  rows(table: CrashTable): Promise<Bag>
  /** Rows of a table without key that came before others of the source that they come after, given all in the log's order. */
  disordered?(table: CrashTable, rows: Bag): number
  /** [kind, count, sum, max] of the events, as texts. */
  totals(): Promise<Bag>
}

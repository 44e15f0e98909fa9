/**
 * What a crash run asks of a source: a real server with tables and writers on it, the source's part of
 * the pipeline file, and the truth in the end.
 */
import type { Bag } from './judge.ts'

export type SourceKind = 'postgres' | 'mysql' | 'mariadb' | 'kafka'

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
  /** Runs transactions until the signal is aborted; returns how many rows it wrote. */
  write(seed: number, signal: AbortSignal): Promise<number>
  /**
   * Writes a last row; the function returned says whether everything up to it is acknowledged, given
   * the position in the log.
   */
  end(): Promise<(position: string | null) => Promise<boolean>>
  /** A table as exact texts, as core/record/value.ts prints them. */
  rows(table: CrashTable): Promise<Bag>
  /** [kind, count, sum, max] of the events, as texts. */
  totals(): Promise<Bag>
}

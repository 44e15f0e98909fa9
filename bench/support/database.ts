/**
 * Databases as the benches of the whole path see them: what is asked of one is asked of the others, in
 * SQL that all of them read, so that their numbers mean the same. postgres-database.ts and
 * mysql-database.ts say what differs.
 */

/** Where the tables are: Postgres's schema, MySQL's database, and the first part of ClickHouse's names. */
export const schema = 'bench'

export interface Database {
  /** As results name it. */
  readonly name: 'Postgres' | 'MySQL'
  /** The source's `type` in a pipeline file. */
  readonly type: 'postgres' | 'mysql'
  /** The type of a moment in microseconds. */
  readonly moment: string
  /** A moment as SQL, of the seconds since 1970 as SQL. */
  momentOf(seconds: string): string
  /** 32 hex digits as SQL, of a text as SQL. */
  hashOf(text: string): string
  start(): Promise<DatabaseServer>
}

/** A server of its own, with memory and room in its logs: nothing is written back while a clock runs. */
export interface DatabaseServer extends AsyncDisposable {
  readonly url: string
  /** Runs one or several statements, all calls in one session, where names without a schema are of `schema`. */
  readonly query: Query
  /** What `query` does, in a session of its own. */
  readonly session: () => Promise<Query>
  /**
   * Runs `statement`, a transaction that fills `table`, and answers the milliseconds from its answer until
   * a reader in Sluice's place, which stores nothing and looks only for the transaction's end, has been
   * sent that.
   */
  sentAfterMs(statement: string, table: string): Promise<number>
}
export type Query = (sql: string) => Promise<unknown>

/**
 * Which streamed changes the first copy has seen already, for a copy that was read under several
 * database snapshots. The change that transaction X made to key k is left out exactly when X is
 * visible in the snapshot that read k's range. docs/decisions/0003-postgres-snapshot.md has the proof.
 */
import { SluiceError } from '../../core/errors/error.ts'
import type { KeyCompare } from './key-compare.ts'
import { parseLsn } from './lsn.ts'
import type { RowFilter } from './row-filter.ts'
import { isComplete } from './snapshot-progress.ts'
import type { Generation, KeyRange, SnapshotProgress } from './snapshot-progress.ts'

interface FilteredTable {
  readonly ranges: readonly KeyRange[]
  readonly keyColumns: number
  /** Null for a table that was read under one generation: then no key is looked at. */
  readonly compare: KeyCompare | null
}

/** Visibility under one database snapshot, of 32-bit transaction ids. */
export class Visibility {
  readonly #xmin: bigint
  readonly #xmax: bigint
  readonly #inProgress: ReadonlySet<bigint>
  constructor(generation: Pick<Generation, 'xmin' | 'xmax' | 'xip'>) {
    this.#xmin = BigInt(generation.xmin)
    this.#xmax = BigInt(generation.xmax)
    this.#inProgress = new Set(generation.xip.map(BigInt))
  }

  /**
   * Whether the snapshot shows what committed transaction `xid` did. The stream sends the low 32 bits;
   * no two transactions that matter are 2^31 apart, the server itself relies on that, so the id meant is
   * the one nearest to the snapshot.
   */
  shows(xid: number): boolean {
    const full = this.#xmax + BigInt.asIntN(32, BigInt(xid) - this.#xmax)
    if (full < this.#xmin) return true
    return full < this.#xmax && !this.#inProgress.has(full)
  }
}

/**
 * What a table holds cannot be put right by leaving changes out: it has to be copied anew. Thrown out
 * of the stream, and caught where the source is read (connector.ts).
 */
export class CopyAgain extends SluiceError {
  readonly tableOid: number
  constructor(tableOid: number, why: string) {
    super('source.postgres.table_changed', {
      message: `A table was ${why} between two parts of its first copy.`,
    })
    this.tableOid = tableOid
  }
}

export class SnapshotFilter implements RowFilter {
  readonly until: bigint
  readonly #generations: readonly Visibility[]
  readonly #tables: ReadonlyMap<number, FilteredTable>
  /** Per generation, for the transaction asked about last: changes come transaction by transaction. */
  #shown: readonly boolean[] = []
  #xid = -1

  /** `compares`: by table oid, for every table that was read under more than one generation. */
  constructor(progress: SnapshotProgress, compares: ReadonlyMap<number, KeyCompare>) {
    this.until = filterEnd(progress)
    this.#generations = progress.generations.map((generation) => new Visibility(generation))
    this.#tables = new Map(
      Object.values(progress.tables)
        .filter(isComplete)
        .map(({ oid, key, ranges }) => [
          oid,
          { ranges, keyColumns: key.length, compare: compares.get(oid) ?? null },
        ]),
    )
  }

  drops(tableOid: number, xid: number, key: readonly string[]): boolean {
    const table = this.#tables.get(tableOid)
    if (table === undefined) return false
    const shown = this.#shownBy(table, xid)
    if (shown !== null) return shown
    // The ranges are of the key that the table had when it was copied.
    if (key.length !== table.keyColumns) throw new CopyAgain(tableOid, 'given another key')
    return this.#shown[rangeOf(table, key).generation]!
  }

  /** A truncate between two generations took away rows of the first and none of the second. */
  dropsTruncate(tableOid: number, xid: number): boolean {
    const table = this.#tables.get(tableOid)
    if (table === undefined) return false
    const shown = this.#shownBy(table, xid)
    if (shown === null) throw new CopyAgain(tableOid, 'truncated')
    return shown
  }

  orphan(tableOid: number): never {
    throw new CopyAgain(tableOid, 'given other keys')
  }

  /** Whether all ranges of the table show the transaction, or none; null when only some do. */
  #shownBy({ ranges }: FilteredTable, xid: number): boolean | null {
    if (xid !== this.#xid) {
      this.#shown = this.#generations.map((generation) => generation.shows(xid))
      this.#xid = xid
    }
    const first = this.#shown[ranges[0]!.generation]!
    return ranges.every((range) => this.#shown[range.generation] === first) ? first : null
  }
}

/** The range that key lies in: the first that does not end before it. */
function rangeOf({ ranges, compare }: FilteredTable, key: readonly string[]): KeyRange {
  for (const range of ranges) {
    if (range.upTo === null || compare!(key, range.upTo) <= 0) return range
  }
  return ranges.at(-1)!
}

/** What commits at or after this LSN is in no generation. */
export function filterEnd(progress: SnapshotProgress): bigint {
  return progress.generations.reduce((end, { lsn }) => {
    const at = parseLsn(lsn)
    return at > end ? at : end
  }, 0n)
}

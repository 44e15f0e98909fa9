/**
 * The join of a snapshot that was read in several parts with the stream: a change is left out where
 * the part of the snapshot that read its row saw it already. Not used once the stream has passed the
 * last part; none of it costs anything then.
 */
export interface RowFilter {
  /** A transaction that commits at or after this LSN is in no part of the snapshot. */
  readonly until: bigint
  /**
   * Whether the change that transaction `xid` (top-level, 32 bits, unsigned) made to the row with
   * this key is in the snapshot. `key`: the texts of the key columns in key order, as the server
   * prints them. A change of the key is asked about twice, once for the old and once for the new one.
   */
  drops(tableOid: number, xid: number, key: readonly string[]): boolean
  /** Whether every part of the snapshot of this table saw the truncate that transaction `xid` made. */
  dropsTruncate(tableOid: number, xid: number): boolean
  /**
   * A change of the key of which the old row is in no part of the snapshot, and the new one, kept, does
   * not carry its unchanged large values: they are nowhere to be had. Throws.
   */
  orphan(tableOid: number): never
}

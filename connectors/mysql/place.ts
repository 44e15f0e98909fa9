/** Where the stream is. Only ever between two transactions. */
import type { Flavour } from './types.ts'

export interface FilePlace {
  readonly file: string
  readonly offset: number
}

export interface ServerPlace extends FilePlace {
  readonly server: string
}

export interface StreamPlace extends FilePlace {
  readonly flavour: Flavour
  /** All transactions up to here: a MySQL GTID set, or MariaDB's last GTID of each domain; null where GTIDs are off. */
  readonly gtids: string | null
  /** The server whose files these are (server_uuid, or MariaDB's server id), and the end of the last transaction in them. */
  readonly server: string
  readonly file: string
  readonly offset: number
  /** XA transactions that are prepared and neither committed nor rolled back up to here, oldest first. */
  readonly prepared?: readonly PreparedXa[]
  /**
   * Ahead of the place: transactions that were prepared before the source began to read have ended by
   * here, so that the copies show what they did; absent once it is passed.
   */
  readonly xaEnded?: ServerPlace
}

/** Its rows come with the prepare, and count from the commit on: until then they have to be read again after a restart. */
export interface PreparedXa {
  /** gtrid and bqual in hexadecimal, and the format: `6162,63,1`. */
  readonly xid: string
  /** Where it begins: the stream is read again from here. */
  readonly gtids: string | null
  readonly server: string
  readonly file: string
  readonly offset: number
}

/** From where to ask the server for the binlog, so that nothing after `place` is missing. */
export function readFrom(place: StreamPlace): StreamPlace {
  const first = place.prepared?.[0]
  return first === undefined
    ? place
    : {
        flavour: place.flavour,
        gtids: first.gtids,
        server: first.server,
        file: first.file,
        offset: first.offset,
      }
}

/** Negative, zero or positive; null when the files are not of one series (`binlog.000012`). */
export function comparePlaces(a: FilePlace, b: FilePlace): number | null {
  if (a.file === b.file) return a.offset - b.offset
  const [left, right] = [seriesOf(a.file), seriesOf(b.file)]
  if (left === null || right === null || left.base !== right.base) return null
  return left.number - right.number
}

function seriesOf(file: string): { readonly base: string; readonly number: number } | null {
  const match = /^(.*)\.(\d+)$/.exec(file)
  return match === null ? null : { base: match[1]!, number: Number(match[2]) }
}

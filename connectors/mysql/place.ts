/** Where the stream is. Only ever between two transactions. */
import type { Flavour } from './types.ts'

export interface StreamPlace {
  readonly flavour: Flavour
  /** All transactions up to here: a MySQL GTID set, or MariaDB's last GTID of each domain; null where GTIDs are off. */
  readonly gtids: string | null
  /** The server whose files these are (server_uuid, or MariaDB's server id), and the end of the last transaction in them. */
  readonly server: string
  readonly file: string
  readonly offset: number
}

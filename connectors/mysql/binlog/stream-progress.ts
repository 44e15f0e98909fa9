/**
 * How far the stream is: the file and the place in it, the transactions by their GTIDs, and the XA
 * transactions that are only prepared. Whatever moves the place is here, so that a place is always
 * between two transactions, and never goes back.
 *
 * After a restart with prepared XA transactions the stream is read again from before the oldest of them
 * (`readFrom`): until it is back where it was, what comes is known and the place stands still.
 */
import { EventType } from './events.ts'
import { GtidSet } from './gtid-set.ts'
import { formatMariadbGtid, MariadbGtids, type MariadbGtid } from './mariadb-gtid.ts'
import { comparePlaces, type PreparedXa, type ServerPlace, type StreamPlace } from '../place.ts'
import type { Flavour } from '../types.ts'

export class StreamProgress {
  readonly #flavour: Flavour
  readonly #from: StreamPlace
  /** Of these one is set: MySQL with GTIDs, or MariaDB. */
  readonly #set: GtidSet | null
  readonly #domains: MariadbGtids | null
  /** Domains of which what comes is known, up to and with this GTID. */
  readonly #passing = new Map<number, MariadbGtid>()
  #isBack: boolean

  /** The end of the last event, in the file that is read now. */
  #fileNow = ''
  #offsetNow = 0
  /** The place: everything before it has been handed to the decoder's output. */
  #file: string
  #offset: number
  readonly #prepared = new Map<string, PreparedXa>()
  readonly #xaEnded: ServerPlace | null
  /** Counts the changes of the place. */
  moves = 0

  /** Of the open transaction. */
  #source = ''
  #number = 0
  #gtid: MariadbGtid | null = null
  #start = 0

  /** `from.server` is the one whose files are read. */
  constructor(from: StreamPlace) {
    this.#flavour = from.flavour
    this.#from = from
    this.#file = from.file
    this.#offset = from.offset
    const { gtids } = from
    this.#set = gtids !== null && from.flavour === 'mysql' ? GtidSet.parse(gtids) : null
    this.#domains = gtids !== null && from.flavour === 'mariadb' ? MariadbGtids.parse(gtids) : null
    for (const xa of from.prepared ?? []) this.#prepared.set(xa.xid, xa)
    this.#xaEnded = from.xaEnded ?? null
    const oldest = from.prepared?.[0]
    // The dump command has four bytes for an offset: beyond, the file is read again from its start.
    const isNamed = from.gtids !== null || from.offset <= offsetMax
    this.#isBack = oldest === undefined && isNamed
    if (oldest !== undefined && this.#domains !== null) {
      const begun = MariadbGtids.parse(oldest.gtids ?? '')
      for (const last of this.#domains.domains()) {
        const first = begun.get(last.domain)
        if (first === null || formatMariadbGtid(first) !== formatMariadbGtid(last)) {
          this.#passing.set(last.domain, last)
        }
      }
    }
  }

  get usesGtids(): boolean {
    return this.#set !== null || this.#domains !== null
  }

  /** What comes was read before; among it may be prepared XA transactions, which are not in the log. */
  get isReadAgain(): boolean {
    return !this.#isBack
  }

  place(): StreamPlace {
    const place = {
      flavour: this.#flavour,
      gtids: this.#set?.toString() ?? this.#domains?.toString() ?? null,
      server: this.#from.server,
      file: this.#file,
      offset: this.#offset,
    }
    return {
      ...place,
      ...(this.#prepared.size === 0 ? {} : { prepared: [...this.#prepared.values()] }),
      ...(this.#xaEnded === null || !this.isBeforeXaEnd ? {} : { xaEnded: this.#xaEnded }),
    }
  }

  /** The stream goes on in this file. */
  rotate(file: string, offset: number): void {
    this.#fileNow = file
    this.#offsetNow = offset
  }

  /**
   * An event of so many bytes came, whose header names `endPlace`: the low 32 bits of its end, or 0
   * where the server does not say it (MariaDB 11.4 and on, within transactions). The format event that
   * opens a stream in the middle of a file has 0 too, and is no event of that place.
   */
  advance(type: number, bytes: number, endPlace: number): void {
    if (endPlace === 0) {
      if (type !== EventType.formatDescription) this.#offsetNow += bytes
      return
    }
    const high = Math.floor(this.#offsetNow / two32) * two32
    const end = high + endPlace
    // Files grow beyond 4 GiB with one transaction: the low bits begin anew.
    this.#offsetNow = end < this.#offsetNow && this.#offsetNow - end > two31 ? end + two32 : end
  }

  /** Outside a transaction: everything up to the last event is done with. */
  reached(): void {
    if (this.#fileNow === '') return
    const now = { file: this.#fileNow, offset: this.#offsetNow }
    const place = { file: this.#file, offset: this.#offset }
    // On another server than before, only a transaction that is not known says that it is back.
    if (!this.#isBack && this.#from.file === '') return
    // Files of another series (log_bin was renamed) come after; so does whatever there is on a new server.
    const order = comparePlaces(now, place) ?? 1
    if (order < 0) return
    this.#isBack = true
    if (order === 0) return
    this.#file = this.#fileNow
    this.#offset = this.#offsetNow
    this.moves++
  }

  /** A transaction begins with the event of `bytes` that `advance` was told of; whether it is known already. */
  beginMysql(source: string, number: number, bytes: number): boolean {
    this.#begin(bytes)
    this.#source = source
    this.#number = number
    if (this.#set === null) return this.#isKnownByFile()
    if (number > 0 && this.#set.has(source, number)) return true
    this.#isBack = true
    return false
  }

  beginMariadb(gtid: MariadbGtid, bytes: number): boolean {
    this.#begin(bytes)
    this.#gtid = gtid
    if (this.#domains === null) return this.#isKnownByFile()
    const last = this.#passing.get(gtid.domain)
    if (last === undefined) {
      this.#isBack = true
      return false
    }
    if (formatMariadbGtid(last) === formatMariadbGtid(gtid)) this.#passing.delete(gtid.domain)
    return true
  }

  /** A transaction without a GTID. */
  beginPlain(bytes: number): boolean {
    this.#begin(bytes)
    return this.#isKnownByFile()
  }

  #begin(bytes: number): void {
    this.#source = ''
    this.#number = 0
    this.#gtid = null
    this.#start = Math.max(0, this.#offsetNow - bytes)
  }

  #isKnownByFile(): boolean {
    if (this.#isBack) return false
    const start = { file: this.#fileNow, offset: this.#start }
    const order = comparePlaces(start, this.#from)
    if (order !== null && order < 0) return true
    this.#isBack = true
    return false
  }

  /** Never used for two transactions: its GTID, or where it begins. */
  transactionId(): string {
    if (this.#gtid !== null) return formatMariadbGtid(this.#gtid)
    if (this.#number > 0) return `${this.#source}:${this.#number}`
    return `${this.#from.server}/${this.#fileNow}:${this.#start}`
  }

  /** The open transaction ended. */
  finish(): void {
    if (this.#set !== null && this.#number > 0) {
      this.#set.add(this.#source, this.#number)
      this.moves++
    }
    if (this.#domains !== null && this.#gtid !== null && this.#isBack) {
      this.#domains.set(this.#gtid)
      this.moves++
    }
    this.reached()
  }

  /** XA transactions whose prepare was not read end here, and the copies show what they did. */
  get isBeforeXaEnd(): boolean {
    if (this.#xaEnded === null || this.#xaEnded.server !== this.#from.server) return false
    if (this.#fileNow === '') return true
    const now = { file: this.#fileNow, offset: this.#offsetNow }
    return (comparePlaces(now, this.#xaEnded) ?? 1) <= 0
  }

  /** Whether an XA transaction is prepared here, or was before the restart. */
  isPrepared(xid: string): boolean {
    return this.#prepared.has(xid)
  }

  /** The open transaction is about to end as a prepared one. */
  prepare(xid: string): void {
    // Read again after a restart: where it began is known.
    if (this.#prepared.has(xid)) return
    this.#prepared.set(xid, {
      xid,
      gtids: this.#set?.toString() ?? this.#domains?.toString() ?? null,
      server: this.#from.server,
      file: this.#file,
      offset: this.#offset,
    })
    this.moves++
  }

  resolve(xid: string): void {
    if (this.#prepared.delete(xid)) this.moves++
  }
}

const offsetMax = 0xffff_ffff
const two31 = 2 ** 31
const two32 = 2 ** 32

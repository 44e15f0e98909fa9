/**
 * MariaDB's place in its replication domains: the last transaction of each domain.
 *
 *   text = [ gtid { ',' gtid } ]       gtid = domain '-' server '-' number
 *
 * A domain is one stream: what comes after its last GTID has not been read. Numbers of one domain rise,
 * which the server ensures under gtid_strict_mode and otherwise leaves to its users; the order of two
 * places rests on it. MariaDB documentation, "Global Transaction ID".
 */
import { SluiceError } from '../../../core/errors/error.ts'

export interface MariadbGtid {
  readonly domain: number
  readonly server: number
  readonly number: number
}

export class MariadbGtids {
  readonly #last = new Map<number, MariadbGtid>()
  #text: string | null = null

  static parse(text: string): MariadbGtids {
    const gtids = new MariadbGtids()
    for (const part of text.split(',')) {
      if (part.trim() === '' && text.trim() === '') continue
      const match = /^\s*(\d{1,10})-(\d{1,10})-(\d{1,16})\s*$/.exec(part)
      const number = Number(match?.[3])
      if (match === null || !Number.isSafeInteger(number)) {
        throw new SluiceError('source.mysql.protocol', {
          message: 'A list of GTIDs is not written as MariaDB writes one.',
        })
      }
      gtids.set({ domain: Number(match[1]), server: Number(match[2]), number })
    }
    return gtids
  }

  /** The last of its domain from now on. */
  set(gtid: MariadbGtid): void {
    this.#last.set(gtid.domain, gtid)
    this.#text = null
  }

  get(domain: number): MariadbGtid | null {
    return this.#last.get(domain) ?? null
  }

  domains(): IterableIterator<MariadbGtid> {
    return this.#last.values()
  }

  clone(): MariadbGtids {
    const gtids = new MariadbGtids()
    for (const gtid of this.#last.values()) gtids.set(gtid)
    return gtids
  }

  /** Whether each domain of `other` is as far here, or farther. */
  contains(other: MariadbGtids): boolean {
    for (const theirs of other.#last.values()) {
      const own = this.#last.get(theirs.domain)
      if (own === undefined || own.number < theirs.number) return false
    }
    return true
  }

  /** By domain; equal places have equal texts. */
  toString(): string {
    this.#text ??= [...this.#last.values()]
      .toSorted((a, b) => a.domain - b.domain)
      .map(formatMariadbGtid)
      .join(',')
    return this.#text
  }
}

export function formatMariadbGtid({ domain, server, number }: MariadbGtid): string {
  return `${domain}-${server}-${number}`
}

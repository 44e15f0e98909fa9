/**
 * Names of the log's objects (the layout of the whole log):
 *
 *   format.json                          version and the result of the race probe
 *   chains/<chain>/c/<seq, 20 digits>    commits: the only commit point
 *   chains/<chain>/snap/<seq>            what the commits up to and with <seq> add up to
 *   chains/<chain>/hint                  newest snapshot, and the floor of retention
 *   seg/<hh>/<chain>/<epoch>-<ulid>      large blocks and states, written before the commit naming them
 *
 * <hh> spreads the segments over 256 prefixes, because S3 limits requests per prefix.
 */
import { createHash } from 'node:crypto'
import { SluiceError } from '../errors/error.ts'

export const formatKey = 'format.json'
/** File systems take 255 bytes for a name. */
const nameBytesMax = 200

export function commitKey(chain: string, seq: number): string {
  return `${chainFolder(chain)}/c/${digits(seq)}`
}

export function snapshotPrefix(chain: string): string {
  return `${chainFolder(chain)}/snap/`
}

export function snapshotKey(chain: string, seq: number): string {
  return snapshotPrefix(chain) + digits(seq)
}

export function hintKey(chain: string): string {
  return `${chainFolder(chain)}/hint`
}

export function segmentKey(chain: string, epoch: number, id: string): string {
  const spread = createHash('sha256').update(`${chain}/${id}`).digest('hex').slice(0, 2)
  return `seg/${spread}/${segmentOf(chain)}/${epoch}-${id}`
}

/** The number at the end of a commit's or snapshot's key. */
export function seqOf(key: string): number {
  return Number(key.slice(key.lastIndexOf('/') + 1))
}

function chainFolder(chain: string): string {
  return `chains/${segmentOf(chain)}`
}

function digits(seq: number): string {
  return String(seq).padStart(20, '0')
}

/** A chain's name as one path segment that every store and file system takes. */
function segmentOf(chain: string): string {
  const escaped = encodeURIComponent(chain).replace(/[!'()*]|^\.+$/g, (found) =>
    found.replaceAll(/./g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`),
  )
  if (escaped.length > 0 && escaped.length <= nameBytesMax) return escaped
  throw new SluiceError('log.name_invalid', {
    message: `chain ${JSON.stringify(chain.slice(0, 40))} has a name of ${escaped.length} bytes, 1 to ${nameBytesMax} are possible`,
  })
}

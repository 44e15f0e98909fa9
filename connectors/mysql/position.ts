/**
 * Positions of this source: how far the stream is, how far the first copy of the tables is, and what
 * else the source has to remember.
 *
 *   position = JSON { …StreamPlace, "snapshot"?: SnapshotProgress, …extras }
 */
import type { SnapshotProgress } from '../../core/connector/snapshot/progress.ts'
import { position, type Position } from '../../core/connector/source.ts'
import { SluiceError } from '../../core/errors/error.ts'
import { GtidSet } from './binlog/gtid-set.ts'
import { MariadbGtids } from './binlog/mariadb-gtid.ts'
import { comparePlaces, type PreparedXa, type StreamPlace } from './place.ts'

export interface MysqlPosition {
  readonly place: StreamPlace
  /** null when the tables were never to be copied. */
  readonly snapshot: SnapshotProgress | null
  /** By name, as JSON has it; not compared. */
  readonly extras: Readonly<Record<string, unknown>>
}

/** What a position has by itself: no extra may be named so. */
const ownNames = [
  'flavour',
  'gtids',
  'server',
  'file',
  'offset',
  'prepared',
  'xaEnded',
  'snapshot',
] as const

export function formatPosition({ place, snapshot, extras }: MysqlPosition): Position {
  const { flavour, gtids, server, file, offset, prepared, xaEnded } = place
  return position(
    JSON.stringify({
      ...extras,
      flavour,
      gtids,
      server,
      file,
      offset,
      ...(prepared === undefined || prepared.length === 0 ? {} : { prepared }),
      ...(xaEnded === undefined ? {} : { xaEnded }),
      ...(snapshot === null ? {} : { snapshot }),
    }),
  )
}

/** Throws `internal.bug`: a position comes from our own log, and from nowhere else. */
export function parsePosition(text: Position): MysqlPosition {
  try {
    const content = JSON.parse(text) as StreamPlace & { readonly snapshot?: SnapshotProgress }
    const { flavour, gtids, server, file, offset, prepared, xaEnded, snapshot } = content
    if (flavour !== 'mysql' && flavour !== 'mariadb') throw new TypeError('no flavour')
    if (typeof server !== 'string' || typeof file !== 'string' || !Number.isSafeInteger(offset)) {
      throw new TypeError('no place')
    }
    const extras: Record<string, unknown> = { ...content }
    for (const name of ownNames) delete extras[name]
    return {
      place: {
        flavour,
        gtids,
        server,
        file,
        offset,
        ...(prepared === undefined ? {} : { prepared: checked(prepared) }),
        ...(xaEnded === undefined ? {} : { xaEnded }),
      },
      snapshot: snapshot ?? null,
      extras,
    }
  } catch (cause) {
    throw new SluiceError('internal.bug', {
      message: 'The position in the log is not one of a MySQL or MariaDB source.',
      cause,
    })
  }
}

function checked(prepared: readonly PreparedXa[]): readonly PreparedXa[] {
  if (!prepared.every(({ xid, file }) => typeof xid === 'string' && typeof file === 'string')) {
    throw new TypeError('no list of XA transactions')
  }
  return prepared
}

/**
 * Whether everything that `b` says is done, `a` says too. A partial order: with GTIDs by inclusion of
 * the sets, whatever server they were read from; without, by the place in the files of one server.
 */
export function atOrAfter(a: Position, b: Position): boolean {
  if (a === b) return true
  const left = parsePosition(a)
  const right = parsePosition(b)
  return (
    placeAtOrAfter(left.place, right.place) && stepsOf(left.snapshot) >= stepsOf(right.snapshot)
  )
}

function stepsOf(snapshot: SnapshotProgress | null): number {
  return snapshot?.steps ?? 0
}

/** The same, of places alone. */
export function placeAtOrAfter(a: StreamPlace, b: StreamPlace): boolean {
  if (a.flavour !== b.flavour) return false
  if (a.gtids === null || b.gtids === null) {
    if (a.gtids !== b.gtids || a.server !== b.server) return false
    return (comparePlaces(a, b) ?? -1) >= 0
  }
  if (a.gtids === b.gtids) return true
  return a.flavour === 'mysql'
    ? GtidSet.parse(a.gtids).contains(GtidSet.parse(b.gtids))
    : MariadbGtids.parse(a.gtids).contains(MariadbGtids.parse(b.gtids))
}

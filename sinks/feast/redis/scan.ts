/** Runs a script for every entity that a view may have: all keys of its entities and its project. */
import type { Redis } from 'ioredis'
import type { RedisLink } from '../../../core/connector/redis.ts'
import { entityKeyPrefix } from '../layout/entity-key.ts'
import { valuesEnd } from '../layout/entity-key-reader.ts'
import type { FeatureView } from '../view.ts'
import { slotOf } from './slot.ts'

/** Keys looked at in one step of the server's SCAN. */
const keysAStep = 1000
/** Keys of a call: one call for each costs the server ten times as much, and this process more. */
const keysACall = 64
const nothing = new Uint8Array()
/** Characters of a pattern that stand for others: `*?[]\`. */
const special = new Set([0x2a, 0x3f, 0x5b, 0x5d, 0x5c])

export interface KeyScript {
  /** Does the same with each of its KEYS. */
  readonly text: string
  readonly args: readonly string[]
}

/**
 * As Feast itself looks for them (`delete_table`): prefix, anything, project. It fits keys of projects whose
 * names end with this one's too: entityKeyTest tells them.
 */
export function entityPattern({ entities, project }: FeatureView): Buffer {
  const prefix = entityKeyPrefix(entities.map(({ name }) => name))
  return Buffer.concat([escaped(prefix), Buffer.from('*'), escaped(Buffer.from(project))])
}

/** Whether a key that fits the pattern is of this project, and not of `preprod` where this is `prod`. */
export function entityKeyTest({ entities, project }: FeatureView): (key: Uint8Array) => boolean {
  const prefixBytes = entityKeyPrefix(entities.map(({ name }) => name)).length
  const projectBytes = Buffer.byteLength(project)
  return (key) => valuesEnd(key, prefixBytes, entities.length) === key.length - projectBytes
}

function escaped(bytes: Uint8Array): Buffer {
  const out: number[] = []
  for (const byte of bytes) out.push(...(special.has(byte) ? [0x5c, byte] : [byte]))
  return Buffer.from(out)
}

/** Runs the script once for each key that exists throughout; for others perhaps. */
export async function scanView(
  link: RedisLink,
  view: FeatureView,
  script: KeyScript,
  signal: AbortSignal,
): Promise<void> {
  const isOurs = entityKeyTest(view)
  const pattern = entityPattern(view)
  for (const master of link.masters) {
    let cursor = '0'
    do {
      cursor = await scanStep(link, { master, cursor, pattern, isOurs, script }, signal)
    } while (cursor !== '0')
  }
}

export interface ScanStep {
  readonly master: Redis
  readonly cursor: string
  readonly pattern: Buffer
  readonly isOurs: (key: Uint8Array) => boolean
  readonly script: KeyScript
}

/** One step, and where the next begins. */
export async function scanStep(
  link: RedisLink,
  { master, cursor, pattern, isOurs, script }: ScanStep,
  signal: AbortSignal,
): Promise<string> {
  // What holds something else is none of ours, and would fail the keys beside it.
  const words = [cursor, 'MATCH', pattern, 'COUNT', keysAStep, 'TYPE', 'hash']
  const found = master.callBuffer('SCAN', words) as Promise<[Buffer, Buffer[]]>
  const [next, keys] = await link.settled(found, signal)
  const answers = callsOf(keys.filter(isOurs), link.isCluster).map((some) => {
    // Not by this master: it may have handed the slot over since.
    return link.client.eval(script.text, some.length, ...some, ...script.args)
  })
  await link.settled(Promise.all(answers), signal)
  return next.toString()
}

/** In a cluster the keys of a call are of one slot. */
function callsOf(keys: readonly Buffer[], isCluster: boolean): readonly (readonly Buffer[])[] {
  const groups = new Map<number, Buffer[]>()
  for (const key of keys) {
    const slot = isCluster ? slotOf({ bytes: key, from: 0, end: key.length }, nothing) : 0
    const group = groups.get(slot)
    if (group === undefined) groups.set(slot, [key])
    else group.push(key)
  }
  return [...groups.values()].flatMap((group) => {
    const count = Math.ceil(group.length / keysACall)
    return Array.from({ length: count }, (_, i) => group.slice(i * keysACall, (i + 1) * keysACall))
  })
}

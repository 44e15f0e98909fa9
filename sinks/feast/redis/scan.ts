/** Runs a script for every entity that a view may have: all keys of its entities and its project. */
import type { Redis } from 'ioredis'
import type { RedisLink } from '../../../core/connector/redis.ts'
import { entityKeyPrefix } from '../layout/entity-key.ts'
import type { FeatureView } from '../view.ts'

/** Keys looked at in one step of the server's SCAN. */
const keysAStep = 1000
/** Characters of a pattern that stand for others: `*?[]\`. */
const special = new Set([0x2a, 0x3f, 0x5b, 0x5d, 0x5c])

export interface KeyScript {
  readonly text: string
  readonly args: readonly string[]
}

/** As Feast itself looks for them (`delete_table`): prefix, anything, project. */
export function entityPattern({ entities, project }: FeatureView): Buffer {
  const prefix = entityKeyPrefix(entities.map(({ name }) => name))
  return Buffer.concat([escaped(prefix), Buffer.from('*'), escaped(Buffer.from(project))])
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
  for (const master of link.masters) {
    let cursor = '0'
    do {
      cursor = await scanStep(
        link,
        { master, cursor, pattern: entityPattern(view), script },
        signal,
      )
    } while (cursor !== '0')
  }
}

export interface ScanStep {
  readonly master: Redis
  readonly cursor: string
  readonly pattern: Buffer
  readonly script: KeyScript
}

/** One step, and where the next begins. */
export async function scanStep(
  link: RedisLink,
  { master, cursor, pattern, script }: ScanStep,
  signal: AbortSignal,
): Promise<string> {
  const words = [cursor, 'MATCH', pattern, 'COUNT', keysAStep]
  const found = master.callBuffer('SCAN', words) as Promise<[Buffer, Buffer[]]>
  const [next, keys] = await link.settled(found, signal)
  const answers = keys.map((key) => master.eval(script.text, 1, key, ...script.args))
  await link.settled(Promise.all(answers), signal)
  return next.toString()
}

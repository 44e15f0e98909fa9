/** Reads a view from Feast's Redis online store: one HMGET an entity, all keys by SCAN. */
import type { RedisLink } from '../../../core/connector/redis.ts'
import { openRedis } from '../../../core/connector/redis-config.ts'
import type { FeastConfig, RedisTargetConfig } from '../config.ts'
import { featureField } from '../layout/murmur3.ts'
import { readTimestampUs } from '../layout/timestamp-reader.ts'
import { entityPattern } from '../redis/scan.ts'
import type { FeatureView } from '../view.ts'
import type { OnlineEntity, OnlineReader } from './online.ts'

/** Keys looked at in one step of the server's SCAN. */
const keysAStep = 2000
/** Commands under way at a time. */
const readsAtOnce = 500

export class RedisReader implements OnlineReader {
  readonly #link: RedisLink
  readonly #project: Buffer

  constructor({ project }: FeastConfig, target: RedisTargetConfig) {
    this.#link = openRedis(target)
    this.#project = Buffer.from(project)
  }

  async read(
    view: FeatureView,
    keys: readonly Uint8Array[],
    signal: AbortSignal,
  ): Promise<readonly (OnlineEntity | null)[]> {
    await this.#link.ready(signal)
    const { stored, features } = view
    const fields = features.map(({ name }) => Buffer.from(featureField(stored, name)))
    const asked = [Buffer.from(`_ts:${stored}`), ...fields]
    const found: (OnlineEntity | null)[] = []
    for (let from = 0; from < keys.length; from += readsAtOnce) {
      const answers = keys.slice(from, from + readsAtOnce).map((key) => {
        const name = Buffer.concat([key, this.#project])
        return this.#link.client.hmgetBuffer(name, ...asked).catch(nothingIfNoHash)
      })
      for (const answer of await this.#link.settled(Promise.all(answers), signal)) {
        found.push(answer === null ? null : entityOf(answer))
      }
    }
    return found
  }

  async *keys(view: FeatureView, signal: AbortSignal): AsyncGenerator<readonly Uint8Array[]> {
    await this.#link.ready(signal)
    const pattern = entityPattern(view)
    for (const master of this.#link.masters) {
      let cursor = '0'
      do {
        const words = [cursor, 'MATCH', pattern, 'COUNT', keysAStep, 'TYPE', 'hash']
        const asked = master.callBuffer('SCAN', words) as Promise<[Buffer, Buffer[]]>
        const [next, keys] = await this.#link.settled(asked, signal)
        cursor = next.toString()
        yield keys.map((key) => key.subarray(0, key.length - this.#project.length))
      } while (cursor !== '0')
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#link[Symbol.asyncDispose]()
  }
}

/** Another program has put something else under the key; it has no features. */
function nothingIfNoHash(error: Error): null {
  if (error.message.startsWith('WRONGTYPE')) return null
  throw error
}

function entityOf([time, ...values]: readonly (Buffer | null)[]): OnlineEntity | null {
  const hasTime = time !== null && time !== undefined
  if (!hasTime && values.every((value) => value === null)) return null
  return { eventUs: hasTime ? readTimestampUs(time) : null, values }
}

/**
 * A life of the source whose log is slower than Kafka, on brokers that are asked for topics by name: whoever was
 * left alone for a while is doubted, and comes on all the same. Attacks invariant 5 (nothing vanishes).
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import type { FetchedPartition, FetchPosition } from '../../../connectors/kafka/driver.ts'
import { JsonFormat } from '../../../core/connector/format/json-format.ts'
import { fieldsOf } from '../../core/connector/format/support.ts'
import { plain, start, TextDriver, texts } from './run-stage.ts'
import { writtenBatch } from './written-batch.ts'

/** Each record is a batch, and each answer has one of each partition. The topic `slow` is asked for by its name. */
class BatchDriver extends TextDriver {
  override async fetch(
    _broker: number,
    positions: readonly FetchPosition[],
  ): Promise<readonly FetchedPartition[]> {
    await turn()
    return Promise.all(
      positions.map(async ({ topic, partition, offset }): Promise<FetchedPartition> => {
        const values = this.texts.get(topic) ?? []
        const value = values[Number(offset)]
        const isRemoved = this.removed.has(`${topic} ${offset}`)
        const records = await writtenBatch(
          Number(offset),
          value === undefined ? [] : [isRemoved ? null : { value }],
        )
        const end = BigInt(values.length)
        const ends = { highWatermark: end, lastStableOffset: end, logStartOffset: 0n }
        return {
          topic,
          partition,
          isById: topic !== 'slow',
          error: null,
          ...ends,
          aborted: [],
          records,
        }
      }),
    )
  }
}

/** Told of each value that is read. */
class ToldFormat extends JsonFormat {
  readonly #told: () => void

  constructor(told: () => void) {
    super(fieldsOf({ id: 'int64' }))
    this.#told = told
  }

  override read(...args: Parameters<JsonFormat['read']>): ReturnType<JsonFormat['read']> {
    this.#told()
    return super.read(...args)
  }
}

for (const [what, limits, removed] of [
  ['each batch is as large as what may wait of a partition', { partitionBytes: 1 }, []],
  ['the last record lies far behind what is read', { partitionBytes: 1 }, [1, 2, 3, 4]],
  ['what came of others takes all the room', { maxBytes: 1 }, []],
] as const) {
  test(`a partition is not read again for ever where the log is slow and ${what}`, async () => {
    const driver = new BatchDriver()
    for (const offset of removed) driver.removed.add(`slow ${offset}`)
    let seen = 0
    const others = Object.fromEntries([1, 2, 3].map((i) => [`other${i}`, texts(0, 2000)]))
    await using stage = start(
      { slow: texts(0, 8), ...others },
      (name) => {
        // Longer than a partition may be left alone without doubt.
        const pass = (): void => stage.clock.pass(150)
        return plain(name, new ToldFormat(name === 'slow' ? () => void seen++ : pass))
      },
      { driver, ...limits },
    )
    await stage.until('the slow topic', () => seen === 8 - removed.length)
    assert.equal(stage.error, null)
  })
}

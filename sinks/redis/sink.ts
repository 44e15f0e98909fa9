/**
 * RedisSink: each row one Redis key, the newest row by the order of the log. Of a batch only the last row
 * of each key goes out; whether it is newer than what is there the server decides (script.ts).
 */
import type { Batch } from '../../core/record/batch.ts'
import type { SinkContext } from '../../core/connector/context.ts'
import { renamedSink } from '../../core/connector/place-by-name.ts'
import type { RedisLink } from '../../core/connector/redis.ts'
import {
  runCalls,
  redisScript,
  type RedisCall,
  type RedisScript,
} from '../../core/connector/redis-calls.ts'
import { openRedis } from '../../core/connector/redis-config.ts'
import { raiseKept, raiseOffset } from '../../core/connector/redis-offset.ts'
import { redisError } from '../../core/connector/redis-errors.ts'
import { withReplicas } from '../../core/connector/redis-replicas.ts'
import type {
  RowProblem,
  SchemaStep,
  Sink,
  SinkBatch,
  SinkResult,
} from '../../core/connector/sink.ts'
import { SluiceError } from '../../core/errors/error.ts'
import { failpoint } from '../../core/errors/failpoint.ts'
import { isNull } from '../../core/record/column.ts'
import { jsonRows } from '../../core/record/json.ts'
import type { RedisConfig } from './config.ts'
import {
  coversKey,
  keyMaker,
  parseTemplate,
  scanPattern,
  tellsTopics,
  tombstoneKey,
  unknownColumns,
  type KeyTemplate,
} from './key.ts'
import { deleteScript, markName, truncateScript, writeScript } from './script.ts'
import { exactJson, textColumns } from './values.ts'

/** Keys that SCAN looks at a time. */
const scanCount = 1000

export class RedisSink implements Sink {
  readonly #config: RedisConfig
  readonly #ctx: SinkContext
  readonly #link: RedisLink
  readonly #parts: KeyTemplate
  readonly #write: RedisScript
  readonly #delete: RedisScript
  readonly #truncate: RedisScript
  /** By topic, the offset of its last truncate. */
  readonly #floors = new Map<string, number>()
  /** Topics whose Redis is known to be of this log. */
  readonly #met = new Set<string>()

  /** Connects to nothing yet. Throws `redis.url`. */
  constructor(config: RedisConfig, ctx: SinkContext) {
    this.#config = config
    this.#ctx = ctx
    this.#link = openRedis(config)
    this.#parts = partsOf(config)
    this.#write = redisScript(writeScript(config.format))
    this.#delete = redisScript(deleteScript(config.format))
    this.#truncate = redisScript(truncateScript(config.format))
  }

  async evolve(topic: string, { to, agreed }: SchemaStep, signal: AbortSignal): Promise<void> {
    const rekeyed = agreed.find((change) => change.kind === 'key')
    if (rekeyed !== undefined && this.#parts.some(({ kind }) => kind === 'key')) {
      throw new SluiceError('sink.redis.key', {
        message: `Topic ${topic}: its key is (${rekeyed.to.join(', ')}) instead of (${rekeyed.from.join(', ')}), and the rows under Redis keys made of the old one would stay for ever.`,
        remedy:
          'Give the sink another name and `key` another prefix, so that every row is written anew; then remove the old keys.',
      })
    }
    const keyFields = to.key.map((index) => to.fields[index]!.name)
    const unknown = unknownColumns(this.#parts, keyFields)
    if (unknown.length > 0) {
      throw wrong(
        topic,
        `key names ${unknown.join(', ')}, which its key (${keyFields.join(', ')}) has not`,
      )
    }
    if (keyFields.length > 0 && !coversKey(this.#parts, keyFields)) {
      throw wrong(topic, 'rows of different keys would have the same Redis key: add {key}')
    }
    if (keyFields.length === 0 && !coversKey(this.#parts, [''])) {
      throw wrong(topic, 'its rows have no key: use {key}, which is their offset then')
    }
    const other = [...this.#floors.keys()].find((known) => known !== topic)
    if (other !== undefined && !tellsTopics(this.#parts)) {
      throw wrong(topic, `its rows could have the keys of ${other}: add {topic} to key`)
    }
    if (to.fields.some(({ name }) => name === markName)) {
      throw wrong(topic, `its column ${markName} has the name under which Sluice keeps offsets`)
    }
    await this.#link.ready(signal)
    for (const master of this.#link.masters) {
      for (const { text } of [this.#write, this.#delete, raiseOffset]) {
        await this.#link.settled(master.script('LOAD', text), signal)
      }
    }
    await this.#loadFloor(topic, signal)
  }

  async write(sent: SinkBatch, signal: AbortSignal): Promise<SinkResult> {
    signal.throwIfAborted()
    if (sent.batch.rows === 0) return { rejected: [] }
    const live = sent.origin === undefined || sent.origin === 'live'
    if (live) await this.#meet(sent, signal)
    const keeps = this.#config.on_delete === 'keep'
    const rows = newestRows(sent, this.#parts, keeps)
    const floor = live ? 0 : (this.#floors.get(sent.topic) ?? 0)
    const rejected: RowProblem[] = []
    const reject = (row: number, code: RowProblem['code'], message: string): void => {
      rejected.push({ row, code, message, attempts: sent.attempt })
    }
    const callRows: number[] = []
    failpoint('sink.redis.before_write')
    const calls = this.#calls(sent, rows, { live, floor, reject, callRows })
    const write = () => runCalls(this.#link, calls, signal)
    for (const { index, error } of await withReplicas(this.#link, write, signal)) {
      const { code, message } = redisError(this.#link.where, error)
      reject(callRows[index]!, code, message)
    }
    failpoint('sink.redis.after_write')
    return { rejected: rejected.sort((a, b) => a.row - b.row) }
  }

  /** Also remembers the offset: rows from before it that are replayed later are void. */
  async truncate(
    topic: string,
    { offset }: { readonly offset: number },
    signal: AbortSignal,
  ): Promise<void> {
    await withReplicas(this.#link, () => this.#removeBefore(topic, offset, signal), signal)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#link[Symbol.asyncDispose]()
  }

  async #removeBefore(topic: string, offset: number, signal: AbortSignal): Promise<void> {
    await this.#link.ready(signal)
    await raiseKept(this.#link, this.#floorKey(topic), offset, signal)
    this.#floors.set(topic, Math.max(offset, this.#floors.get(topic) ?? 0))
    const match = scanPattern(this.#parts, topic)
    for (const master of this.#link.masters) {
      let cursor = '0'
      do {
        const [next, keys] = await this.#link.settled(
          master.scan(cursor, 'MATCH', match, 'COUNT', scanCount),
          signal,
        )
        await runCalls(
          this.#link,
          keys.map((key) => ({ script: this.#truncate, keys: [key], args: [String(offset)] })),
          signal,
        )
        cursor = next
      } while (cursor !== '0')
    }
  }

  *#calls(sent: SinkBatch, rows: ReadonlyMap<string, number>, round: Round): Generator<RedisCall> {
    const { topic, batch, offset } = sent
    const { ttl, tombstones } = this.#config
    const argsOf = this.#config.format === 'hash' ? hashArgs(batch) : jsonArgs(batch, offset)
    for (const [key, row] of rows) {
      if (offset + row < round.floor) continue
      const keys = [key, tombstoneKey(key)]
      const at = String(offset + row)
      if (batch.weights[row]! < 0) {
        round.callRows.push(row)
        yield { script: this.#delete, keys, args: [at, String(tombstones)] }
        continue
      }
      const args = argsOf(row)
      if (args === null) {
        round.reject(row, 'sink.redis.not_text', `${topic}: a text of the row is not valid UTF-8`)
        continue
      }
      round.callRows.push(row)
      const ttlText = ttl === undefined ? '' : String(ttl)
      yield { script: this.#write, keys, args: [at, ttlText, ...args] }
    }
    if (round.live) {
      yield { script: raiseOffset, keys: [this.#endKey(sent.topic)], args: [String(endOf(sent))] }
    }
  }

  /**
   * A log that was begun anew counts offsets from 0 again, and all its rows would lose against the old
   * ones in silence. A batch is planned before it is sent, and after a crash sent again as planned: the
   * first one of a process ends at the end that is kept or behind it, unless it is of another log.
   */
  async #meet(sent: SinkBatch, signal: AbortSignal): Promise<void> {
    const { topic } = sent
    if (this.#met.has(topic)) return
    await this.#link.ready(signal)
    const kept = await this.#link.settled(this.#link.client.get(this.#endKey(topic)), signal)
    // Asked again too: the Redis may have been emptied since.
    const there = Math.max(Number(kept ?? 0), await this.#loadFloor(topic, signal))
    if (endOf(sent) < there) throw this.#ahead(sent, there)
    this.#met.add(topic)
  }

  #ahead(sent: SinkBatch, there: number): SluiceError {
    const { topic } = sent
    return new SluiceError('sink.redis.store_ahead', {
      message: `Redis at ${this.#link.where} has topic ${topic} up to offset ${there}, and the next batch ends at ${endOf(sent)} already.`,
      remedy: `${renamedSink} If the log was begun anew or its cursor set back: empty the Redis (FLUSHDB); where it has other things too, remove the keys ${scanPattern(this.#parts, topic)}, then DEL "${this.#endKey(topic)}" "${this.#floorKey(topic)}". Or give \`key\` another prefix. \`sluice run\` goes on by itself at its next try.`,
    })
  }

  async #loadFloor(topic: string, signal: AbortSignal): Promise<number> {
    const found = await this.#link.settled(this.#link.client.get(this.#floorKey(topic)), signal)
    const floor = Number(found ?? 0)
    this.#floors.set(topic, floor)
    return floor
  }

  /** Of the Redis keys that are written, whatever the sink is called. */
  #endKey(topic: string): string {
    return `_sluice:end:${topic}:${this.#config.key}`
  }

  #floorKey(topic: string): string {
    return `_sluice:truncated:${this.#ctx.pipeline}:${this.#ctx.name}:${topic}`
  }
}

interface Round {
  readonly live: boolean
  /** Rows before this offset are void. */
  readonly floor: number
  readonly reject: (row: number, code: RowProblem['code'], message: string) => void
  /** Row of each call that is for one. */
  readonly callRows: number[]
}

function partsOf({ key }: RedisConfig): KeyTemplate {
  const parts = parseTemplate(key)
  if (typeof parts !== 'string') return parts
  throw new SluiceError('internal.bug', { message: `the key template was not judged: ${parts}` })
}

/** Of all pieces of one delivery the same. */
function endOf({ upTo, offset, batch }: SinkBatch): number {
  return upTo ?? offset + batch.rows
}

/**
 * The last row of each key: the new image of an update comes after the old one. `keeps`: deletions are passed
 * over, and what came before them in the batch is what stays.
 */
function newestRows(
  { topic, batch, offset }: SinkBatch,
  parts: KeyTemplate,
  keeps: boolean,
): ReadonlyMap<string, number> {
  const keyOf = keyMaker(parts, topic, batch, offset)
  const newest = new Map<string, number>()
  for (let row = 0; row < batch.rows; row++) {
    if (!keeps || batch.weights[row]! > 0) newest.set(keyOf(row), row)
  }
  return newest
}

type ArgsOf = (row: number) => (string | Buffer)[] | null

function hashArgs(batch: Batch): ArgsOf {
  const { fields } = batch.schema
  const names = fields.map(({ name }) => name)
  const values = textColumns(
    batch,
    fields.map((_, index) => index),
  )
  return (row) => {
    const args: (string | Buffer)[] = []
    for (let i = 0; i < names.length; i++) {
      if (!isNull(batch.columns[i]!, row)) args.push(names[i]!, values[i]!(row))
    }
    return args
  }
}

function jsonArgs(batch: Batch, offset: number): ArgsOf {
  const jsonOf = jsonRows(batch, undefined, exactJson)
  return (row) => {
    try {
      const text = jsonOf(row)
      const comma = text === '{}' ? '' : ','
      return [`${text.slice(0, -1)}${comma}"${markName}":${offset + row}}`]
    } catch (thrown) {
      if (thrown instanceof TypeError) return null
      throw thrown
    }
  }
}

function wrong(topic: string, what: string): SluiceError {
  return new SluiceError('sink.redis.key', { message: `Topic ${topic}: ${what}.` })
}

/**
 * Feast's Redis online store. One hash an entity, keyed by the entity key and the project, with a field
 * for each feature of each view (layout/). Whether a row is newer than what is there is decided in the
 * server, by a script (redis/script.ts); this file keeps calls of it under way.
 */
import { createHash } from 'node:crypto'
import type { SinkContext } from '../../core/connector/context.ts'
import type { Problem } from '../../core/connector/problem.ts'
import type { RedisLink } from '../../core/connector/redis.ts'
import { checkRedis } from '../../core/connector/redis-check.ts'
import { openRedis } from '../../core/connector/redis-config.ts'
import { withReplicas } from '../../core/connector/redis-replicas.ts'
import { inWindow, type FailedCall } from '../../core/connector/redis-window.ts'
import { SluiceError } from '../../core/errors/error.ts'
import { failpoint } from '../../core/errors/failpoint.ts'
import { BytesOut } from './bytes-out.ts'
import type { FeastConfig, RedisTargetConfig } from './config.ts'
import { ScriptCall } from './redis/call.ts'
import { encodeCall, expiresMs } from './redis/encode.ts'
import { RedisEnds } from './redis/ends.ts'
import { Floors } from './redis/floors.ts'
import { hadTtl } from './redis/had-ttl.ts'
import { planCalls, type PlannedCalls } from './redis/plan-calls.ts'
import { scanView, type KeyScript } from './redis/scan.ts'
import {
  forgetScript,
  renameScript,
  truncateScript,
  writeScript,
  type FieldExpiry,
} from './redis/script.ts'
import { fieldExpiryOf } from './redis/server.ts'
import { Sweeper } from './redis/sweep.ts'
import type { FeatureRows, OnlineTarget, RenamedFeature, TargetProblem } from './target.ts'
import type { FeatureView } from './view.ts'

/** Calls are longer than this only where one entity is. */
const spareBytesMax = 128 * 1024

interface LoadedView {
  readonly script: Buffer
  readonly hash: Buffer
}

interface Round {
  readonly rows: FeatureRows
  readonly calls: PlannedCalls
  readonly script: LoadedView
  readonly forgottenMs: number
}

export class RedisTarget implements OnlineTarget {
  /** Few: the server waits while the first are encoded. */
  readonly entitiesAtOnce = 1024
  readonly ends: RedisEnds
  readonly #config: FeastConfig
  readonly #target: RedisTargetConfig
  readonly #ctx: SinkContext
  readonly #link: RedisLink
  readonly #project: Buffer
  readonly #floors: Floors
  readonly #sweeper: Sweeper
  readonly #views = new Map<string, LoadedView>()
  /** Memory of calls that were answered; as much as was ever under way. */
  readonly #spare: BytesOut[] = []
  #expiry: FieldExpiry | null = null

  constructor(config: FeastConfig, target: RedisTargetConfig, ctx: SinkContext) {
    this.#config = config
    this.#target = target
    this.#ctx = ctx
    this.#project = Buffer.from(config.project)
    this.#link = openRedis(target)
    this.#floors = new Floors(this.#link, config.project)
    this.ends = new RedisEnds(this.#link, this.#floors)
    this.#sweeper = new Sweeper(this.#link, ctx)
  }

  check(signal: AbortSignal): Promise<readonly Problem[]> {
    return checkRedis(this.#target, signal)
  }

  async evolve(view: FeatureView, signal: AbortSignal): Promise<void> {
    await this.#link.ready(signal)
    this.#expiry ??= await fieldExpiryOf(this.#link, signal)
    const before = this.#expiry === 'none' && (await hadTtl(this.#link, view, signal))
    const script = Buffer.from(writeScript(view, this.#expiry, { hadTtl: before }))
    const hash = Buffer.from(createHash('sha1').update(script).digest('hex'))
    for (const master of this.#link.masters) {
      await this.#link.settled(master.script('LOAD', script), signal)
    }
    await this.#floors.load(view, signal)
    this.#views.set(view.stored, { script, hash })
    if (this.#expiry === 'none') this.#sweeper.add(view)
  }

  async write(rows: FeatureRows, signal: AbortSignal): Promise<readonly TargetProblem[]> {
    signal.throwIfAborted()
    const script = this.#views.get(rows.view.stored)
    if (script === undefined) {
      throw new SluiceError('internal.bug', {
        message: `Rows of view ${rows.view.name} came before it was evolved.`,
      })
    }
    if (rows.count === 0) return []
    await this.#link.ready(signal)
    const nowMs = this.#ctx.clock.nowMs()
    const skip = this.#unseen(rows, nowMs)
    const calls = planCalls(rows, skip, this.#link.isCluster ? this.#project : null)
    const round = { rows, calls, script, forgottenMs: Math.ceil(nowMs + this.#config.tombstones) }
    return this.#run(round, signal)
  }

  safely<T>(work: () => Promise<T>, signal: AbortSignal): Promise<T> {
    return withReplicas(this.#link, work, signal)
  }

  async truncate(view: FeatureView, offset: number, signal: AbortSignal): Promise<void> {
    const script = { text: truncateScript(view), args: [String(offset)] }
    const remove = async (): Promise<void> => {
      await this.#link.ready(signal)
      await this.#floors.raise(view, offset, signal)
      failpoint('sink.feast.truncate')
      await scanView(this.#link, view, script, signal)
    }
    await this.safely(remove, signal)
  }

  async forget(view: FeatureView, features: readonly string[], signal: AbortSignal): Promise<void> {
    await this.#scan(view, { text: forgetScript(view, features), args: [] }, signal)
  }

  async rename(view: FeatureView, names: RenamedFeature, signal: AbortSignal): Promise<void> {
    await this.#link.ready(signal)
    this.#expiry ??= await fieldExpiryOf(this.#link, signal)
    await this.#scan(view, { text: renameScript(view, names, this.#expiry), args: [] }, signal)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#sweeper[Symbol.asyncDispose]()
    await this.#link[Symbol.asyncDispose]()
  }

  async #scan(view: FeatureView, script: KeyScript, signal: AbortSignal): Promise<void> {
    await this.#link.ready(signal)
    await this.safely(() => scanView(this.#link, view, script, signal), signal)
  }

  /**
   * Marks what needs not be sent: rows from before a truncate, and rows that have lived their time: what
   * they might replace is as old or older.
   */
  #unseen(rows: FeatureRows, nowMs: number): Uint8Array | null {
    const { view } = rows
    const floor = rows.again === true ? this.#floors.of(view) : 0
    if (view.ttlMs === null && floor === 0) return null
    const skip = new Uint8Array(rows.count)
    for (let i = 0; i < rows.count; i++) {
      const expired =
        view.ttlMs !== null && rows.deletedAt[i]! < 0 && expiresMs(rows, i, view.ttlMs) <= nowMs
      if (expired || rows.offsets[i]! < floor) skip[i] = 1
    }
    return skip
  }

  /** Keeps calls under way until all have been answered. Rejects at the first error, or on abort. */
  async #run(round: Round, signal: AbortSignal): Promise<readonly TargetProblem[]> {
    const { ends, slots } = round.calls
    const failed = await inWindow<number>(
      this.#link,
      { keeps: needsCare, signal },
      async (window) => {
        for (let i = 0; i < ends.length; i++) {
          await window.room()
          const part = { from: i === 0 ? 0 : ends[i - 1]!, to: ends[i]! }
          const out = this.#spare.pop() ?? new BytesOut()
          const bytes = this.#encode(out, round, part, 'EVALSHA')
          const answer = this.#link.send(new ScriptCall(bytes, slots[i]!))
          // Not after a failure: the socket may hold on to it.
          const taken = answer.then(() => {
            if (out.bytes.length <= spareBytesMax) this.#spare.push(out)
          })
          window.add(i, bytes.length, taken)
        }
      },
    )
    failpoint('sink.feast.redis.after_write')
    return this.#withCare(round, failed, signal)
  }

  #encode(
    out: BytesOut,
    { rows, calls, script, forgottenMs }: Round,
    { from, to }: { readonly from: number; readonly to: number },
    verb: 'EVALSHA' | 'EVAL',
  ): Buffer {
    const text = verb === 'EVAL' ? script.script : script.hash
    const options = { verb, script: text, project: this.#project, forgottenMs }
    return encodeCall(out, rows, { order: calls.order, from, to }, options)
  }

  /**
   * Calls that failed for a reason of their own, one after the other and one entity at a time: the server
   * had forgotten the script, which EVAL brings back, or the key of one entity holds something else.
   */
  async #withCare(
    round: Round,
    failed: readonly FailedCall<number>[],
    signal: AbortSignal,
  ): Promise<readonly TargetProblem[]> {
    const problems: TargetProblem[] = []
    const { order, ends, slots } = round.calls
    for (const { call: index } of failed) {
      for (let at = index === 0 ? 0 : ends[index - 1]!; at < ends[index]!; at++) {
        const bytes = this.#encode(new BytesOut(), round, { from: at, to: at + 1 }, 'EVAL')
        try {
          const answer = this.#link.send(new ScriptCall(bytes, slots[index]!))
          await this.#link.settled(answer, signal)
        } catch (error) {
          if (!(error instanceof SluiceError) || error.fault !== 'row') throw error
          const { code, message } = error
          problems.push({ row: round.rows.rows[order[at]!]!, code, message })
        }
      }
    }
    return problems
  }
}

/** Whether the call may go through when it is sent another way. */
function needsCare({ message }: Error): boolean {
  return message.startsWith('NOSCRIPT') || message.startsWith('WRONGTYPE')
}

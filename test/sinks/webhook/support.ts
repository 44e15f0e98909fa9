/**
 * What the webhook sink's tests share: batches written as short lists of changes, a context whose
 * clock jumps over waits and remembers them, and a sink that sends to a receiver in this process.
 */
import { setImmediate as turn } from 'node:timers/promises'
import type { Clock, SinkContext } from '../../../core/connector/context.ts'
import type { Sink, SinkBatch } from '../../../core/connector/sink.ts'
import { makeBatch, Op, type Batch } from '../../../core/record/batch.ts'
import { NumberBuilder } from '../../../core/record/builder.ts'
import { BytesBuilder } from '../../../core/record/bytes-builder.ts'
import { makeSchema, type Changelog } from '../../../core/record/schema.ts'
import type { WebhookConfig } from '../../../sinks/webhook/config.ts'
import { webhook } from '../../../sinks/webhook/connector.ts'
import { quietContext } from '../../support/context.ts'

export const secret = `whsec_${Buffer.alloc(32, 7).toString('base64')}`

/** `+1 insert of id 1 with 'a'` is `['+', 'insert', 1, 'a']`. */
export type Change = readonly ['+' | '-', keyof typeof Op, number, string | null]

export interface BatchOptions {
  readonly changelog?: Changelog
  readonly keyed?: boolean
  readonly timeUs?: number
}

export function batchOf(changes: readonly Change[], options: BatchOptions = {}): Batch {
  const { changelog = 'upsert', keyed = true, timeUs = 1_767_225_600_123_456 } = options
  const ids = new NumberBuilder()
  const names = new BytesBuilder()
  for (const [, , id, name] of changes) {
    ids.append(id)
    if (name === null) names.appendNull()
    else names.appendString(name)
  }
  const schema = makeSchema(
    [
      { name: 'id', type: { kind: 'int64' }, nullable: false },
      { name: 'name', type: { kind: 'text' }, nullable: true },
    ],
    keyed ? [0] : [],
    changelog,
  )
  return makeBatch(
    schema,
    [ids.finish(), names.finish()],
    Int32Array.from(changes, ([sign]) => (sign === '+' ? 1 : -1)),
    Uint8Array.from(changes, ([, op]) => Op[op]),
    new Float64Array(changes.length).fill(timeUs),
  )
}

export function sinkBatch(batch: Batch, more: Partial<SinkBatch> = {}): SinkBatch {
  return { id: 'batch-1', topic: 'shop.public.orders', offset: 100, attempt: 1, batch, ...more }
}

export interface JumpClock extends Clock {
  readonly sleeps: number[]
  /** Makes time pass. */
  pass(ms: number): void
}

/** Begins now; a wait takes one turn of the event loop, and its whole time on this clock. */
export function jumpClock(): JumpClock {
  let nowMs = Date.now()
  const sleeps: number[] = []
  return {
    sleeps,
    nowMs: () => nowMs,
    pass: (ms) => {
      nowMs += ms
    },
    sleep: async (ms, signal) => {
      signal.throwIfAborted()
      sleeps.push(ms)
      const endMs = nowMs + ms
      await turn()
      signal.throwIfAborted()
      nowMs = Math.max(nowMs, endMs)
    },
  }
}

export function testContext(clock: Clock = jumpClock(), random = (): number => 0.5): SinkContext {
  return quietContext({ pipeline: 'shop', name: 'hooks', clock, random })
}

/** A configuration as a pipeline file would give it, for a receiver on this machine. */
export function configOf(url: string, more: Record<string, unknown> = {}): WebhookConfig {
  const local = { allow_http: true, allow_private: true, delivery_log: 'off' }
  return webhook.config.parse({ url, secret, ...local, ...more })
}

export function openSink(
  url: string,
  more: Record<string, unknown> = {},
  ctx: SinkContext = testContext(),
): Promise<Sink> {
  return webhook.open(configOf(url, more), [], ctx)
}

export const forever = new AbortController().signal

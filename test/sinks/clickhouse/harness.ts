/** What the ClickHouse tests share: a context, an open sink on a running server, and its rows. */
import { systemClock, type Context } from '../../../core/connector/context.ts'
import type { Sink } from '../../../core/connector/sink.ts'
import type { Batch } from '../../../core/record/batch.ts'
import { clickhouse } from '../../../sinks/clickhouse/connector.ts'
import type { clickhouseConfig } from '../../../sinks/clickhouse/config.ts'
import type { z } from 'zod'

export type ConfigInput = z.input<typeof clickhouseConfig>

export function testContext(): Context & { readonly logged: string[] } {
  const logged: string[] = []
  const log = (message: string, fields?: unknown): void => {
    logged.push(`${message} ${JSON.stringify(fields ?? {})}`)
  }
  return {
    pipeline: 'test',
    name: 'warehouse',
    clock: systemClock,
    random: () => 0.5,
    logger: { debug: log, info: log, warn: log, error: log },
    metrics: { count: () => {}, gauge: () => {}, observe: () => {} },
    report: () => {},
    logged,
  }
}

export function openSink(config: ConfigInput, context: Context = testContext()): Promise<Sink> {
  return clickhouse.open(clickhouse.config.parse(config), [], context)
}

export const never = new AbortController().signal

export interface SendOptions {
  readonly id?: string
  readonly offset?: number
  readonly attempt?: number
}

/** Evolves and writes one batch. */
export async function send(sink: Sink, topic: string, batch: Batch, options: SendOptions = {}) {
  const { offset = 0, attempt = 1 } = options
  const id = options.id ?? `${topic}-${offset}`
  await sink.evolve(topic, null, batch.schema, never)
  return sink.write({ id, topic, batch, offset, attempt }, never)
}

/** What the ClickHouse tests share: a context, an open sink on a running server, and its rows. */
import type { TestContext } from 'node:test'
import type { SinkContext } from '../../../core/connector/context.ts'
import type { Sink } from '../../../core/connector/sink.ts'
import type { Batch } from '../../../core/record/batch.ts'
import { clickhouse } from '../../../sinks/clickhouse/connector.ts'
import type { clickhouseConfig } from '../../../sinks/clickhouse/config.ts'
import type { z } from 'zod'
import {
  startClickHouse,
  type ClickHouse,
  type ClickHouseOptions,
} from '../../services/clickhouse.ts'
import { quietContext } from '../../support/context.ts'
import { step } from '../../support/schema-step.ts'
import { sharedService, startOrSkip, type SharedService } from '../../support/service.ts'

export type ConfigInput = z.input<typeof clickhouseConfig>

export function openSink(
  config: ConfigInput,
  context: SinkContext = quietContext(),
): Promise<Sink> {
  return clickhouse.open(clickhouse.config.parse(config), [], context)
}

export const never = new AbortController().signal

export interface SendOptions {
  readonly id?: string
  readonly offset?: number
  readonly attempt?: number
  readonly origin?: 'live' | 'retry' | 'replay'
}

/** Evolves and writes one batch. */
export async function send(sink: Sink, topic: string, batch: Batch, options: SendOptions = {}) {
  const { offset = 0, attempt = 1, origin = 'live' } = options
  const id = options.id ?? `${topic}-${offset}`
  await sink.evolve(topic, step(null, batch.schema), never)
  return sink.write({ id, topic, batch, offset, attempt, origin }, never)
}

/** One server for a file's tests, which are skipped loudly where the engine has no build. */
export function clickhouseSuite(): SharedService<ClickHouse> {
  return sharedService('ClickHouse', () => startClickHouse())
}

/** A server for one test; null where it is skipped. */
export function clickhouseOrSkip(
  t: TestContext,
  options: ClickHouseOptions = {},
): Promise<ClickHouse | null> {
  return startOrSkip(t, 'ClickHouse', () => startClickHouse(options))
}

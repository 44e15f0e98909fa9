/**
 * A source and sinks from outside the tree, for tests of the loader: they show that a connector needs
 * no change of config/, and they stand still while the real ones grow.
 */
import { z } from 'zod'
import { secretText } from '../../core/connector/secret.ts'
import { absorbsAll, type SinkConnector } from '../../core/connector/sink.ts'
import { position, type SourceConnector } from '../../core/connector/source.ts'
import type { Registers } from '../../config/schema.ts'

const toySourceConfig = z.strictObject({
  url: secretText('Where the toy lives.'),
  tables: z.array(z.string().min(1)).min(1).meta({ description: 'Tables to read.' }),
  port: z.int().min(1).max(65_535).default(5432).meta({ description: 'Port of the toy.' }),
  heartbeat: z.union([z.boolean(), z.string()]).default(true),
  mode: z.enum(['initial', 'never']).default('initial').meta({ description: 'First copy.' }),
})

export const toySource: SourceConnector<z.output<typeof toySourceConfig>> = {
  kind: 'toy',
  config: toySourceConfig,
  check: () => Promise.resolve([]),
  open: () => Promise.reject(new Error('toys are not opened by the loader')),
  atOrAfter: (a, b) => a >= b || a === position(''),
  topics: (config) => config.tables,
}

const toySinkConfig = z.strictObject({
  url: z.url({ error: 'expected a URL' }),
  secret: secretText('Signs things.').optional(),
  allow_http: z.boolean().default(false),
  retry: z.strictObject({ attempts: z.int().min(1).default(5) }).optional(),
})

export const toySink: SinkConnector<z.output<typeof toySinkConfig>> = {
  kind: 'toybox',
  config: toySinkConfig,
  delivery: 'at-least-once',
  schemaChanges: absorbsAll,
  batching: () => ({ rowsMax: 1, bytesMax: 1, pauseMsMin: 0, pauseMsMax: 0 }),
  check: () => Promise.resolve([]),
  open: () => Promise.reject(new Error('toys are not opened by the loader')),
}

export const toyRegisters: Registers = {
  sources: { toy: () => Promise.resolve(toySource as SourceConnector<unknown>) },
  sinks: { toybox: () => Promise.resolve(toySink as SinkConnector<unknown>) },
}

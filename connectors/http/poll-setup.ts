/** What a polled topic's configuration makes: its client, its decoder, its memory of rows. */
import type { Context } from '../../core/connector/context.ts'
import { plainDecoder, schemaFields } from '../../core/connector/format/format-config.ts'
import type { TopicChange } from '../../core/connector/source.ts'
import { SluiceError } from '../../core/errors/error.ts'
import type { Schema } from '../../core/record/schema.ts'
import { JsonFinder, parseJsonPath } from './json-path.ts'
import { KnownRows } from './known-rows.ts'
import { PollClient } from './poll-client.ts'
import { PollColumns } from './poll-columns.ts'
import type { PollTopicConfig } from './poll-config.ts'
import { plainSettings } from './poll-config-problems.ts'
import { PollPages } from './poll-pages.ts'
import { PollRecords } from './poll-records.ts'
import { recordOfAnswer, recordOfStream } from './record-place.ts'
import { PollSince } from './poll-since.ts'

export interface PollSetup {
  readonly name: string
  readonly config: PollTopicConfig
  readonly client: PollClient
  readonly pages: PollPages
  readonly records: PollRecords
  readonly since: PollSince | null
  /** null: every row that comes is written. */
  readonly known: KnownRows | null
  /** The schema, as batches of no rows. */
  readonly announced: readonly TopicChange[]
}

/** Throws SluiceError of fault `config` where parts do not fit together, or there is no schema. */
export function pollSetup(
  name: string,
  config: PollTopicConfig,
  ctx: Pick<Context, 'clock' | 'metrics'>,
): PollSetup {
  if (config.schema === undefined) {
    const message = `poll.${name}: the columns and their types are not known`
    throw new SluiceError('http.poll.no_schema', { message })
  }
  const records = recordsOf(name, config)
  const announced = records.take().changes
  const schema = schemaOf(announced)
  const since = sinceOf(config)
  return {
    name,
    config,
    client: new PollClient(name, config, ctx),
    pages: new PollPages(`poll.${name}`, config.pagination, config.max_pages),
    records,
    since,
    known: schema === null ? null : knownOf(name, config, schema, since),
    announced,
  }
}

export function sinceOf({ since, schema = {} }: PollTopicConfig): PollSince | null {
  const field = schemaFields(schema).find(({ name }) => name === since?.field)
  return since === undefined || field === undefined ? null : new PollSince(since, field)
}

export function recordsOf(name: string, config: PollTopicConfig): PollRecords {
  const columns = new PollColumns(config.columns)
  const parsed = parseJsonPath(config.records)
  const { csv = {} } = config
  return new PollRecords({
    topic: name,
    format: config.format,
    finder: new JsonFinder('mistake' in parsed ? [] : parsed.segments),
    csv: {
      delimiter: (csv.delimiter ?? ',').charCodeAt(0),
      quote: (csv.quote ?? '"').charCodeAt(0),
      header: csv.header ?? false,
    },
    columns,
    // Who deletes what a listing lacks has to see the list, even if it is empty: an answer of another
    // shape, such as an error that says 200, would be the end of the listing.
    mayBeMissing: config.deletes === 'none',
    decoder: plainDecoder(
      name,
      plainSettings(config),
      columns.extra,
      config.stream === undefined ? recordOfAnswer : recordOfStream,
    ),
  })
}

function schemaOf(changes: readonly TopicChange[]): Schema | null {
  for (const change of changes) if ('batch' in change) return change.batch.schema
  return null
}

function knownOf(
  name: string,
  config: PollTopicConfig,
  schema: Schema,
  since: PollSince | null,
): KnownRows | null {
  const isKeyed = schema.key.length > 0
  // A stream sends what is new; only by `since` may it send something again.
  if (since === null && (!isKeyed || config.stream !== undefined)) return null
  return new KnownRows({
    name: `poll.${name}`,
    schema,
    beside: new Set(Object.keys(config.columns)),
    since: since === null ? null : { field: since.field, order: since.order },
    keysMax: config.max_keys,
    mayForget: isKeyed && config.deletes === 'none',
  })
}

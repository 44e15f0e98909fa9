/**
 * One start of the source, up to the moment where the stream takes over: which server this is,
 * preflight, where to begin, and what the tables are.
 */
import type { Context } from '../../core/connector/context.ts'
import type { Problem } from '../../core/connector/problem.ts'
import {
  nothingCopied,
  withTable,
  type SnapshotProgress,
} from '../../core/connector/snapshot/progress.ts'
import type { SourceBatch } from '../../core/connector/source.ts'
import { codes } from '../../core/errors/codes.ts'
import { SluiceError } from '../../core/errors/error.ts'
import { emptyBatch } from '../../core/record/batch-ops.ts'
import { defaultCharset, endOf } from './schema/catalog-ask.ts'
import { topicName, topicSchema, type CatalogTable, type Query } from './schema/catalog.ts'
import { loadCollations, type Collations } from './schema/charsets-catalog.ts'
import {
  loadDefaults,
  noDefaults,
  tableWithOldRows,
  type Defaults,
} from './schema/column-defaults.ts'
import { onPurged, policiesOf, type MysqlConfig } from './config.ts'
import { loadDdlParser } from './schema/ddl-column.ts'
import { Followed } from './schema/followed.ts'
import type { StreamPlace } from './place.ts'
import type { MysqlPosition } from './position.ts'
import { placeToBegin } from './prepared-xa.ts'
import { preflightProblems, productProblems } from './preflight.ts'
import { loadFacts, type Facts } from './preflight-facts.ts'
import { rememberedTable, SchemaMemory } from './schema/schema-memory.ts'
import { loadServerInfo, type ServerInfo } from './server-info.ts'
import { parseTablePattern } from './schema/table-pattern.ts'

/** Everything that a stream needs to begin. */
export interface Start {
  readonly info: ServerInfo
  /** The followed tables as they are now. */
  readonly tables: readonly CatalogTable[]
  /** By topic. */
  readonly defaults: ReadonlyMap<string, Defaults>
  readonly collations: Collations
  readonly place: StreamPlace
  readonly progress: SnapshotProgress
  readonly memory: SchemaMemory
  readonly followed: Followed
  /** Topics without a table at this place of the stream. */
  readonly gone: readonly string[]
  /** Topics to copy again because changes of them are lost. */
  readonly again: readonly string[]
}

/** What a position says of the source, beside the place and the copy. */
export interface Extras {
  /** SchemaMemory's text. */
  readonly schemas?: string
  readonly gone?: readonly string[]
}

/** Tables that were not followed for a while are another table than the one that was copied. */
const unfollowed = { id: '', key: [] } as const

/** Throws a SluiceError when the source cannot start, or what `query` throws. */
export async function begin(
  query: Query,
  config: MysqlConfig,
  ctx: Context,
  { after, signal }: { readonly after: MysqlPosition | null; readonly signal: AbortSignal },
): Promise<Start> {
  const info = await loadServerInfo(query)
  sayServer(ctx, info)
  refuse(productProblems(info), ctx)
  // Before the tables are looked at: what changes them later is in the stream.
  const here = (): Promise<StreamPlace | null> => placeToBegin(query, info, ctx, signal)
  const now = after === null && info.logBin ? await mayBeDenied(here(), signal) : null
  const facts = await loadFacts(query, {
    server: info,
    config,
    after: after?.place ?? null,
    known: knownTopics(after),
  })
  refuse(preflightProblems(facts), ctx)
  const found = facts.tables.map(({ table }) => table)
  const defaults = await tableDefaults(query, found)
  const tables = found.map((table) =>
    tableWithOldRows(table, defaults.get(topicName(table)) ?? noDefaults, policiesOf(config)),
  )
  const again = topicsLost(facts, config, ctx)
  const place = (again.length > 0 ? await here() : (after?.place ?? now))!
  const followed = new Followed(
    config.tables.map((entry) => parseTablePattern(entry)!),
    info,
  )
  const kept = again.length > 0 ? null : after
  return {
    info,
    tables,
    defaults,
    collations: await loadCollations(query),
    place,
    progress: startProgress(config, followed, tables, after?.snapshot ?? nothingCopied),
    memory: await startMemory(query, info, tables, kept),
    followed,
    gone: extrasOf(kept).gone ?? [],
    again,
  }
}

function knownTopics(after: MysqlPosition | null): readonly string[] {
  return Object.entries(after?.snapshot?.tables ?? {})
    .filter(([, { id }]) => id !== unfollowed.id)
    .map(([topic]) => topic)
}

/** They come from our own log, as `positionExtras` made them. */
function extrasOf(position: MysqlPosition | null): Extras {
  return position?.extras ?? {}
}

export function positionExtras(memory: SchemaMemory, gone: readonly string[]): Extras {
  const schemas = memory.text()
  return {
    ...(schemas === null ? {} : { schemas }),
    ...(gone.length === 0 ? {} : { gone }),
  }
}

function sayServer(ctx: Context, info: ServerInfo): void {
  ctx.logger.info('connected', {
    flavour: info.flavour,
    version: info.version,
    gtids: info.gtids,
    rowImage: info.rowImage,
    rowMetadata: info.rowMetadata,
  })
}

/** What is not allowed is preflight's to say, together with everything else. */
async function mayBeDenied(
  place: Promise<StreamPlace | null>,
  signal: AbortSignal,
): Promise<StreamPlace | null> {
  try {
    return await place
  } catch {
    signal.throwIfAborted()
    return null
  }
}

/** Throws everything that is wrong as one error; warnings go to the log. */
function refuse(problems: readonly Problem[], ctx: Context): void {
  const errors = problems.filter(({ severity }) => severity === 'error')
  const first = errors.find(({ code }) => codes[code].fault === 'config') ?? errors[0]
  if (first !== undefined) {
    throw new SluiceError(first.code, {
      message: errors.map(({ message }) => message).join(' '),
      remedy: errors.map(({ remedy }) => remedy).join('\n'),
    })
  }
  for (const { code, message, remedy } of problems) ctx.logger.warn(message, { code, remedy })
}

/**
 * The topics to copy again because the server has removed changes that the log lacks. Throws when that
 * is not what the configuration wants for every one of them: without those changes no topic can go on.
 */
function topicsLost(
  { place, tables }: Facts,
  config: MysqlConfig,
  ctx: Context,
): readonly string[] {
  if (place?.kind !== 'purged') return []
  const topics = tables.map(({ table }) => topicName(table))
  const stopping = topics.filter((topic) => onPurged(config, topic) === 'stop')
  const what = `The server has removed ${place.what}, which the log does not have.`
  if (stopping.length > 0) {
    throw new SluiceError('source.mysql.binlog_purged', {
      message: `${what} Stopped because of ${stopping.join(', ')}.`,
      remedy:
        'The changes are gone. Set on_purged: resnapshot for these tables, so that all are copied again from now on; and raise binlog_expire_logs_seconds.',
    })
  }
  ctx.logger.warn(
    'the server has removed changes that the log lacks: all tables are copied again',
    {
      missing: place.what,
    },
  )
  return topics
}

/**
 * Topics that are not followed now are void: should they be followed again, they are copied anew. With
 * snapshot: never so are those followed from now on, in case the tables are to be copied later.
 */
function startProgress(
  { snapshot }: MysqlConfig,
  followed: Followed,
  tables: readonly CatalogTable[],
  before: SnapshotProgress,
): SnapshotProgress {
  let progress = before
  for (const [topic, { id }] of Object.entries(before.tables)) {
    if (id === unfollowed.id || followed.nameOf(topic) !== null) continue
    progress = withTable(progress, topic, unfollowed)
  }
  if (snapshot === 'initial') return progress
  for (const topic of tables.map(topicName)) {
    if (progress.tables[topic] === undefined) progress = withTable(progress, topic, unfollowed)
  }
  return progress
}

/** The topics that were copied, or are to be. */
export function topicsToCopy(
  { snapshot, resnapshot }: MysqlConfig,
  { tables, progress }: Start,
): readonly string[] {
  const begun = Object.entries(progress.tables)
    .filter(([, { id }]) => id !== unfollowed.id)
    .map(([topic]) => topic)
  const wanted = snapshot === 'never' ? Object.keys(resnapshot) : tables.map(topicName)
  return [...new Set([...begun, ...wanted])]
}

/**
 * Schemas where the binlog does not have them: as they were at the place, or as they are now where
 * nothing is remembered. What is remembered of a table that the binlog describes is of no use.
 */
async function startMemory(
  query: Query,
  info: ServerInfo,
  tables: readonly CatalogTable[],
  after: MysqlPosition | null,
): Promise<SchemaMemory> {
  const kept = extrasOf(after).schemas ?? null
  const memory = kept === null ? new SchemaMemory() : SchemaMemory.parse(kept)
  if (info.rowMetadata === 'FULL' && kept === null) return memory
  await loadDdlParser()
  const asOf = await endOf(query, info)
  for (const table of tables) {
    const topic = topicName(table)
    if (memory.get(topic) !== undefined) continue
    memory.set(topic, rememberedTable(table, await defaultCharset(query, table), asOf))
  }
  return memory
}

async function tableDefaults(
  query: Query,
  tables: readonly CatalogTable[],
): Promise<ReadonlyMap<string, Defaults>> {
  const defaults = new Map<string, Defaults>()
  for (const table of tables) defaults.set(topicName(table), await loadDefaults(query, table))
  return defaults
}

/** Every topic with its schema, before the first rows, or none at all. */
export function announcement(config: MysqlConfig, tables: readonly CatalogTable[]): SourceBatch {
  const changes = tables.map((table) => ({
    topic: topicName(table),
    batch: emptyBatch(topicSchema(table, policiesOf(config))),
  }))
  return { changes, transaction: null, end: null, position: null }
}

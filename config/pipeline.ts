/**
 * Pipeline: one checked YAML file as data. `config` values have passed their connector's schema and
 * are given back to it; nobody else looks into them.
 */
import type { Secret } from '../core/connector/secret.ts'
import type { LetterBudget } from '../core/connector/letter-budget.ts'
import type { SchemaPolicy } from '../core/connector/schema-policy.ts'
import type { SinkConnector } from '../core/connector/sink.ts'
import type { SourceConnector } from '../core/connector/source.ts'

export interface Pipeline {
  /** The file as the user named it. */
  readonly file: string
  readonly name: string
  readonly log: LogConfig
  readonly server: ServerConfig
  readonly sources: readonly PipelineSource[]
  readonly transforms: readonly PipelineTransform[]
  readonly sinks: readonly PipelineSink[]
}

export interface LogConfig {
  /** `file:///absolute/folder`, `s3://bucket/prefix` or `memory://name`. */
  readonly url: string
  readonly endpoint: string | null
  readonly region: string | null
  readonly pathStyle: boolean | null
  readonly accessKeyId: string | null
  readonly secretAccessKey: Secret | null
  /** Longest time rows wait for a commit; null = adaptive. */
  readonly flushMs: number | null
}

/** Of the HTTP server that sources are called through; it listens only when one is. */
export interface ServerConfig {
  readonly host: string
  readonly port: number
  /** PEM texts. */
  readonly tls: {
    readonly cert: string
    readonly key: Secret
    readonly clientCa: string | null
  } | null
  /** CIDRs or addresses. */
  readonly trustProxy: readonly string[]
  readonly maxConnections: number
  readonly headersTimeoutMs: number
  readonly requestTimeoutMs: number
  readonly keepAliveMs: number
}

export interface PipelineSource {
  readonly name: string
  readonly kind: string
  readonly connector: SourceConnector<unknown>
  readonly config: unknown
}

export interface PipelineTransform {
  readonly name: string
  readonly sql: string
  /** Where a range of `sql` (character offsets) stands in the file. */
  readonly sqlRange: (start: number, end: number) => FileRange
}

export interface PipelineSink {
  readonly name: string
  readonly kind: string
  readonly connector: SinkConnector<unknown>
  readonly config: unknown
  /** As written: topics, short names, patterns with `*`; see `matchTopic`. */
  readonly from: readonly string[]
  readonly onSchemaChange: SchemaPolicy
  readonly deadLetters: LetterBudget
}

export interface FileRange {
  readonly file: string
  /** Both count from 1. */
  readonly line: number
  readonly col: number
  /** The lines around it, underlined. */
  readonly frame: string
}

/**
 * What is known of a file even while references lack values or parts are wrong: enough to check the
 * SQL of its transforms offline, and to read its log.
 */
export interface PipelineOutline {
  readonly name: string | null
  /** null while it has problems or lacks values. */
  readonly log: LogConfig | null
  /** Names; also of entries that have problems. */
  readonly sources: readonly string[]
  readonly sinks: readonly string[]
  /** Sources whose type is known. */
  readonly knownSources: readonly Pick<PipelineSource, 'name' | 'connector'>[]
  /** Sinks whose type is known. */
  readonly knownSinks: readonly OutlinedSink[]
  readonly transforms: readonly PipelineTransform[]
  readonly topics: KnownTopics
}

export interface OutlinedSink {
  readonly name: string
  readonly kind: string
  readonly connector: SinkConnector<unknown>
  /** null while it has problems or lacks values. */
  readonly sink: PipelineSink | null
}

export interface KnownTopics {
  /** Full names, those of transforms included. */
  readonly topics: readonly string[]
  /** Prefixes `<source>.` under which there may be more topics than are named. */
  readonly open: readonly string[]
}

/** What a sink that fills a feature store can do beside delivering: `sluice features verify | export`. */
import type { SinkContext } from './context.ts'
import type { TopicInfo } from './sink.ts'

export interface FeatureTools<C> {
  /**
   * Compares online values with those that the offline log says were newest, for a sample of entity
   * keys. Reads only. Throws where a store cannot be reached, or the sink has nothing to compare with.
   */
  verify(config: C, options: VerifyOptions, ctx: SinkContext): Promise<readonly FeatureAgreement[]>
  /** Files of a repository that lets the feature store's own SDK read what the sink writes. */
  export(
    config: C,
    topics: readonly TopicInfo[],
    ctx: SinkContext,
  ): Promise<readonly ExportedFile[]>
}

export interface VerifyOptions {
  /** Topics that the sink takes, with the schemas that the log knows. */
  readonly topics: readonly TopicInfo[]
  /** Views looked at; all when null. */
  readonly views: readonly string[] | null
  /** Entity keys looked at per view; all when null. */
  readonly sample: number | null
  /** Rows with a later event time are left out on both sides: they may be on their way. */
  readonly asOfMs: number
  /** Another seed, another sample. */
  readonly seed: number
  readonly signal: AbortSignal
}

export interface FeatureAgreement {
  readonly view: string
  readonly feature: string
  /** Those that at least one of the two stores has. */
  readonly keys: number
  /** Keys whose values differ. */
  readonly mismatched: number
  /** Keys that the offline log has and the online store lacks. */
  readonly missing: number
  /** Keys that the online store has and the offline log lacks. */
  readonly extra: number
  /** Keys that changed each time they were looked at; they are not among `keys`. */
  readonly unsettled: number
  /** A few of them for a human, without values. */
  readonly examples: readonly string[]
}

export interface ExportedFile {
  readonly name: string
  readonly text: string
  /** Environment variables that whoever uses the file has to set, with what they are. */
  readonly variables: readonly (readonly [name: string, meaning: string])[]
}

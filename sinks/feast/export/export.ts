/** `sluice features export`: a Feast repository that reads what the sink writes. */
import type { SinkContext } from '../../../core/connector/context.ts'
import type { ExportedFile } from '../../../core/connector/feature-tools.ts'
import type { TopicInfo } from '../../../core/connector/sink.ts'
import type { FeastConfig } from '../config.ts'
import { viewFolder } from '../offline/names.ts'
import { offlineFiles } from '../offline/open.ts'
import { plannedViews } from '../planned-views.ts'
import { definitionsFile, type OfflinePlace } from './definitions.ts'
import { storeFile } from './store-yaml.ts'

/** The same configuration and topics give the same bytes. Throws as `plannedViews`. */
export async function exportFeatures(
  config: FeastConfig,
  topics: readonly TopicInfo[],
  ctx: SinkContext,
): Promise<readonly ExportedFile[]> {
  const views = plannedViews(config, topics, null)
  const origin = `sink ${ctx.name} of pipeline ${ctx.pipeline}`
  const store = storeFile(config, origin)
  const { target } = config
  const definitions = definitionsFile(views, {
    origin,
    offline: await offlinePlace(config, ctx),
    pushSource:
      target.type === 'push' ? ({ stored }) => target.source.replaceAll('{view}', stored) : null,
  })
  return [
    { name: 'feature_store.yaml', text: store.text, variables: store.variables },
    { name: 'definitions.py', text: definitions, variables: [] },
  ]
}

async function offlinePlace(
  { offline }: FeastConfig,
  ctx: SinkContext,
): Promise<OfflinePlace | null> {
  if (offline === undefined) return null
  await using files = offlineFiles(offline, ctx)
  // A store says its folder as it is, not percent-encoded.
  const path = files.url.replace(/^file:\/\//, '')
  return {
    path: path.replace(/\/$/, ''),
    endpoint: offline.endpoint ?? null,
    folderOf: ({ name }) => viewFolder(name).replace(/\/$/, ''),
  }
}

/** The offline log as the pipeline file configures it. Connects to nothing yet. */
import type { SinkContext } from '../../../core/connector/context.ts'
import type { FileStore } from '../../../core/connector/file-store.ts'
import type { Problem } from '../../../core/connector/problem.ts'
import { toSluiceError } from '../../../core/errors/error.ts'
import type { OfflineConfig } from './config.ts'
import { OfflineLog } from './log.ts'

export function openOfflineLog(config: OfflineConfig, ctx: SinkContext): OfflineLog {
  const { compaction } = config
  const options =
    compaction === false ? null : { filesMax: compaction.files, quietMs: compaction.quiet }
  return new OfflineLog(offlineFiles(config, ctx), options, ctx)
}

/** Whether the folder or bucket can be looked into; writing shows at the first rows. */
export async function checkOfflineLog(
  config: OfflineConfig,
  ctx: SinkContext,
  signal: AbortSignal,
): Promise<readonly Problem[]> {
  try {
    await using files = offlineFiles(config, ctx)
    await files.list('', { limit: 1 }, signal)
    return []
  } catch (thrown) {
    signal.throwIfAborted()
    const { code, message, remedy } = toSluiceError(thrown)
    return [{ code, severity: 'error', message, remedy }]
  }
}

/** The caller disposes of it. */
export function offlineFiles(config: OfflineConfig, ctx: SinkContext): FileStore {
  const { endpoint, region, path_style: pathStyle, access_key_id: accessKeyId } = config
  const secretAccessKey = config.secret_access_key?.reveal()
  return ctx.files(config.url, {
    ...(endpoint === undefined ? {} : { endpoint }),
    ...(region === undefined ? {} : { region }),
    ...(pathStyle === undefined ? {} : { pathStyle }),
    ...(accessKeyId === undefined ? {} : { accessKeyId }),
    ...(secretAccessKey === undefined ? {} : { secretAccessKey }),
  })
}

/** The store and the log that a pipeline file names. */
import type { LogConfig } from '../config/pipeline.ts'
import { openStore } from '../core/store/open.ts'
import type { ObjectStore } from '../core/store/store.ts'

/** Connects to nothing yet. Throws `store.url_invalid`. */
export function storeOf(log: LogConfig): ObjectStore {
  return openStore(log.url, {
    ...(log.endpoint === null ? {} : { endpoint: log.endpoint }),
    ...(log.region === null ? {} : { region: log.region }),
    ...(log.pathStyle === null ? {} : { pathStyle: log.pathStyle }),
    ...(log.accessKeyId === null ? {} : { accessKeyId: log.accessKeyId }),
    ...(log.secretAccessKey === null ? {} : { secretAccessKey: log.secretAccessKey.reveal() }),
  })
}

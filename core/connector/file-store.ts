/**
 * FileStore: whole files by name in a folder or a bucket, for sinks that leave files behind (an offline
 * feature log). core/store implements it; a sink is given one by its Context.
 */
export interface FileStore extends AsyncDisposable {
  /** Where it is, for messages; holds no secret. */
  readonly url: string
  /** The file, or null when there is none. */
  get(name: string, signal: AbortSignal): Promise<{ readonly bytes: Uint8Array } | null>
  /** Creates or replaces the file; all of it or nothing is ever seen, and it is durable on return. */
  put(name: string, bytes: Uint8Array, signal: AbortSignal): Promise<void>
  /** Names that begin with `prefix`, in ascending order within a folder, after `after`, at most `limit`. */
  list(
    prefix: string,
    options: { readonly after?: string; readonly limit: number },
    signal: AbortSignal,
  ): Promise<readonly string[]>
  /** Removes the files; those that are gone already do not matter. */
  remove(names: readonly string[], signal: AbortSignal): Promise<void>
}

/** Access to an S3 bucket other than through the environment. */
export interface FileStoreOptions {
  readonly endpoint?: string
  readonly region?: string
  readonly pathStyle?: boolean
  readonly accessKeyId?: string
  readonly secretAccessKey?: string
}

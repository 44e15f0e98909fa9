/** A store from its URL: `file://`, `s3://` or `memory://`. Nothing is connected to here. */
import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { SluiceError } from '../errors/error.ts'
import { DirectoryStore } from './directory.ts'
import { MemoryBucket, MemoryStore, type MemoryFaults } from './memory.ts'
import { S3Store, type S3Options } from './s3.ts'
import type { ObjectStore } from './store.ts'

export interface StoreOptions extends S3Options {
  /** `file://./relative` is relative to this folder; the working directory unless given. */
  readonly baseFolder?: string
  /** `memory://` only. */
  readonly faults?: MemoryFaults
}

const buckets = new Map<string, MemoryBucket>()

/**
 * `file://./relative`, `file:///absolute`, `s3://bucket/prefix`, `memory://name` (the same name is
 * the same store within a process). Throws `store.url_invalid`.
 */
export function openStore(url: string, options: StoreOptions = {}): ObjectStore {
  if (url.startsWith('file://')) return new DirectoryStore(folderOf(url, options.baseFolder ?? '.'))
  const parts = /^(s3|memory):\/\/([^/?#]+)(?:\/([^?#]*))?$/.exec(url)
  const [, scheme, host, path = ''] = parts ?? []
  if (host === undefined) {
    throw new SluiceError('store.url_invalid', { message: `${JSON.stringify(url)} names no store` })
  }
  if (scheme === 's3') return new S3Store(host, path.replace(/^\/+|\/+$/g, ''), options)
  const bucket = buckets.get(host) ?? new MemoryBucket()
  buckets.set(host, bucket)
  return new MemoryStore(host, bucket, options.faults ?? null)
}

function folderOf(url: string, baseFolder: string): string {
  const path = url.slice('file://'.length)
  if (path.startsWith('./') || path.startsWith('../') || path === '.') {
    return resolve(baseFolder, path)
  }
  if (!path.startsWith('/')) {
    throw new SluiceError('store.url_invalid', {
      message: `${JSON.stringify(url)} is neither file:///absolute nor file://./relative`,
    })
  }
  return fileURLToPath(url)
}

/**
 * A folder as an object store.
 *
 * create = write a temporary file, fsync it, link() it to its name, fsync the folder. link() fails
 * when the name exists, which makes it the compare-and-set; rename() overwrites and cannot be it.
 * Without the fsync of the folder a power cut could forget a name that was already acknowledged.
 */
import { randomUUID } from 'node:crypto'
import * as fs from 'node:fs'
import { closeSync, constants } from 'node:fs'
import {
  link,
  mkdir,
  open,
  readdir,
  rename,
  rm,
  stat,
  unlink,
  type FileHandle,
} from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { SluiceError } from '../errors/error.ts'
import {
  checkKey,
  resolveRange,
  type ByteRange,
  type ListOptions,
  type ObjectStore,
  type StoredBytes,
} from './store.ts'

/** Temporary files live here, inside the root so that link() stays within one file system. */
const tmpFolder = '.tmp'
/** A temporary file this old belongs to a process that was killed while it wrote. */
const staleTmpMs = 60 * 60 * 1000
/** Of one call; the system takes less than 2 GiB. */
const writeBytesMax = 1 << 30

// By number and not as a FileHandle, which can only be closed by a call that is waited for.
const openFd = promisify(fs.open)
const writeFd = promisify(fs.write)
const fdatasync = promisify(fs.fdatasync)
const fsync = promisify(fs.fsync)

export class DirectoryStore implements ObjectStore {
  readonly url: string
  readonly #root: string
  /** Folders known to exist, so that a commit costs no mkdir. */
  readonly #folders = new Set<string>()
  #ready: Promise<void> | null = null

  /** `root` is an absolute path; it is made at the first write. */
  constructor(root: string) {
    this.#root = root
    this.url = `file://${root}`
  }

  async get(key: string, signal: AbortSignal, range?: ByteRange): Promise<StoredBytes | null> {
    checkKey(key)
    signal.throwIfAborted()
    let file: FileHandle
    try {
      file = await open(join(this.#root, key), constants.O_RDONLY)
    } catch (error) {
      if (hasCode(error, 'ENOENT', 'ENOTDIR')) return null
      throw this.#failure(key, error)
    }
    try {
      const { size } = await file.stat()
      const { start, end } = resolveRange(range, size)
      const bytes = await readFully(file, start, end)
      return { bytes, size }
    } catch (error) {
      throw this.#failure(key, error)
    } finally {
      await file.close()
    }
  }

  async create(key: string, bytes: Uint8Array, signal: AbortSignal): Promise<'created' | 'exists'> {
    return this.#write({ key, bytes }, signal, async (tmp, target) => {
      try {
        await link(tmp, target)
        return 'created'
      } catch (error) {
        if (hasCode(error, 'EEXIST')) return 'exists'
        throw error
      }
    })
  }

  async put(key: string, bytes: Uint8Array, signal: AbortSignal): Promise<void> {
    await this.#write({ key, bytes }, signal, rename)
  }

  async list(prefix: string, options: ListOptions, signal: AbortSignal): Promise<string[]> {
    const keys: string[] = []
    const folder = prefix.slice(0, prefix.lastIndexOf('/') + 1)
    try {
      await this.#walk(folder, { prefix, ...options }, keys, signal)
    } catch (error) {
      signal.throwIfAborted()
      throw this.#failure(prefix, error)
    }
    return keys
  }

  async remove(keys: readonly string[], signal: AbortSignal): Promise<void> {
    const folders = new Set<string>()
    for (const key of keys) {
      checkKey(key)
      signal.throwIfAborted()
      const path = join(this.#root, key)
      try {
        await rm(path)
        folders.add(dirname(path))
      } catch (error) {
        if (!hasCode(error, 'ENOENT', 'ENOTDIR')) throw this.#failure(key, error)
      }
    }
    for (const folder of folders) await syncFolder(folder)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // Every call closes its own file: nothing is held between calls.
  }

  async #prepare(key: string, signal: AbortSignal): Promise<string> {
    checkKey(key)
    signal.throwIfAborted()
    const target = join(this.#root, key)
    try {
      this.#ready ??= this.#firstWrite()
      await this.#ready
      await this.#makeFolder(dirname(target))
    } catch (error) {
      this.#ready = null
      throw this.#failure(key, error)
    }
    return target
  }

  /** Makes the root and removes what processes that were killed left behind. */
  async #firstWrite(): Promise<void> {
    const folder = join(this.#root, tmpFolder)
    await this.#makeFolder(folder)
    for (const name of await readdir(folder)) {
      const path = join(folder, name)
      const found = await stat(path).catch(() => null)
      if (found !== null && Date.now() - found.mtimeMs > staleTmpMs) await rm(path, { force: true })
    }
  }

  /** mkdir -p whose new names survive a power cut: each parent is fsynced, from the top down. */
  async #makeFolder(folder: string): Promise<void> {
    if (this.#folders.has(folder)) return
    const first = await mkdir(folder, { recursive: true })
    if (first !== undefined) {
      let path = folder
      while (path.length > first.length) {
        path = dirname(path)
        await syncFolder(path)
      }
      await syncFolder(dirname(first))
    }
    this.#folders.add(folder)
  }

  /**
   * A temporary file that `name` gives its name. Of the calls each costs a turn of an event loop that may
   * be busy with thousands of requests, and a commit waits for all of them: so there are few, some of them
   * side by side, and files are closed at once, which after their fsync is nothing to wait for.
   */
  async #write<T>(
    { key, bytes }: { readonly key: string; readonly bytes: Uint8Array },
    signal: AbortSignal,
    name: (tmp: string, target: string) => Promise<T>,
  ): Promise<T> {
    const target = await this.#prepare(key, signal)
    const tmp = join(this.#root, tmpFolder, randomUUID())
    const opened = await Promise.allSettled([openFd(tmp, 'wx'), openFd(dirname(target), 'r')])
    try {
      const [file, folder] = opened.map(fulfilled) as [number, number]
      await writeFully(file, bytes)
      await fdatasync(file)
      signal.throwIfAborted()
      const named = await name(tmp, target)
      await Promise.all([fsync(folder), removeTmp(tmp)])
      return named
    } catch (error) {
      await removeTmp(tmp)
      signal.throwIfAborted()
      throw this.#failure(key, error)
    } finally {
      for (const file of opened) if (file.status === 'fulfilled') closeSync(file.value)
    }
  }

  async #walk(
    folder: string,
    wanted: ListOptions & { readonly prefix: string },
    keys: string[],
    signal: AbortSignal,
  ): Promise<void> {
    signal.throwIfAborted()
    const entries = await readdir(join(this.#root, folder), { withFileTypes: true }).catch(
      (error: unknown) => {
        if (hasCode(error, 'ENOENT', 'ENOTDIR')) return []
        throw error
      },
    )
    // A folder sorts by its name with the slash, so that keys come out in key order.
    const names = entries.map((entry) => (entry.isDirectory() ? `${entry.name}/` : entry.name))
    names.sort((a, b) => (a < b ? -1 : 1))
    for (const name of names) {
      if (keys.length >= wanted.limit) return
      const key = folder + name
      if (key === `${tmpFolder}/`) continue
      if (!name.endsWith('/')) {
        const after = wanted.after === undefined || key > wanted.after
        if (after && key.startsWith(wanted.prefix)) keys.push(key)
      } else if (key.startsWith(wanted.prefix) || wanted.prefix.startsWith(key)) {
        const passed =
          wanted.after !== undefined && key < wanted.after && !wanted.after.startsWith(key)
        if (!passed) await this.#walk(key, wanted, keys, signal)
      }
    }
  }

  #failure(key: string, error: unknown): SluiceError {
    if (error instanceof SluiceError) return error
    const code = error instanceof Error && 'code' in error ? String(error.code) : String(error)
    const unusable = ['EACCES', 'EPERM', 'EROFS', 'ENOSPC', 'EDQUOT', 'ENOTSUP', 'EOPNOTSUPP']
    const kind =
      unusable.includes(code) || code === 'EISDIR' || code === 'ENOTDIR'
        ? 'store.folder_unusable'
        : 'store.unavailable'
    return new SluiceError(kind, {
      message: `${this.#root}: ${code} at ${key}`,
      cause: error,
    })
  }
}

async function readFully(file: FileHandle, start: number, end: number): Promise<Uint8Array> {
  // Not from Buffer's shared pool: views on it live as long as a batch does.
  const bytes = new Uint8Array(Buffer.allocUnsafeSlow(end - start).buffer)
  let done = 0
  while (done < bytes.length) {
    const { bytesRead } = await file.read(bytes, done, bytes.length - done, start + done)
    if (bytesRead === 0) return bytes.subarray(0, done)
    done += bytesRead
  }
  return bytes
}

async function writeFully(file: number, bytes: Uint8Array): Promise<void> {
  let done = 0
  while (done < bytes.length) {
    const length = Math.min(bytes.length - done, writeBytesMax)
    done += (await writeFd(file, bytes, done, length, done)).bytesWritten
  }
}

/** One that stays is removed by the first write of a later process. */
async function removeTmp(path: string): Promise<void> {
  await unlink(path).catch(() => {})
}

function fulfilled<T>(result: PromiseSettledResult<T>): T {
  if (result.status === 'rejected') throw result.reason
  return result.value
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, constants.O_RDONLY)
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

function hasCode(error: unknown, ...codes: readonly string[]): boolean {
  return error instanceof Error && 'code' in error && codes.includes(String(error.code))
}

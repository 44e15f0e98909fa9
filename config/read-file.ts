/**
 * Reading a file that a user names: a regular file of bounded size, or a clear reason why not. A
 * device or a pipe would make the program wait for ever, a wrong path to a dump would fill memory.
 */
import { constants } from 'node:fs'
import { open } from 'node:fs/promises'

export type ReadFile = (path: string, bytesMax: number) => Promise<FileContent>
export type FileContent =
  | { readonly kind: 'bytes'; readonly bytes: Uint8Array }
  | { readonly kind: 'missing' }
  | { readonly kind: 'too_large' }
  | { readonly kind: 'unreadable'; readonly reason: string }

export const readFile: ReadFile = async (path, bytesMax) => {
  try {
    // Without O_NONBLOCK the open of a pipe that nobody writes to never returns.
    await using file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK)
    const info = await file.stat()
    if (!info.isFile()) return { kind: 'unreadable', reason: 'it is not a regular file' }
    if (info.size > bytesMax) return { kind: 'too_large' }
    const bytes = new Uint8Array(bytesMax + 1)
    let length = 0
    while (length < bytes.length) {
      const { bytesRead } = await file.read(bytes, length, bytes.length - length)
      if (bytesRead === 0) break
      length += bytesRead
    }
    // A file may grow between stat and read, and files of /proc say 0.
    return length > bytesMax
      ? { kind: 'too_large' }
      : { kind: 'bytes', bytes: bytes.slice(0, length) }
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? 'unknown error'
    // ENOTDIR: a part of the path is a file; ERR_INVALID_ARG_VALUE: the path holds a NUL.
    if (code === 'ENOENT' || code === 'ENOTDIR') return { kind: 'missing' }
    return { kind: 'unreadable', reason: code }
  }
}

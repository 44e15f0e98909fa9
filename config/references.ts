/**
 * References: `${env.X}`, `${env.X:-default}` and `${file.path}` inside scalars.
 *
 *   text      = { plain | escape | reference } ;
 *   escape    = "$${" ;                                   (a plain "${")
 *   reference = "${" ( "env." name | "file." path ) [ ":-" default ] "}" ;
 *   name      = letter or "_", then letters, digits, "_" ;
 *   path      = characters other than "}" up to ":-" ;    (relative to the pipeline file)
 *   default   = characters other than "}" ;               (used when unset, missing or empty)
 *
 * They are resolved on parsed scalars only: in comments, keys and YAML's own syntax a `${` means
 * nothing, and a value can never change the structure of the file. What a reference gives is not
 * looked at for references again.
 */
import { dirname, resolve as resolvePath } from 'node:path'
import type { ReadFile } from './read-file.ts'
import { didYouMean } from '../core/connector/nearest.ts'

export type Environment = Readonly<Record<string, string | undefined>>

export interface Resolved {
  /** The text with every reference replaced; null when one of them has no value. */
  readonly text: string | null
  /** Whether the text held a reference at all. */
  readonly referred: boolean
  /** Pieces of `text` in order, each copied from `raw` or put in by a reference. */
  readonly pieces: readonly Piece[]
  readonly issues: readonly ReferenceIssue[]
}
export interface Piece {
  /** Where it begins in the resolved text and in the raw one. */
  readonly at: number
  readonly rawAt: number
  readonly copied: boolean
}
export interface ReferenceIssue {
  readonly code: 'config.unresolved' | 'config.bad_reference'
  readonly message: string
  readonly suggestion: string | null
}

const referencedBytesMax = 64 * 1024

export class References {
  readonly #env: Environment
  readonly #readFile: ReadFile
  readonly #folder: string

  constructor(pipelineFile: string, env: Environment, readFile: ReadFile) {
    this.#env = env
    this.#readFile = readFile
    this.#folder = dirname(resolvePath(pipelineFile))
  }

  async resolve(raw: string): Promise<Resolved> {
    const issues: ReferenceIssue[] = []
    const pieces: Piece[] = []
    let text = ''
    let referred = false
    let known = true
    let at = 0
    const add = (piece: string, rawAt: number, copied: boolean): void => {
      pieces.push({ at: text.length, rawAt, copied })
      text += piece
    }
    while (at < raw.length) {
      const open = raw.indexOf('${', at)
      if (open < 0) break
      if (open > at && raw[open - 1] === '$') {
        add(raw.slice(at, open - 1), at, true)
        add('${', open, true)
        at = open + 2
        continue
      }
      add(raw.slice(at, open), at, true)
      const close = raw.indexOf('}', open)
      const inner = close < 0 ? null : raw.slice(open + 2, close)
      const found = inner === null ? unclosed : await this.#lookUp(inner)
      referred = true
      if (typeof found === 'string') add(found, open, false)
      else {
        issues.push(found)
        known = false
      }
      at = close < 0 ? raw.length : close + 1
    }
    add(raw.slice(at), at, true)
    return { text: known ? text : null, referred, pieces, issues }
  }

  async #lookUp(inner: string): Promise<string | ReferenceIssue> {
    const cut = inner.indexOf(':-')
    const name = cut < 0 ? inner : inner.slice(0, cut)
    const fallback = cut < 0 ? null : inner.slice(cut + 2)
    if (name.startsWith('env.')) return this.#variable(name.slice(4), fallback)
    if (name.startsWith('file.') && name.length > 5) return this.#file(name.slice(5), fallback)
    const prefix = name.split('.')[0] ?? ''
    const near = didYouMean(prefix, ['env', 'file'])
    return {
      code: 'config.bad_reference',
      message: `"\${${shorten(name)}}" is not a reference`,
      suggestion: /^[A-Z_][A-Z0-9_]*$/.test(name)
        ? `did you mean "\${env.${name}}"?`
        : (near ?? 'write ${env.NAME} or ${file.path}, or $${ for a plain ${'),
    }
  }

  #variable(name: string, fallback: string | null): string | ReferenceIssue {
    if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) {
      return {
        code: 'config.bad_reference',
        message: `"${shorten(name)}" cannot be the name of an environment variable`,
        suggestion: null,
      }
    }
    const value = Object.hasOwn(this.#env, name) ? this.#env[name] : undefined
    if (value !== undefined && !(value === '' && fallback !== null)) return value
    return (
      fallback ?? {
        code: 'config.unresolved',
        message: `the environment variable ${name} is not set`,
        suggestion: `set it, or write \${env.${name}:-default}`,
      }
    )
  }

  async #file(path: string, fallback: string | null): Promise<string | ReferenceIssue> {
    const content = await this.#readFile(resolvePath(this.#folder, path), referencedBytesMax)
    if (content.kind === 'bytes') {
      try {
        const text = new TextDecoder('utf-8', { fatal: true }).decode(content.bytes)
        // Editors and `echo` end a file with a line break that belongs to no secret.
        return text.replace(/\r?\n$/, '')
      } catch {
        return unresolvedFile(path, 'is not UTF-8 text')
      }
    }
    if (content.kind === 'missing') return fallback ?? unresolvedFile(path, 'does not exist')
    if (content.kind === 'too_large') {
      return unresolvedFile(path, `is larger than ${referencedBytesMax} bytes`)
    }
    return unresolvedFile(path, `cannot be read: ${content.reason}`)
  }
}

const unclosed: ReferenceIssue = {
  code: 'config.bad_reference',
  message: 'a reference that begins with "${" has no "}"',
  suggestion: 'close it, or write $${ for a plain ${',
}

function unresolvedFile(path: string, why: string): ReferenceIssue {
  const message = `the file ${shorten(path)} ${why}`
  return { code: 'config.unresolved', message, suggestion: null }
}

function shorten(text: string): string {
  return text.length <= 60 ? text : `${text.slice(0, 57)}...`
}

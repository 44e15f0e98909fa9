/**
 * ConfigDocument: a pipeline file after its references are resolved: the plain value that schemas
 * check, and for each place in it the node it came from. Every problem is made here, so that each one
 * has a line.
 */
import type { Code } from '../core/errors/codes.ts'
import type { ConfigProblem } from './problem.ts'
import type { Piece, References, Resolved } from './references.ts'
import { printable, type SourceText } from './source-text.ts'
import type { ScalarNode, TreeNode } from './tree.ts'

export type Path = readonly (string | number)[]

/** A scalar that held references, by its path. */
export interface ReferredScalar {
  readonly node: ScalarNode
  readonly resolved: Resolved
}

export interface ProblemDetails {
  readonly message: string
  readonly suggestion?: string | null
  readonly severity?: 'error' | 'warning'
  /** Point at the key rather than at the value. */
  readonly atKey?: boolean
}

/** A problem before its frame is drawn; `start` and `end` are character offsets. */
export interface Draft {
  readonly code: Code
  readonly path: Path
  readonly start: number
  readonly end: number
  readonly details: ProblemDetails
}

export class ConfigDocument {
  readonly source: SourceText
  readonly root: TreeNode | null
  readonly #drafts: Draft[] = []
  readonly #referred = new Map<string, ReferredScalar>()
  /** Paths of scalars without a value, and all their parents. */
  readonly #unresolved = new Set<string>()
  #value: unknown = undefined

  constructor(source: SourceText, root: TreeNode | null) {
    this.source = source
    this.root = root
  }

  /** Builds `value`; unresolved references are problems of the severity given. */
  async resolve(references: References, severity: 'error' | 'warning'): Promise<void> {
    this.#value = this.root === null ? undefined : await this.#build(this.root, [], references)
    for (const [key, { resolved }] of this.#referred) {
      const path = JSON.parse(key) as (string | number)[]
      for (const issue of resolved.issues) {
        this.add(issue.code, path, {
          message: issue.message,
          suggestion: issue.suggestion,
          severity: issue.code === 'config.unresolved' ? severity : 'error',
        })
      }
    }
  }

  get value(): unknown {
    return this.#value
  }

  /** The scalar at `path` if it held a reference. */
  referred(path: Path): ReferredScalar | undefined {
    return this.#referred.get(JSON.stringify(path))
  }

  /** Whether a reference without a value stands at or below `path`. */
  unresolvedUnder(path: Path): boolean {
    return this.#unresolved.has(JSON.stringify(path))
  }

  /** The node at `path`, or null. */
  node(path: Path): TreeNode | null {
    let node = this.root
    for (const part of path) {
      node = node === null ? null : child(node, part)
    }
    return node
  }

  /** The keys of the mapping at `path`; none when there is none. */
  keys(path: Path): readonly string[] {
    const node = this.node(path)
    return node?.kind === 'map' ? [...node.entries.keys()] : []
  }

  /** The character range of `path`, or of its nearest parent that exists. */
  range(path: Path, atKey: boolean): readonly [number, number] {
    let node = this.root
    let range: readonly [number, number] =
      node === null ? [0, 0] : [node.start, Math.min(node.end, node.start + 1)]
    for (const [index, part] of path.entries()) {
      const entry = node?.kind === 'map' ? node.entries.get(String(part)) : undefined
      const next: TreeNode | null = node === null ? null : child(node, part)
      if (next === null) return range
      const last = index === path.length - 1
      const scalar = next.kind === 'scalar' && next.end > next.start
      if (entry !== undefined && (atKey || !last || !scalar)) {
        range = [entry.keyStart, entry.keyEnd]
      } else range = [next.start, next.end]
      node = next
    }
    return range
  }

  add(code: Code, path: Path, details: ProblemDetails): void {
    const [start, end] = this.range(path, details.atKey ?? false)
    this.addAt(code, path, start, end, details)
  }

  addAt(code: Code, path: Path, start: number, end: number, details: ProblemDetails): void {
    this.#drafts.push({ code, path, start, end, details })
  }

  /**
   * Every problem in the order of the file. Asked for last: only when all checks are done is it known
   * what the frames must mask.
   */
  problems(keep: (draft: Draft) => boolean = () => true): readonly ConfigProblem[] {
    const drafts = this.#drafts.filter(keep).sort((a, b) => a.start - b.start)
    return drafts.map(({ code, path, start, end, details }) => ({
      file: this.source.file,
      ...this.source.place(start),
      severity: details.severity ?? 'error',
      code,
      path: printable(path.join('.')),
      message: printable(details.message),
      suggestion: details.suggestion == null ? null : printable(details.suggestion),
      frame: this.source.frame(start, end),
    }))
  }

  async #build(node: TreeNode, path: Path, references: References): Promise<unknown> {
    if (node.kind === 'list') {
      const items: unknown[] = []
      for (const [index, item] of node.items.entries()) {
        items.push(await this.#build(item, [...path, index], references))
      }
      return items
    }
    if (node.kind === 'map') {
      const object: Record<string, unknown> = {}
      for (const [key, { node: value }] of node.entries) {
        const built = await this.#build(value, [...path, key], references)
        // Plain assignment to `__proto__` would set the prototype instead of a key.
        Object.defineProperty(object, key, {
          value: built,
          enumerable: true,
          configurable: true,
          writable: true,
        })
      }
      return object
    }
    if (typeof node.value !== 'string' || !node.value.includes('${')) return node.value
    const resolved = await references.resolve(node.value)
    this.#referred.set(JSON.stringify(path), { node, resolved })
    for (let length = path.length; resolved.text === null && length >= 0; length--) {
      this.#unresolved.add(JSON.stringify(path.slice(0, length)))
    }
    return resolved.text ?? node.value
  }
}

function child(node: TreeNode, part: string | number): TreeNode | null {
  if (node.kind === 'map') return node.entries.get(String(part))?.node ?? null
  if (node.kind === 'list') return node.items[Number(part)] ?? null
  return null
}

/** Where an offset of the resolved text stands in the raw one; inside a reference: at its `${`. */
export function rawOffset(pieces: readonly Piece[], offset: number): number {
  let piece: Piece = { at: 0, rawAt: 0, copied: true }
  for (const next of pieces) {
    if (next.at > offset) break
    piece = next
  }
  return piece.copied ? piece.rawAt + (offset - piece.at) : piece.rawAt
}

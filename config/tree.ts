/**
 * Tree: a parsed YAML document as plain nodes that know where they stand. Everything after this file
 * works on nodes; nothing looks at YAML again.
 *
 * Aliases are expanded, and the number of nodes is bounded: nine lines of aliases to aliases would
 * otherwise expand to billions.
 */
import {
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  parseDocument,
  type Document,
  type Node,
  type Range,
  type YAMLError,
} from 'yaml'
import type { Code } from '../core/errors/codes.ts'
import { shieldReferences } from './shield.ts'

export type TreeNode = ScalarNode | MapNode | ListNode

interface NodeBase {
  /** Character offsets in the file, from the first character to behind the last. */
  readonly start: number
  readonly end: number
}
export interface ScalarNode extends NodeBase {
  readonly kind: 'scalar'
  readonly value: string | number | boolean | null
  /** How it was written; `plain` texts may turn out to be numbers once references are resolved. */
  readonly style: 'plain' | 'quoted' | 'block'
}
export interface MapNode extends NodeBase {
  readonly kind: 'map'
  readonly entries: ReadonlyMap<string, MapEntry>
}
export interface MapEntry {
  readonly keyStart: number
  readonly keyEnd: number
  readonly node: TreeNode
}
export interface ListNode extends NodeBase {
  readonly kind: 'list'
  readonly items: readonly TreeNode[]
}

export interface TreeIssue {
  readonly code: Code
  readonly start: number
  readonly end: number
  readonly message: string
  readonly suggestion: string | null
}

export interface ParsedTree {
  /** null when the file holds no YAML at all. */
  readonly root: TreeNode | null
  readonly issues: readonly TreeIssue[]
}

const nodesMax = 20_000
const depthMax = 64
const issuesMax = 50

/** Never throws; a file with errors may still give a tree, so that later checks find more. */
export function parseTree(text: string): ParsedTree {
  const shield = shieldReferences(text)
  const builder = new TreeBuilder(shield.restore)
  let document: Document.Parsed
  try {
    document = parseDocument(shield.text, {
      lineCounter: new LineCounter(),
      prettyErrors: false,
      stringKeys: true,
      // Checked below: the library compares every key with every other one.
      uniqueKeys: false,
      // 'silent' would also drop the error about a second document.
      logLevel: 'error',
    })
  } catch (error) {
    // The parser promises errors as data; what it throws all the same (a stack that overflows) is
    // the file's fault, not a reason to crash.
    const message = error instanceof Error ? error.message : String(error)
    builder.issue('config.syntax', 0, 1, `cannot be parsed: ${message}`, null)
    return { root: null, issues: builder.issues }
  }
  for (const error of [...document.errors, ...document.warnings]) builder.yamlError(error, text)
  const root = document.contents === null ? null : builder.build(document.contents)
  return { root, issues: builder.issues }
}

class TreeBuilder {
  readonly issues: TreeIssue[] = []
  readonly #restore: (text: string) => string
  #nodes = 0
  #depth = 0
  /** How many aliases are being expanded at this point. */
  #expanding = 0
  /** The newest node of each anchor so far: what an alias means. */
  readonly #anchors = new Map<string, Node>()
  #tooLarge = false

  constructor(restore: (text: string) => string) {
    this.#restore = restore
  }

  issue(code: Code, start: number, end: number, message: string, suggestion: string | null): void {
    if (this.issues.length < issuesMax) this.issues.push({ code, start, end, message, suggestion })
  }

  yamlError(error: YAMLError, text: string): void {
    const [start, end] = error.pos
    if (error.code === 'RESOURCE_EXHAUSTION') {
      this.issue('config.too_large', start, end, 'is nested deeper than any real file', null)
    } else if (error.code === 'TAB_AS_INDENT' || text[start] === '\t') {
      this.issue('config.tab', start, end, 'a tab is used as indentation', 'indent with spaces')
    } else if (error.code === 'MULTIPLE_DOCS') {
      const message = 'the file holds several YAML documents; a pipeline is one'
      this.issue('config.syntax', start, end, message, 'write the second one to a file of its own')
    } else {
      this.issue('config.syntax', start, end, sentence(error.message), null)
    }
  }

  build(node: Node): TreeNode | null {
    this.#depth++
    const built = this.#build(node)
    this.#depth--
    return built
  }

  #build(node: Node): TreeNode | null {
    // An alias may stand inside its own anchor; only the depth ends that.
    if (++this.#nodes > nodesMax || this.#depth > depthMax) {
      if (!this.#tooLarge) {
        const [start, end] = rangeOf(node)
        const message = `has more than ${nodesMax} values or ${depthMax} levels once its aliases are expanded`
        this.issue('config.too_large', start, end, message, null)
      }
      this.#tooLarge = true
      return null
    }
    const [start, end] = rangeOf(node)
    if (!isAlias(node) && node.anchor !== undefined && this.#expanding === 0) {
      this.#anchors.set(node.anchor, node)
    }
    if (isAlias(node)) {
      const target = this.#anchors.get(node.source)
      if (target !== undefined) {
        this.#expanding++
        const built = this.build(target)
        this.#expanding--
        return built
      }
      this.issue('config.syntax', start, end, `this alias has no anchor before it`, null)
      return null
    }
    if (isMap(node)) return this.#map(node.items, start, end)
    if (isSeq(node)) {
      const items: TreeNode[] = []
      for (const item of node.items) {
        const built = this.build(item as Node)
        if (built !== null) items.push(built)
      }
      return { kind: 'list', start, end, items }
    }
    if (!isScalar(node)) return null
    const value = typeof node.value === 'string' ? this.#restore(node.value) : node.value
    const style =
      node.type === 'PLAIN' || node.type === undefined
        ? 'plain'
        : node.type === 'BLOCK_LITERAL' || node.type === 'BLOCK_FOLDED'
          ? 'block'
          : 'quoted'
    if (value === null || ['string', 'number', 'boolean'].includes(typeof value)) {
      return { kind: 'scalar', start, end, value: value as ScalarNode['value'], style }
    }
    // Tags such as !!binary and !!timestamp make objects of scalars; the written text is what counts.
    return { kind: 'scalar', start, end, value: this.#restore(node.source ?? ''), style }
  }

  #map(pairs: readonly { key: unknown; value: unknown }[], start: number, end: number): MapNode {
    const entries = new Map<string, MapEntry>()
    for (const pair of pairs) {
      if (!isScalar(pair.key)) continue
      const key = this.#restore(String(pair.key.value))
      const [keyStart, keyEnd] = rangeOf(pair.key)
      if (entries.has(key)) {
        this.issue('config.duplicate_key', keyStart, keyEnd, `"${key}" stands here twice`, null)
        continue
      }
      const value = pair.value as Node | null
      const node: TreeNode | null =
        value === null || value === undefined
          ? { kind: 'scalar', start: keyStart, end: keyEnd, value: null, style: 'plain' }
          : this.build(value)
      if (node !== null) entries.set(key, { keyStart, keyEnd, node })
    }
    return { kind: 'map', start, end, entries }
  }
}

function rangeOf(node: { range?: Range | null | undefined }): readonly [number, number] {
  const range = node.range ?? [0, 0, 0]
  return [range[0], Math.max(range[0], range[1])]
}

/**
 * The library's sentences begin with a capital; ours go on after the place. What they quote from the
 * file is cut off: it may be a secret, and the frame shows the place anyway.
 */
function sentence(message: string): string {
  const words = message.split(/: ?"/)[0]!
  return words.charAt(0).toLowerCase() + words.slice(1)
}

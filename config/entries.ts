/**
 * The entries under `sources` and `sinks`: each one's type is looked up, its own keys are checked by
 * its connector's schema, and the names are checked against each other.
 */
import {
  letterBudgetSchema,
  usualBudget,
  type LetterBudget,
} from '../core/connector/letter-budget.ts'
import { defaultPolicy, type SchemaPolicy } from '../core/connector/schema-policy.ts'
import type { SinkConnector } from '../core/connector/sink.ts'
import type { SourceConnector } from '../core/connector/source.ts'
import type { ConfigDocument, Path } from './document.ts'
import { checkBeside } from './issues.ts'
import { isSecretAt, jsonSchemaOf, keysAt, type JsonSchema } from './json-schema.ts'
import { checkNamedTopic } from './named-topics.ts'
import { didYouMean, nearest } from '../core/connector/nearest.ts'
import type { KnownTopics, PipelineTransform } from './pipeline.ts'
import { nameLengthMax, namePattern, sinkFrameJson, type Registers } from './schema.ts'
import { checkPolicy, onSchemaChangeSchema, sinkFrame } from './sink-frame.ts'
import { checkFrom } from './topics.ts'
import type { TreeNode } from './tree.ts'

export interface Entry<Connector> {
  readonly name: string
  readonly kind: string
  readonly connector: Connector
  /** undefined while it has problems; not to be used while references in it lack values. */
  readonly config: { readonly config: unknown } | undefined
}
export type SourceEntry = Entry<SourceConnector<unknown>>
export interface SinkEntry extends Entry<SinkConnector<unknown>> {
  readonly from: readonly string[]
  readonly onSchemaChange: SchemaPolicy
  readonly deadLetters: LetterBudget
}

export interface Entries {
  readonly sources: readonly SourceEntry[]
  readonly sinks: readonly SinkEntry[]
  readonly checkNames: () => void
  readonly checkFrom: (known: KnownTopics) => void
}

export async function checkEntries(
  document: ConfigDocument,
  registers: Registers,
): Promise<Entries> {
  const sourceTypes = await loadTypes(document, 'sources', registers.sources)
  const sinkTypes = await loadTypes(document, 'sinks', registers.sinks)
  for (const [section, types, omitted] of [
    ['sources', sourceTypes, ['type']],
    ['sinks', sinkTypes, ['type', ...Object.keys(sinkFrame)]],
  ] as const) {
    for (const { path, connector } of types) {
      maskSecrets(document, document.node(path), jsonSchemaOf(connector.config), [])
    }
    checkUnknownTypes(document, section, registers[section], omitted)
  }
  const sources = sourceTypes.map((found) => entryOf(document, found, {}))
  const frame = sinkFrameJson()
  const sinks = sinkTypes.map((found) => {
    const entry = entryOf(document, found, frame)
    return {
      ...entry,
      from: listOf(valueAt(document.value, [...found.path, 'from'])),
      onSchemaChange: policyOf(document, { ...found, config: entry.config }),
      deadLetters: budgetOf(document, found),
    }
  })
  return {
    sources,
    sinks,
    checkNames: () => checkNames(document),
    checkFrom: (known) => checkAllFrom(document, sinks, known),
  }
}

interface Found<Connector> {
  readonly name: string
  readonly kind: string
  readonly path: Path
  readonly connector: Connector
}

/** Entries whose type exists and loads. */
async function loadTypes<Connector>(
  document: ConfigDocument,
  section: 'sources' | 'sinks',
  register: Readonly<Record<string, () => Promise<Connector>>>,
): Promise<readonly Found<Connector>[]> {
  const found: Found<Connector>[] = []
  for (const name of document.keys([section])) {
    const path = [section, name]
    const kind = valueAt(document.value, [...path, 'type'])
    const load =
      typeof kind === 'string' && Object.hasOwn(register, kind) ? register[kind] : undefined
    if (typeof kind !== 'string' || load === undefined) continue
    try {
      found.push({ name, kind, path, connector: await load() })
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error)
      const message = `the code of "${kind}" cannot be loaded: ${why}`
      document.add('config.connector_unavailable', [...path, 'type'], { message })
    }
  }
  return found
}

function checkUnknownTypes(
  document: ConfigDocument,
  section: 'sources' | 'sinks',
  register: Readonly<Record<string, unknown>>,
  omitted: readonly string[],
): void {
  for (const name of document.keys([section])) {
    const path = [section, name, 'type']
    const kind = valueAt(document.value, path)
    if (typeof kind !== 'string' || Object.hasOwn(register, kind)) continue
    // Without its type nothing is known about the entry: every literal in it may be a secret.
    maskAll(document, document.node([section, name]), omitted)
    if (document.unresolvedUnder(path)) continue
    const kinds = Object.keys(register)
    document.add('config.unknown_type', path, {
      message: `there is no ${section === 'sources' ? 'source' : 'sink'} of type "${kind}"`,
      suggestion: didYouMean(kind, kinds) ?? `possible: ${kinds.join(', ')}`,
    })
  }
}

function entryOf<Connector extends SourceConnector<unknown> | SinkConnector<unknown>>(
  document: ConfigDocument,
  { name, kind, path, connector }: Found<Connector>,
  frame: Readonly<Record<string, JsonSchema>>,
): Entry<Connector> {
  const whole = valueAt(document.value, path) as Readonly<Record<string, unknown>>
  const own = Object.fromEntries(
    Object.entries(whole).filter(([key]) => key !== 'type' && !Object.hasOwn(frame, key)),
  )
  const config = checkBeside(document, path, own, { schema: connector.config, beside: frame })
  return { name, kind, connector, config }
}

/** The frame's own check reports what is wrong with it. */
function policyOf(
  document: ConfigDocument,
  found: Found<SinkConnector<unknown>> & { readonly config: unknown },
): SchemaPolicy {
  const said = valueAt(document.value, [...found.path, 'on_schema_change'])
  const parsed = said === undefined ? null : onSchemaChangeSchema.safeParse(said)
  if (parsed?.success !== true) return defaultPolicy
  checkPolicy(document, found, parsed.data)
  return parsed.data
}

function budgetOf(document: ConfigDocument, found: Found<SinkConnector<unknown>>): LetterBudget {
  const said = valueAt(document.value, [...found.path, 'dead_letters'])
  const parsed = letterBudgetSchema.safeParse(said ?? {})
  return parsed.success ? parsed.data : usualBudget
}

/** Masks every literal at a secret's place, also one whose key is misspelt. */
function maskSecrets(
  document: ConfigDocument,
  node: TreeNode | null,
  json: JsonSchema,
  path: Path,
): void {
  if (node === null) return
  if (node.kind === 'scalar') {
    if (isSecretAt(json, path)) maskAll(document, node, [])
  } else if (node.kind === 'list') {
    for (const [index, item] of node.items.entries()) {
      maskSecrets(document, item, json, [...path, index])
    }
  } else {
    const keys = keysAt(json, path)
    for (const [key, { node: value }] of node.entries) {
      const meant = keys.includes(key) ? key : (nearest(key, keys) ?? key)
      const suspicious = !keys.includes(key) && /secret|passw|token|key|credential/i.test(key)
      if (suspicious) maskAll(document, value, [])
      else maskSecrets(document, value, json, [...path, meant])
    }
  }
}

function maskAll(document: ConfigDocument, node: TreeNode | null, except: readonly string[]): void {
  if (node === null) return
  if (node.kind === 'scalar') {
    // A reference shows a name, not a value.
    const reference = typeof node.value === 'string' && /^\$\{[^}]*\}$/.test(node.value)
    const fallback = typeof node.value === 'string' && node.value.includes(':-')
    if (!reference || fallback) document.source.mask(node.start, node.end)
  } else if (node.kind === 'list') {
    for (const item of node.items) maskAll(document, item, [])
  } else {
    for (const [key, { node: value }] of node.entries) {
      if (!except.includes(key)) maskAll(document, value, [])
    }
  }
}

function checkNames(document: ConfigDocument): void {
  for (const section of ['sources', 'transforms', 'sinks'] as const) {
    const names = document.keys([section])
    for (const name of names) {
      if (namePattern.test(name) && name.length <= nameLengthMax) continue
      const proposal = name
        .toLowerCase()
        .replace(/[^a-z0-9]+/g, '_')
        .replace(/^[^a-z]+|_+$/g, '')
        .slice(0, nameLengthMax)
      document.add('config.invalid_name', [section, name], {
        message: `a name is lower-case letters, digits and _, at most ${nameLengthMax} of them, and begins with a letter`,
        suggestion: proposal === '' ? null : `for example ${proposal}`,
        atKey: true,
      })
    }
    if (names.length === 0 && section === 'sources' && document.node(['sources']) !== null) {
      document.add('config.no_sources', ['sources'], { message: 'there is no source', atKey: true })
    }
    if (names.length === 0 && section === 'sinks') {
      document.add('config.no_sinks', ['sinks'], {
        message: 'there is no sink: rows stay in the log',
        severity: 'warning',
        atKey: true,
      })
    }
  }
  // The first part of a topic's name says whose it is; sinks own topics too (their dead letters).
  const owners = new Map<string, string>()
  for (const section of ['sources', 'transforms', 'sinks'] as const) {
    for (const name of document.keys([section])) {
      const owner = owners.get(name)
      if (owner === undefined) owners.set(name, section.slice(0, -1))
      else {
        document.add('config.name_clash', [section, name], {
          message: `"${name}" is also the name of a ${owner}`,
          suggestion: 'rename one of them',
          atKey: true,
        })
      }
    }
  }
}

function checkAllFrom(
  document: ConfigDocument,
  sinks: readonly SinkEntry[],
  known: KnownTopics,
): void {
  for (const sink of sinks) {
    const path: Path = ['sinks', sink.name, 'from']
    const isList = document.node(path)?.kind === 'list'
    let wrong = document.unresolvedUnder(path)
    for (const [index, name] of sink.from.entries()) {
      const at = isList ? [...path, index] : path
      if (document.unresolvedUnder(at) || isSideTopic(document, sink.name, name)) continue
      const problem = checkFrom(name, known)
      if (problem === null) continue
      document.add(problem.code, at, problem)
      wrong = true
    }
    if (!wrong) checkAllNamed(document, sink, known)
  }
}

/** Topics that the sink's own keys name. */
function checkAllNamed(
  document: ConfigDocument,
  { name, connector, config, from }: SinkEntry,
  known: KnownTopics,
): void {
  if (config === undefined) return
  for (const named of connector.topicsNamed?.(config.config) ?? []) {
    const path: Path = ['sinks', name, ...named.path]
    if (document.unresolvedUnder(path)) continue
    const problem = checkNamedTopic(named, from, known)
    const atKey = named.as === 'key'
    if (problem !== null) document.add(problem.code, path, { ...problem, atKey })
  }
}

/** `<task>.dead_letters`, `<sink>.schema_changes` or `<sink>.deliveries` of any other task: a topic like others. */
function isSideTopic(document: ConfigDocument, sink: string, topic: string): boolean {
  const [owner = '', rest, ...more] = topic.split('.')
  if (more.length > 0 || owner === sink) return false
  const isSink = document.keys(['sinks']).includes(owner)
  if (rest === 'schema_changes' || rest === 'deliveries') return isSink
  if (rest !== 'dead_letters') return false
  return isSink || ['sources', 'transforms'].some((part) => document.keys([part]).includes(owner))
}

/** Topics that the file alone tells; a source whose topics depend on the server leaves its prefix open. */
export function knownTopics(
  document: ConfigDocument,
  sources: readonly SourceEntry[],
  transforms: readonly PipelineTransform[],
): KnownTopics {
  const topics: string[] = []
  const known = new Set(sources.map(({ name }) => name))
  // What a source without a usable type would provide, nobody knows.
  const open = document.keys(['sources']).flatMap((name) => (known.has(name) ? [] : [`${name}.`]))
  for (const { name, connector, config } of sources) {
    const own = config === undefined ? null : (connector.topics?.(config.config) ?? null)
    // A pattern, or a reference without a value, may turn out to be anything.
    const fixed = own?.filter((topic) => !/\*|\$\{/.test(topic)) ?? []
    if (own === null || fixed.length < own.length) open.push(`${name}.`)
    for (const topic of fixed) topics.push(`${name}.${topic}`)
  }
  for (const { name } of transforms) topics.push(name)
  return { topics, open }
}

function listOf(value: unknown): readonly string[] {
  const list = Array.isArray(value) ? (value as readonly unknown[]) : [value]
  return list.filter((item) => typeof item === 'string')
}

function valueAt(value: unknown, path: Path): unknown {
  let at = value
  for (const part of path) {
    if (typeof at !== 'object' || at === null || !Object.hasOwn(at, part)) return undefined
    at = (at as Record<string | number, unknown>)[part]
  }
  return at
}

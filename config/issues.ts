/**
 * zod's issues as ConfigProblems: in Sluice's words, at the key or value they are about, with the
 * nearest name. Issues that only exist because a reference has no value yet are left out: the
 * reference itself is already reported.
 */
import type { z } from 'zod'
import type { ConfigDocument, Path } from './document.ts'
import {
  describedAt,
  isSecretAt,
  jsonSchemaOf,
  keysAt,
  kindNamed,
  type JsonSchema,
} from './json-schema.ts'
import { didYouMean, nearest } from '../core/connector/nearest.ts'

type Issue = z.core.$ZodIssue
type Keys = Readonly<Record<string, JsonSchema>>

/**
 * Checks `value`, which stands at `base`. Returns the parsed value, in which references without a
 * value are still `${…}`, or undefined when there are problems (added to the document).
 */
export function checkSchema(
  document: ConfigDocument,
  base: Path,
  value: unknown,
  schema: z.ZodType,
): { readonly config: unknown } | undefined {
  return checkBeside(document, base, value, { schema, beside: {} })
}

/** The same where keys of `beside` may stand too, which are checked elsewhere: a misspelt key may be one of them. */
export function checkBeside(
  document: ConfigDocument,
  base: Path,
  value: unknown,
  { schema, beside }: { readonly schema: z.ZodType; readonly beside: Keys },
): { readonly config: unknown } | undefined {
  const first = attempt(schema, value)
  const retyped = first.success ? undefined : retype(document, base, value, first.issues)
  const result = retyped === undefined ? first : attempt(schema, retyped)
  if (result.success) return { config: result.data }
  const own = jsonSchemaOf(schema)
  const json = { ...own, properties: { ...own.properties, ...beside } }
  const misspelt = misspeltKeys(document, base, result.issues, json)
  for (const issue of result.issues) {
    // `tabels` already says that `tables` is missing.
    if (misspelt.has(JSON.stringify(plain(issue.path)))) continue
    addIssue(document, base, issue, json)
  }
  return undefined
}

/** Paths of known keys that an unknown key beside them was probably meant to be. */
function misspeltKeys(
  document: ConfigDocument,
  base: Path,
  issues: readonly Issue[],
  json: JsonSchema,
): ReadonlySet<string> {
  const meant = new Set<string>()
  for (const issue of issues) {
    if (issue.code !== 'unrecognized_keys') continue
    const local = plain(issue.path)
    const free = freeKeys(document, base, local, json)
    for (const key of issue.keys) {
      const known = nearest(key, free)
      if (known !== null) meant.add(JSON.stringify([...local, known]))
    }
  }
  return meant
}

/** Keys that could stand at this place and do not yet. */
function freeKeys(
  document: ConfigDocument,
  base: Path,
  local: Path,
  json: JsonSchema,
): readonly string[] {
  const here = [...base, ...local].reduce<unknown>(at, document.value)
  const present = new Set(Object.keys((here ?? {}) as object))
  return keysAt(json, local).filter((key) => !present.has(key))
}

type Attempt =
  | { readonly success: true; readonly data: unknown }
  | { readonly success: false; readonly issues: readonly Issue[] }

function attempt(schema: z.ZodType, value: unknown): Attempt {
  try {
    const result = schema.safeParse(value)
    return result.success ? result : { success: false, issues: result.error.issues }
  } catch (error) {
    // A transform that throws on odd input is the connector's mistake, but the user's file has a line.
    const message = error instanceof Error ? error.message : String(error)
    return { success: false, issues: [{ code: 'custom', path: [], message, input: value }] }
  }
}

/**
 * A reference always gives text. Where the schema wants a number or a switch, and the reference was
 * written without quotes, the text is read as YAML would read it: `port: ${env.PORT}`.
 */
function retype(
  document: ConfigDocument,
  base: Path,
  value: unknown,
  issues: readonly Issue[],
): unknown {
  let copy: unknown
  for (const { path, expected } of issues.flatMap(wrongTypes)) {
    const referred = document.referred([...base, ...path])
    if (referred === undefined || referred.node.style !== 'plain') continue
    const text = referred.resolved.text?.trim() ?? ''
    let typed: number | boolean | undefined
    if (expected === 'boolean' && /^(true|false)$/i.test(text)) typed = /^true$/i.test(text)
    if (expected === 'number' && /^[-+]?\d+(\.\d+)?$/.test(text)) typed = Number(text)
    if (typed === undefined) continue
    copy ??= structuredClone(value)
    const parent = path.slice(0, -1).reduce<unknown>(at, copy)
    const key = path.at(-1)
    if (typeof parent === 'object' && parent !== null && key !== undefined) {
      ;(parent as Record<string | number, unknown>)[key] = typed
    }
  }
  return copy
}

function wrongTypes(issue: Issue): { path: (string | number)[]; expected: string }[] {
  const path = plain(issue.path)
  if (issue.code === 'invalid_type') {
    return [{ path, expected: issue.expected === 'int' ? 'number' : issue.expected }]
  }
  if (issue.code !== 'invalid_union') return []
  return issue.errors
    .flat()
    .flatMap(wrongTypes)
    .map((inner) => ({ ...inner, path: [...path, ...inner.path] }))
}

function addIssue(document: ConfigDocument, base: Path, issue: Issue, json: JsonSchema): void {
  const local = plain(issue.path)
  const path = [...base, ...local]
  if (issue.code === 'unrecognized_keys') {
    const keys = freeKeys(document, base, local, json)
    for (const key of issue.keys) {
      const suggestion =
        key === '<<'
          ? 'YAML merge keys are not part of YAML 1.2; write the keys out'
          : (didYouMean(key, keys) ?? (keys.length > 0 ? `possible here: ${listed(keys)}` : null))
      const message = `"${shorten(key)}" is not a key of ${nameOf(path)}`
      document.add('config.unknown_key', [...path, key], { message, suggestion, atKey: true })
    }
    return
  }
  if (document.unresolvedUnder(path)) return
  if (issue.code === 'invalid_union' && issue.discriminator !== undefined) {
    return addUnknownKind(document, path, issue, json)
  }
  const node = document.node(path)
  const value = path.reduce<unknown>(at, document.value)
  if (node === null || value === undefined) {
    const parent = path.slice(0, -1).reduce<unknown>(at, document.value)
    const description = describedAt(json, local, parent)
    document.add('config.missing_key', path, {
      message: `"${String(path.at(-1) ?? '')}" is missing${description === undefined ? '' : `: ${firstSentence(description)}`}`,
      atKey: true,
    })
    return
  }
  if (issue.code === 'invalid_union') return addUnion(document, base, issue, json)
  const message = describe(issue, value)
  if (issue.code === 'invalid_type') {
    // Quotes alone are no cure where the key says itself what it expects, such as a unit.
    const asText =
      issue.expected === 'string' &&
      ['number', 'boolean'].includes(typeof value) &&
      message !== issue.message
    const secret = isSecretAt(json, local)
    document.add('config.wrong_type', path, {
      message,
      suggestion: asText
        ? secret
          ? 'put it in quotes'
          : `write "${JSON.stringify(value)}"`
        : issue.expected === 'array' && typeof value === 'string'
          ? 'put it in [ ]'
          : null,
    })
    return
  }
  const options = issue.code === 'invalid_value' ? issue.values.map(String) : []
  const suggestion = typeof value === 'string' ? didYouMean(value, options) : null
  document.add('config.invalid_value', path, { message, suggestion })
}

type UnionIssue = Extract<Issue, { code: 'invalid_union' }>

/** A mapping whose kind (`type: redys`) is none of those that there are, or is not said. */
function addUnknownKind(
  document: ConfigDocument,
  path: Path,
  issue: UnionIssue,
  json: JsonSchema,
): void {
  const key = String(path.at(-1))
  const kinds = 'options' in issue ? (issue.options ?? []).map(String) : []
  const value = path.reduce<unknown>(at, document.value)
  const possible = `possible: ${kinds.join(', ')}`
  if (value === undefined) {
    const parent = path.slice(0, -1)
    const known = keysAt(json, plain(issue.path).slice(0, -1))
    const odd = document.keys(parent).filter((name) => !known.includes(name))
    const misspelt = odd.find((name) => nearest(name, [key]) !== null)
    if (misspelt === undefined) {
      const message = `"${key}" is missing`
      document.add('config.missing_key', path, { message, suggestion: possible, atKey: true })
    } else {
      const message = `"${shorten(misspelt)}" is not a key of ${nameOf(parent)}`
      const suggestion = didYouMean(misspelt, [key])
      const at = [...parent, misspelt]
      document.add('config.unknown_key', at, { message, suggestion, atKey: true })
    }
  } else if (typeof value !== 'string') {
    document.add('config.wrong_type', path, { message: `expected ${listed(kinds)}` })
  } else {
    document.add('config.unknown_type', path, {
      message: `there is no ${String(path.at(-2) ?? '')} of ${key} "${shorten(value)}"`,
      suggestion: didYouMean(value, kinds) ?? possible,
    })
  }
}

/** Of a union, the branch that got furthest is the one that was meant. */
function addUnion(document: ConfigDocument, base: Path, issue: UnionIssue, json: JsonSchema): void {
  const local = plain(issue.path)
  const value = [...base, ...local].reduce<unknown>(at, document.value)
  const isOther = (one: Issue): boolean => isWrongTypeHere(one) || isNoWord(one, value)
  const inside = issue.errors.filter((branch) => !branch.some(isOther))
  const branch = inside.length === 1 ? inside[0] : undefined
  // A word that stands for itself, or a mapping: of a wrong word nobody can tell which was meant.
  const [first] = branch ?? []
  const isWord = first?.code === 'invalid_value' && first.path.length === 0
  if (isWord && typeof value === 'string') {
    const kinds = issue.errors.flat().flatMap((one) => expectedHere(one))
    const kind = kindNamed(json, local, value)
    document.add('config.invalid_value', [...base, ...local], {
      message: `expected ${[...new Set(kinds)].join(' or ')}`,
      suggestion: kind === null ? didYouMean(value, first.values.map(String)) : `write ${kind}`,
    })
    return
  }
  if (branch !== undefined) {
    for (const inner of branch) {
      const path = [...local, ...plain(inner.path)]
      addIssue(document, base, { ...inner, path } as Issue, json)
    }
    return
  }
  const kinds = issue.errors.flat().flatMap((one) => expectedHere(one))
  const wrong = inside.length === 0
  document.add(wrong ? 'config.wrong_type' : 'config.invalid_value', [...base, ...local], {
    message:
      kinds.length > 0 && wrong
        ? `expected ${[...new Set(kinds)].join(' or ')}`
        : ownMessage(issue.message, 'is none of the forms this key takes'),
  })
}

function isWrongTypeHere(issue: Issue): boolean {
  return issue.path.length === 0 && issue.code === 'invalid_type'
}

/** A list or a mapping where one of a few words stands otherwise. */
function isNoWord(issue: Issue, value: unknown): boolean {
  return issue.path.length === 0 && issue.code === 'invalid_value' && typeof value === 'object'
}

function expectedHere(issue: Issue): readonly string[] {
  if (issue.path.length > 0) return []
  if (issue.code === 'invalid_type')
    return [ownMessage(issue.message, '') || kindName(issue.expected)]
  if (issue.code === 'invalid_value') return issue.values.map((value) => JSON.stringify(value))
  return []
}

function describe(issue: Issue, value: unknown): string {
  switch (issue.code) {
    case 'invalid_type':
      return ownMessage(
        issue.message,
        `expected ${kindName(issue.expected)}, not ${kindName(kindOf(value))}`,
      )
    case 'invalid_value':
      return ownMessage(issue.message, `expected ${listed(issue.values.map(String))}`)
    case 'too_small':
      return ownMessage(
        issue.message,
        issue.origin === 'string' || issue.origin === 'array'
          ? 'must not be empty'
          : `must be at least ${issue.minimum}`,
      )
    case 'too_big':
      return ownMessage(issue.message, `must be at most ${issue.maximum}`)
    case 'invalid_format':
      return ownMessage(issue.message, `is not a valid ${issue.format}`)
    default:
      return ownMessage(issue.message, 'is not a value this key takes')
  }
}

/** The schema's own message where it has one; zod's general ones name types as programmers do. */
function ownMessage(message: string, otherwise: string): string {
  return /^(Invalid|Too (small|big)|Unrecognized)/.test(message) ? otherwise : message
}

function kindOf(value: unknown): string {
  if (value === null) return 'null'
  return Array.isArray(value) ? 'array' : typeof value
}

const kindNames: Readonly<Record<string, string>> = {
  string: 'text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  object: 'a mapping',
  record: 'a mapping',
  array: 'a list',
  null: 'nothing',
}

function kindName(kind: string): string {
  return kindNames[kind] ?? kind
}

function nameOf(path: Path): string {
  return path.length === 0 ? 'a pipeline' : path.join('.')
}

function listed(names: readonly string[]): string {
  return names.length === 1 ? `"${names[0]}"` : names.map((name) => `"${name}"`).join(', ')
}

function firstSentence(text: string): string {
  const end = text.search(/[.;] /)
  return (end < 0 ? text : text.slice(0, end)).replace(/\.$/, '')
}

function shorten(text: string): string {
  return text.length <= 60 ? text : `${text.slice(0, 57)}...`
}

function plain(path: readonly PropertyKey[]): (string | number)[] {
  return path.map((part) => (typeof part === 'number' ? part : String(part)))
}

function at(value: unknown, part: string | number): unknown {
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, part)) return undefined
  return (value as Record<string | number, unknown>)[part]
}

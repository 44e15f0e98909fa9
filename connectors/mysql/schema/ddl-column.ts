/**
 * The definition of one column in DDL, read by node-sql-parser: its name, its type as
 * INFORMATION_SCHEMA would print it, its character set. What says nothing about them (defaults,
 * comments, visibility …) is taken out first, because the parser does not know all of it; names and
 * texts go through it as placeholders, because it reads escapes in its own way. null = not read, and
 * the schema has to be asked for instead.
 */
import type { Parser } from 'node-sql-parser'
import type { Word } from './ddl-words.ts'

export interface ColumnDefinition {
  readonly name: string
  /** As in COLUMN_TYPE: `int unsigned`, `varchar(20)`, `enum('a','b')`. */
  readonly declared: string
  /** null = the table's. */
  readonly charset: string | null
  readonly isJson: boolean
  readonly key: 'primary' | 'unique' | null
}

let parser: Pick<Parser, 'astify'> | null = null

/** The parser takes 30 ms to load: only where statements are to be read. */
export async function loadDdlParser(): Promise<void> {
  if (parser !== null) return
  const module = await import('node-sql-parser/build/mysql.js')
  parser = new (module.default ?? module).Parser()
}

/** `words`: name, type and attributes, without FIRST or AFTER. */
export function readColumn(words: readonly Word[]): ColumnDefinition | null {
  const [name, ...rest] = words
  if (parser === null || name === undefined || (name.kind !== 'word' && name.kind !== 'name')) {
    return null
  }
  const { type, attributes } = splitDefinition(rest)
  const kept = essentials(attributes)
  if (kept === null) return null
  const texts: string[] = []
  const typeSql = typeSqlOf(type, texts)
  try {
    const ast = parser.astify(`ALTER TABLE t ADD COLUMN c ${typeSql} ${kept.unsigned}`, {
      database: 'MySQL',
    }) as unknown as AlterAst
    const definition = ast.expr?.[0]?.definition
    const declared = definition === undefined ? null : declaredOf(definition, texts)
    if (declared === null) return null
    const isText = /^(char|varchar|tinytext|text|mediumtext|longtext|enum|set)\b/.test(declared)
    return {
      name: name.text,
      declared,
      charset: isText ? kept.charset : null,
      isJson: declared === 'json',
      key: kept.key,
    }
  } catch {
    return null
  }
}

/** What of the parser's tree is read here. */
interface AlterAst {
  readonly expr?: readonly { readonly definition?: TypeAst }[]
}
interface TypeAst {
  readonly dataType?: string
  readonly length?: number | null
  readonly scale?: number | null
  readonly suffix?: readonly (string | null)[] | null
  readonly expr?: { readonly value?: readonly { readonly value?: unknown }[] }
}

/** The type with its parentheses, and all that follows it. */
function splitDefinition(words: readonly Word[]): {
  readonly type: readonly Word[]
  readonly attributes: readonly Word[]
} {
  // DOUBLE PRECISION, CHAR VARYING, NATIONAL …: two words; the parser knows some, and refuses the others.
  let end = ['PRECISION', 'VARYING'].includes(words[1]?.upper ?? '') ? 2 : 1
  if (words[end]?.upper === '(') {
    while (end < words.length && words[end]!.upper !== ')') end++
    end++
  }
  return { type: words.slice(0, end), attributes: words.slice(end) }
}

interface Essentials {
  readonly unsigned: string
  readonly charset: string | null
  readonly key: ColumnDefinition['key']
}

/** null where something stands that may change the type in a way not known here. */
function essentials(words: readonly Word[]): Essentials | null {
  let unsigned = ''
  let charset: string | null = null
  let collation: string | null = null
  let key: ColumnDefinition['key'] = null
  for (let at = 0; at < words.length; at++) {
    const { upper } = words[at]!
    const next = words[at + 1]
    if (upper === 'UNSIGNED' || upper === 'ZEROFILL') unsigned = 'UNSIGNED'
    else if (upper === 'CHARSET' || (upper === 'CHARACTER' && next?.upper === 'SET')) {
      at += upper === 'CHARSET' ? 1 : 2
      if (words[at]?.upper === '=') at++
      charset = words[at]?.text ?? null
    } else if (upper === 'COLLATE') collation = words[++at]?.text ?? null
    else if (upper === 'PRIMARY' || (upper === 'KEY' && key === null)) key = 'primary'
    else if (upper === 'UNIQUE') key ??= 'unique'
    else if (upper === 'DEFAULT' || upper === 'ON' || upper === 'COMMENT') {
      at = afterValue(words, at + 1) - 1
    } else if (upper === '(') at = afterValue(words, at) - 1
    else if (upper === 'REFERENCES') break
    // Of these two the one makes another character set, the other other bytes on the wire.
    else if (upper === 'BINARY' || upper === 'ASCII' || upper === 'UNICODE') return null
    else if (upper === 'BYTE' || upper === 'COMPRESSED') return null
  }
  return { unsigned, charset: charset ?? charsetOf(collation), key }
}

/** The place after one value: a sign and a number, a text, a call, or something in parentheses. */
function afterValue(words: readonly Word[], start: number): number {
  let at = start
  if (words[at]?.upper === '-' || words[at]?.upper === '+') at++
  if (words[at]?.upper === 'UPDATE') at++
  if (words[at]?.upper !== '(') at++
  // 1.5 is three words, b'01' and _utf8mb4'x' are two.
  while (words[at]?.upper === '.' || words[at]?.kind === 'text')
    at += words[at]?.upper === '.' ? 2 : 1
  if (words[at]?.upper !== '(') return at
  let depth = 0
  for (; at < words.length; at++) {
    if (words[at]!.upper === '(') depth++
    else if (words[at]!.upper === ')' && --depth === 0) return at + 1
  }
  return at
}

/** A collation begins with its character set's name; MariaDB's uca1400_… do not, and go with any. */
export function charsetOf(collation: string | null): string | null {
  const name = collation?.split('_')[0]?.toLowerCase() ?? null
  if (name === null || name === 'uca1400') return null
  return name === 'utf8' ? 'utf8mb3' : name
}

/** Under the type's own name, for the parser does not know all that the server takes for it. */
function typeSqlOf(type: readonly Word[], texts: string[]): string {
  const written = type.map((word) => {
    if (word.kind !== 'text') return word.text
    texts.push(word.text)
    return `'t${texts.length - 1}'`
  })
  const [first = '', second = ''] = written
  const isTwo = /^(precision|varying)$/i.test(second)
  const name = (isTwo ? `${first} ${second}` : first).toLowerCase()
  return [synonyms[name] ?? name, ...written.slice(isTwo ? 2 : 1)].join(' ')
}

const synonyms: Readonly<Record<string, string>> = {
  integer: 'int',
  int1: 'tinyint',
  int2: 'smallint',
  int3: 'mediumint',
  int4: 'int',
  int8: 'bigint',
  middleint: 'mediumint',
  dec: 'decimal',
  fixed: 'decimal',
  numeric: 'decimal',
  bool: 'tinyint(1)',
  boolean: 'tinyint(1)',
  real: 'double',
  'double precision': 'double',
  float4: 'float',
  float8: 'double',
  character: 'char',
  'char varying': 'varchar',
  'character varying': 'varchar',
}
/** What a type without parentheses stands for. */
const defaultLengths: Readonly<Record<string, string>> = {
  decimal: '(10,0)',
  char: '(1)',
  binary: '(1)',
  bit: '(1)',
}

function declaredOf(type: TypeAst, texts: readonly string[]): string | null {
  const name = type.dataType?.toLowerCase()
  if (name === undefined || name === 'serial') return null
  const unsigned = type.suffix?.some((word) => word?.toUpperCase() === 'UNSIGNED') ?? false
  const suffix = unsigned ? ' unsigned' : ''
  if (name === 'enum' || name === 'set') return labelsOf(name, type, texts)
  const { length, scale } = type
  if (typeof length !== 'number') return `${name}${defaultLengths[name] ?? ''}${suffix}`
  // FLOAT(25) to FLOAT(53) is DOUBLE; with two numbers it is what it says.
  if (name === 'float' && typeof scale !== 'number') return length > 24 ? 'double' : 'float'
  if (name === 'decimal') return `decimal(${length},${scale ?? 0})${suffix}`
  return `${name}(${length}${typeof scale === 'number' ? `,${scale}` : ''})${suffix}`
}

function labelsOf(name: string, type: TypeAst, texts: readonly string[]): string | null {
  const values = type.expr?.value ?? []
  const labels = values.map(({ value }) => {
    const place = typeof value === 'string' ? /^t(\d+)$/.exec(value)?.[1] : undefined
    return place === undefined ? undefined : texts[Number(place)]
  })
  if (labels.length === 0 || labels.includes(undefined)) return null
  // The server cuts trailing spaces off labels; the catalog writes backslashes escaped.
  const quoted = labels.map((label) => {
    const kept = label!.replace(/ +$/, '')
    return `'${kept.replaceAll('\\', '\\\\').replaceAll("'", "''")}'`
  })
  return `${name}(${quoted.join(',')})`
}

/**
 * The `schema:` of a topic as people write it, column by column, and back.
 *
 *   column = type [ '?' ]                                     '?': may be missing or null
 *   type   = simple | 'decimal' [ '(' digits ',' digits ')' ] | 'list' '<' type '>'
 *          | 'other' '(' name ')'                             other: a text under a name of its own
 *
 * Blanks between the parts do not count. `typeName` (core/record/types.ts) writes what is read here.
 */
import { nearest } from '../nearest.ts'
import type { Field } from '../../record/schema.ts'
import { typeName, type LogicalType, type SimpleKind } from '../../record/types.ts'

/** As PostgreSQL's numeric; more digits are written as `decimal` alone. */
const precisionMax = 1000
/** Deeper lists are nobody's data. */
const depthMax = 16

/** Of two that are as near to a misspelt word, the first is guessed. */
const simpleKinds: Readonly<Record<SimpleKind, true>> = {
  bool: true,
  int64: true,
  int32: true,
  int16: true,
  uint64: true,
  float64: true,
  float32: true,
  text: true,
  bytes: true,
  uuid: true,
  json: true,
  date: true,
  time: true,
  timestamp: true,
  timestamptz: true,
  interval: true,
}
/** The words that a type begins with. */
export const typeWords: readonly string[] = [
  ...Object.keys(simpleKinds),
  'decimal',
  'list',
  'other',
]

/** What other systems call the types: too far from ours for a guess by spelling. */
const otherNames: Readonly<Record<string, string>> = {
  string: 'text',
  str: 'text',
  varchar: 'text',
  char: 'text',
  enum: 'text',
  int: 'int64',
  integer: 'int64',
  long: 'int64',
  bigint: 'int64',
  int8: 'int16',
  short: 'int16',
  smallint: 'int16',
  tinyint: 'int16',
  uint8: 'int16',
  uint16: 'int32',
  uint32: 'int64',
  unsigned: 'uint64',
  float: 'float64',
  double: 'float64',
  number: 'float64',
  real: 'float32',
  numeric: 'decimal',
  money: 'decimal',
  boolean: 'bool',
  datetime: 'timestamptz',
  instant: 'timestamptz',
  duration: 'interval',
  blob: 'bytes',
  binary: 'bytes',
  bytea: 'bytes',
  object: 'json',
  jsonb: 'json',
  map: 'json',
  record: 'json',
  struct: 'json',
  variant: 'json',
  array: 'list<text>',
}

/** What is wrong with a type's text, and where: `expected ")" at character 11`. */
export interface TypeMistake {
  readonly mistake: string
}

export interface ColumnType {
  readonly type: LogicalType
  readonly nullable: boolean
}

/** `decimal(12,2)?` as a type. */
export function parseColumnType(text: string): ColumnType | TypeMistake {
  const reader = new TypeReader(text)
  const type = reader.type(0)
  if (type === null) return { mistake: reader.mistake }
  const nullable = reader.take('?')
  return reader.end() ? { type, nullable } : { mistake: reader.mistake }
}

/** `decimal(12,2)?`: what `parseColumnType` reads. */
export function columnTypeText({ type, nullable }: ColumnType): string {
  return `${typeName(type)}${nullable ? '?' : ''}`
}

/** The columns as `schema:` says them. */
export function schemaText(fields: readonly Field[]): Record<string, string> {
  return Object.fromEntries(fields.map((field) => [field.name, columnTypeText(field)]))
}

class TypeReader {
  mistake = ''
  readonly #text: string
  #at = 0

  constructor(text: string) {
    this.#text = text
  }

  /** null: `mistake` says why. */
  type(depth: number): LogicalType | null {
    this.#blanks()
    const start = this.#at
    const word = /^[A-Za-z][A-Za-z0-9_]*/.exec(this.#text.slice(start))?.[0] ?? ''
    this.#at += word.length
    if (word in simpleKinds && Object.hasOwn(simpleKinds, word)) return { kind: word as SimpleKind }
    if (word === 'decimal') return this.#decimal()
    if (word === 'other') return this.#other()
    if (word === 'list') return depth < depthMax ? this.#list(depth) : this.#fail('no deeper lists')
    this.#at = start
    return word === '' ? this.#fail('expected a type') : this.#unknown(word)
  }

  take(sign: string): boolean {
    this.#blanks()
    if (this.#text[this.#at] !== sign) return false
    this.#at++
    return true
  }

  end(): boolean {
    this.#blanks()
    if (this.#at === this.#text.length) return true
    this.#fail('expected "?" or the end')
    return false
  }

  #list(depth: number): LogicalType | null {
    if (!this.take('<')) return this.#fail('expected "<" and the type of the elements')
    const element = this.type(depth + 1)
    if (element === null) return null
    if (this.take('>')) return { kind: 'list', element }
    const optional = this.#text[this.#at] === '?'
    return this.#fail(optional ? 'elements may be null without "?"; expected ">"' : 'expected ">"')
  }

  #decimal(): LogicalType | null {
    if (!this.take('(')) return { kind: 'decimal', precision: null, scale: null }
    const precision = this.#number()
    if (precision === null) return this.#fail('expected the number of digits')
    if (precision < 1 || precision > precisionMax) {
      return this.#fail(`expected 1 to ${precisionMax} digits`)
    }
    let scale: number | null = 0
    if (this.take(',')) {
      scale = this.#number()
      if (scale === null) return this.#fail('expected the number of digits after the point')
      if (scale > precision) return this.#fail(`expected 0 to ${precision} digits after the point`)
    }
    if (this.take(')')) return { kind: 'decimal', precision, scale }
    if (this.#at === this.#text.length) {
      // In {a: decimal(12,2)} YAML ends the text at the comma.
      return this.#fail('expected ")"; between { } a type with a comma stands in quotes')
    }
    return this.#fail('expected "," or ")"')
  }

  #other(): LogicalType | null {
    const found = /^\s*\(([^()]+(?:\([^()]*\))?)\)/.exec(this.#text.slice(this.#at))
    if (found === null) return this.#fail('expected a name in ( )')
    this.#at += found[0].length
    return { kind: 'other', name: found[1]! }
  }

  #number(): number | null {
    this.#blanks()
    const digits = /^\d{1,6}/.exec(this.#text.slice(this.#at))
    if (digits === null) return null
    this.#at += digits[0].length
    return Number(digits[0])
  }

  #unknown(word: string): null {
    const near = nearest(word.toLowerCase(), [...typeWords, ...Object.keys(otherNames)])
    const found = near !== null && Object.hasOwn(otherNames, near) ? otherNames[near]! : near
    const hint =
      found === null ? `; types are ${typeWords.join(', ')}` : `; did you mean "${found}"?`
    return this.#fail(`there is no type ${word}${hint}`)
  }

  #fail(what: string): null {
    // What stands first in the text needs no place.
    const place = this.#at === 0 ? '' : ` at character ${this.#at + 1}`
    const [said, ...rest] = what.split(';')
    this.mistake = [`${said}${place}`, ...rest].join(';')
    return null
  }

  #blanks(): void {
    while (this.#text[this.#at] === ' ') this.#at++
  }
}

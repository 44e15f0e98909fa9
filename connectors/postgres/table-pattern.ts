/**
 * The entries of `tables`:
 *
 *   pattern = [ name '.' ] ( name | '*' )
 *   name    = bare | '"' ( any | '""' )+ '"'
 *   bare    = one or more characters other than . * " and white space
 *
 * Names are exact: unlike in SQL, bare names are not folded to lower case.
 */
import type { TableName } from './catalog.ts'

export interface TablePattern {
  readonly schema: string
  /** null = every table of the schema. */
  readonly name: string | null
}

const patternText = /^(?:("(?:[^"]|"")+"|[^\s.*"]+)\.)?("(?:[^"]|"")+"|[^\s.*"]+|\*)$/

/** The parsed pattern; null when the text is none, such as a lone `*`. */
export function parseTablePattern(text: string): TablePattern | null {
  const match = patternText.exec(text)
  if (match === null) return null
  const [, schema, name] = match
  if (name === '*') return schema === undefined ? null : { schema: unquote(schema), name: null }
  return { schema: schema === undefined ? 'public' : unquote(schema), name: unquote(name!) }
}

/** A pattern that names just this; quoted where it has to be. */
export function formatTablePattern({ schema, name }: TablePattern): string {
  const part = (text: string): string => (/^[^\s.*"]+$/.test(text) ? text : quoteIdent(text))
  return `${part(schema)}.${name === null ? '*' : part(name)}`
}

function unquote(name: string): string {
  return name.startsWith('"') ? name.slice(1, -1).replaceAll('""', '"') : name
}

/** An identifier as SQL wants it: always quoted, so that case, dots and quotes stay what they are. */
export function quoteIdent(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}

export function quoteTable(table: TableName): string {
  return `${quoteIdent(table.schema)}.${quoteIdent(table.name)}`
}

/** A text literal that reads the same whatever standard_conforming_strings says. */
export function quoteLiteral(text: string): string {
  const quoted = `'${text.replaceAll("'", "''")}'`
  return text.includes('\\') ? ` E${quoted.replaceAll('\\', '\\\\')}` : quoted
}

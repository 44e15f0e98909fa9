/**
 * The entries of `tables`, and names as SQL wants them:
 *
 *   pattern = name '.' ( name | '*' )
 *   name    = bare | '`' ( any | '``' )+ '`'
 *   bare    = one or more characters other than . * ` " and white space
 *
 * Names are exact where the server's are (lower_case_table_names = 0).
 */
export interface TableName {
  readonly database: string
  readonly table: string
}

export interface TablePattern {
  readonly database: string
  /** null = every table of the database. */
  readonly table: string | null
}

const patternText = /^(`(?:[^`]|``)+`|[^\s.*`"]+)\.(`(?:[^`]|``)+`|[^\s.*`"]+|\*)$/

/** The server's own databases: their tables are not changed by rows in the binlog. */
const systemDatabases: ReadonlySet<string> = new Set([
  'information_schema',
  'mysql',
  'performance_schema',
  'sys',
])

/** The parsed pattern; null when the text is none, such as a lone `*` or a table without its database. */
export function parseTablePattern(text: string): TablePattern | null {
  const match = patternText.exec(text)
  if (match === null) return null
  const [, database, table] = match
  return { database: unquote(database!), table: table === '*' ? null : unquote(table!) }
}

export function isSystemDatabase(database: string): boolean {
  return systemDatabases.has(database.toLowerCase())
}

/** Whether a table is meant. `foldCase`: the server takes names without regard to case. */
export function matchesPattern(
  { database, table }: TablePattern,
  name: TableName,
  foldCase: boolean,
): boolean {
  if (isSystemDatabase(name.database)) return false
  const same = (a: string, b: string): boolean =>
    a === b || (foldCase && a.toLowerCase() === b.toLowerCase())
  return same(database, name.database) && (table === null || same(table, name.table))
}

/** A pattern that names just this; quoted where it has to be. */
export function formatTablePattern({ database, table }: TablePattern): string {
  const part = (name: string): string => (/^[^\s.*`"]+$/.test(name) ? name : quoteName(name))
  return `${part(database)}.${table === null ? '*' : part(table)}`
}

function unquote(name: string): string {
  return name.startsWith('`') ? name.slice(1, -1).replaceAll('``', '`') : name
}

/** An identifier as SQL wants it: always quoted, so that case, dots and key words stay what they are. */
export function quoteName(name: string): string {
  return `\`${name.replaceAll('`', '``')}\``
}

/** What a privilege is granted on. */
export function quotePattern({ database, table }: TablePattern): string {
  return table === null ? `${quoteName(database)}.*` : quoteTable({ database, table })
}

export function quoteTable({ database, table }: TableName): string {
  return `${quoteName(database)}.${quoteName(table)}`
}

/**
 * A text literal in utf8mb4 that reads the same whatever sql_mode and the connection's character set
 * say: what could be read in two ways goes as hexadecimal digits.
 */
export function textLiteral(text: string): string {
  return /^[\w .:,+-]*$/.test(text)
    ? `_utf8mb4'${text}'`
    : `_utf8mb4 x'${Buffer.from(text).toString('hex')}'`
}

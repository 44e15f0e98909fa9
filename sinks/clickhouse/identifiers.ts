/**
 * Names and texts inside SQL. Table and column names come from the source's database, where anybody
 * who may create a table chooses them: unquoted, a name could be a statement.
 *
 *   identifier = '`' { any character, with '\' and '`' escaped by '\' } '`'
 *   literal    = "'" { any character, with '\' and "'" escaped by '\' } "'"
 *
 * ClickHouse reads backslash escapes in both (SQL reference, Syntax), so the backslash itself must be
 * escaped: doubling only the quote would let `\`` end the identifier. NUL has an escape of its own.
 */

export function quoteIdentifier(name: string): string {
  return `\`${escape(name).replaceAll('`', '\\`')}\``
}

export function quoteLiteral(text: string): string {
  return `'${escape(text).replaceAll("'", "\\'")}'`
}

export function qualified(database: string, table: string): string {
  return `${quoteIdentifier(database)}.${quoteIdentifier(table)}`
}

function escape(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('\0', '\\0')
}

/**
 * What SHOW GRANTS says, as far as it cannot be found out by trying.
 *
 *   line     = 'GRANT' privilege { ', ' privilege } 'ON' object 'TO' …
 *   object   = '*.*' | database '.*' | database '.' table | 'PROCEDURE' …
 *   database = '`' pattern '`'       `_` and `%` stand for one and for any characters, unless a
 *                                    backslash stands before them
 */
import { textOf, type Query } from './schema/catalog.ts'
import type { Flavour } from './types.ts'

export interface Grant {
  readonly privileges: ReadonlySet<string>
  /** null = all; a LIKE pattern. */
  readonly database: string | null
  /** null = all. */
  readonly table: string | null
}

/** Those of the session's user and of its roles. Throws what `query` throws. */
export async function loadGrants(query: Query, flavour: Flavour): Promise<readonly Grant[]> {
  // MariaDB lists what the active roles give; MySQL does where they are named.
  const using = flavour === 'mysql' ? await activeRoles(query) : null
  const rows = await query(
    using === null ? 'SHOW GRANTS' : `SHOW GRANTS FOR CURRENT_USER() USING ${using}`,
  )
  return rows.flatMap((row) => {
    const grant = parseGrant(textOf(Object.values(row)[0]))
    return grant === null ? [] : [grant]
  })
}

async function activeRoles(query: Query): Promise<string | null> {
  const [row] = await query('SELECT CURRENT_ROLE() AS roles')
  const roles = textOf(row?.['roles'])
  return roles === 'NONE' || roles === '' ? null : roles
}

const grantText = /^GRANT (.*?) ON (?:TABLE )?(\*|`(?:[^`]|``)+`)\.(\*|`(?:[^`]|``)+`) TO /

export function parseGrant(line: string): Grant | null {
  const match = grantText.exec(line)
  if (match === null) return null
  const [, privileges, database, table] = match
  // The columns of a privilege on columns: what they are does not matter, it is none on the table.
  const names = privileges!
    .replaceAll(/[A-Z ]+\([^)]*\)/g, '')
    .split(',')
    .map((name) => name.trim())
  return {
    privileges: new Set(names.filter((name) => name !== '')),
    database: unquoted(database!),
    table: unquoted(table!),
  }
}

function unquoted(name: string): string | null {
  return name === '*' ? null : name.slice(1, -1).replaceAll('``', '`')
}

/** Whether one of `privileges` holds on the whole server, or on that database. */
export function isGranted(
  grants: readonly Grant[],
  privileges: readonly string[],
  database: string | null,
): boolean {
  return grants.some(
    (grant) =>
      (grant.privileges.has('ALL PRIVILEGES') ||
        privileges.some((name) => grant.privileges.has(name))) &&
      grant.table === null &&
      (grant.database === null || (database !== null && isLike(database, grant.database))),
  )
}

function isLike(name: string, pattern: string): boolean {
  let source = ''
  for (let at = 0; at < pattern.length; at++) {
    const char = pattern[at]!
    if (char === '\\' && at + 1 < pattern.length) source += escaped(pattern[++at]!)
    else source += char === '%' ? '.*' : char === '_' ? '.' : escaped(char)
  }
  return new RegExp(`^${source}$`, 'su').test(name)
}

function escaped(char: string): string {
  return /[\\^$.*+?()[\]{}|/]/.test(char) ? `\\${char}` : char
}

/**
 * Preflight of the tables: do they exist, may they be read, and can their updates be published
 * without making the server refuse them in the user's own application?
 */
import type { Problem } from '../../core/connector/problem.ts'
import type { Facts, TableFacts } from './preflight-facts.ts'
import { quoteIdent, quoteTable } from './table-pattern.ts'

const kinds: Readonly<Record<string, string>> = {
  v: 'a view',
  m: 'a materialised view',
  f: 'a foreign table',
}

export function tableProblems(facts: Facts): readonly Problem[] {
  const problems: Problem[] = facts.unmatched.map(({ pattern, near }) => ({
    code: 'source.postgres.table_missing',
    severity: 'error',
    message: pattern.endsWith('.*')
      ? `There is no table in ${pattern}.`
      : `There is no table ${pattern} in database ${quoteIdent(facts.server.database)}.`,
    remedy:
      near === null
        ? 'Correct `tables`: SELECT schemaname, tablename FROM pg_tables; names are spelled exactly as shown there.'
        : `Correct \`tables\`: did you mean "${near}"?`,
  }))
  for (const table of facts.tables) {
    problems.push(...kindProblems(table))
    if (table.kind === 'r' || table.kind === 'p') {
      problems.push(...accessProblems(table, facts), ...identityProblems(table, facts))
    }
  }
  return problems
}

function kindProblems(table: TableFacts): Problem[] {
  const name = quoteTable(table)
  if (table.kind !== 'r' && table.kind !== 'p') {
    return [
      {
        code: 'source.postgres.table_missing',
        severity: 'error',
        message: `${name} is ${kinds[table.kind] ?? 'no table'}, which has no changes of its own.`,
        remedy: 'Name the tables it reads from.',
      },
    ]
  }
  if (table.persistence === 'p') return []
  return [
    {
      code: 'source.postgres.table_missing',
      severity: 'error',
      message: `${name} is ${table.persistence === 'u' ? 'an unlogged' : 'a temporary'} table, whose changes are not in the WAL.`,
      remedy:
        table.persistence === 'u'
          ? `ALTER TABLE ${name} SET LOGGED;`
          : 'Take it out of `tables`; a temporary table cannot be followed.',
    },
  ]
}

function accessProblems(table: TableFacts, { server }: Facts): Problem[] {
  const name = quoteTable(table)
  const user = quoteIdent(server.user)
  if (!table.maySelect) {
    return [
      {
        code: 'source.postgres.permission',
        severity: 'error',
        message: `User ${user} may not read ${name}.`,
        remedy: `GRANT USAGE ON SCHEMA ${quoteIdent(table.schema)} TO ${user}; GRANT SELECT ON ${name} TO ${user};`,
      },
    ]
  }
  if (!table.hidesRows) return []
  return [
    {
      code: 'source.postgres.row_security',
      severity: 'error',
      message: `Row-level security hides rows of ${name} from user ${user}; the snapshot would lack them.`,
      remedy: `ALTER ROLE ${user} BYPASSRLS;`,
    },
  ]
}

/**
 * A published table without a usable replica identity makes the server refuse every UPDATE and
 * DELETE on it, in whatever application they run. Refused here, before the publication is changed,
 * unless the publication sends inserts alone.
 */
function identityProblems(table: TableFacts, { publication }: Facts): Problem[] {
  const insertsOnly = publication !== null && !publication.update && !publication.delete
  if (insertsOnly) return []
  const name = quoteTable(table)
  const problems: Problem[] = []
  const identified = table.identity === 'f' || (table.identity !== 'n' && table.hasIdentityIndex)
  if (!identified) {
    problems.push({
      code: 'source.postgres.no_key',
      severity: 'error',
      message: `${name} ${whyNot(table.identity)}; once published, the server would refuse every UPDATE and DELETE on it.`,
      remedy:
        table.identity === 'n' && table.hasIdentityIndex
          ? `ALTER TABLE ${name} REPLICA IDENTITY DEFAULT;`
          : `ALTER TABLE ${name} ADD PRIMARY KEY (…); or, where no column identifies a row: ALTER TABLE ${name} REPLICA IDENTITY FULL;`,
    })
  }
  for (const partition of table.otherIdentities) {
    problems.push({
      code: 'source.postgres.no_key',
      severity: 'error',
      message: `Partition ${partition} of ${name} has another replica identity than the table, so its changes would not look like the table's.`,
      remedy: `ALTER TABLE ${partition} REPLICA IDENTITY ${table.identity === 'f' ? 'FULL' : 'DEFAULT'};`,
    })
  }
  return problems
}

function whyNot(identity: string): string {
  if (identity === 'n') return 'has REPLICA IDENTITY NOTHING'
  if (identity === 'i') return 'has lost the index of its replica identity'
  return 'has no primary key, or a deferrable one'
}

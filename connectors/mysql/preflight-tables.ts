/**
 * Preflight of the tables: do they exist, may they be read, and what does it cost to follow them?
 */
import type { Problem } from '../../core/connector/problem.ts'
import { topicName } from './schema/catalog.ts'
import type { Facts, Missing, TableFacts } from './preflight-facts.ts'
import { parseTablePattern, quoteName, quotePattern, quoteTable } from './schema/table-pattern.ts'

const kinds = {
  view: 'a view',
  sequence: 'a sequence',
  versioned: 'a system-versioned table',
  other: 'no table',
} as const

/** Engines whose changes are undone when their transaction is; others keep them. */
const transactional: ReadonlySet<string> = new Set(['InnoDB', 'ROCKSDB', 'TokuDB', 'ndbcluster'])

export function tableProblems(facts: Facts): readonly Problem[] {
  const problems = facts.missing.map((missing) => missingProblem(missing, facts))
  for (const pattern of facts.dropped) {
    problems.push({
      code: 'source.mysql.table_missing',
      severity: 'warning',
      message: pattern.endsWith('.*')
        ? `There is no table in ${pattern} any more; their topics keep the rows they have.`
        : `There is no table ${pattern} any more; its topic keeps the rows it has.`,
      remedy: `Take it out of \`tables\`, or create it again: it is copied then. If it is there: ${grant(pattern, facts)}`,
    })
  }
  for (const table of facts.tables) {
    const { kind } = table.table
    if (kind !== 'table') {
      problems.push({
        code: 'source.mysql.table_kind',
        severity: 'error',
        message: `${topicName(table.table)} is ${kinds[kind]}, ${
          kind === 'versioned'
            ? 'whose history rows stand in the binlog among the current ones.'
            : 'which has no changes of its own.'
        }`,
        remedy:
          kind === 'versioned'
            ? `Take it out of \`tables\`, or: ALTER TABLE ${quoteTable(table.table)} DROP SYSTEM VERSIONING;`
            : 'Name the tables it reads from.',
      })
    } else problems.push(...accessProblems(table, facts), ...shapeProblems(table, facts))
  }
  return problems
}

/** Nobody is told whether a table that he may not see is there: only then can a privilege be what it lacks. */
function missingProblem({ pattern, near, seesAll }: Missing, facts: Facts): Problem {
  const what = pattern.endsWith('.*') ? `no table in ${pattern}` : `no table ${pattern}`
  const meant =
    near === null
      ? 'names are spelled exactly as SHOW TABLES shows them.'
      : `did you mean "${near}"?`
  return {
    code: 'source.mysql.table_missing',
    severity: 'error',
    message: `There is ${what}${seesAll ? '' : ` that ${facts.user} may see`}.`,
    remedy: `Correct \`tables\`: ${meant}${seesAll ? '' : ` If it is there: ${grant(pattern, facts)}`}`,
  }
}

function grant(pattern: string, { user }: Facts): string {
  return `GRANT SELECT ON ${quotePattern(parseTablePattern(pattern)!)} TO ${user};`
}

function accessProblems(facts: TableFacts, { user, copies, needsLocks }: Facts): Problem[] {
  const { table, maySelect, mayLock, isCopiedWhole } = facts
  if (!maySelect) {
    return [
      {
        code: 'source.mysql.permission',
        severity: 'error',
        message: `${user} may not read ${topicName(table)}.`,
        remedy: `GRANT SELECT ON ${quoteTable(table)} TO ${user};`,
      },
    ]
  }
  if (!copies || mayLock || !(isCopiedWhole || needsLocks)) return []
  return [
    {
      code: 'source.mysql.permission',
      severity: 'error',
      message: `${topicName(table)} ${whyLocked(table, isCopiedWhole)}, so that its copy needs a short lock, which ${user} may not take.`,
      remedy: `GRANT LOCK TABLES ON ${quoteName(table.database)}.* TO ${user};${table.key.length === 0 ? ` or ${addKey(table)}` : ''}`,
    },
  ]
}

function whyLocked(table: TableFacts['table'], isCopiedWhole: boolean): string {
  if (!isCopiedWhole) {
    return 'is on a server without GTIDs whose performance_schema.metadata_locks cannot be read'
  }
  return table.key.length === 0 ? 'has no key' : 'has an engine or a key that gives no order'
}

function addKey(table: TableFacts['table']): string {
  return `ALTER TABLE ${quoteTable(table)} ADD PRIMARY KEY (…);`
}

function shapeProblems({ table }: TableFacts, { server }: Facts): Problem[] {
  const problems: Problem[] = []
  const name = topicName(table)
  if (table.key.length === 0) {
    const isWhole = server.rowImage === 'FULL'
    problems.push({
      code: 'source.mysql.no_key',
      severity: isWhole ? 'warning' : 'error',
      message: isWhole
        ? `${name} has no primary key and no unique index of NOT NULL columns: its topic holds whole rows that come and go, writers wait while its copy begins, and a restart begins the copy anew.`
        : `${name} has no key, and binlog_row_image=${server.rowImage} leaves columns out by which its rows could be told apart.`,
      remedy: isWhole ? addKey(table) : `${addKey(table)} or SET GLOBAL binlog_row_image = 'FULL';`,
    })
  }
  const floats = table.columns.filter(
    ({ name, type }) =>
      table.key.includes(name) && (type.kind === 'float' || type.kind === 'double'),
  )
  for (const { name: column } of floats) {
    problems.push({
      code: 'source.mysql.no_key',
      severity: 'warning',
      message: `Key column ${column} of ${name} is a floating-point number, which is a poor name for a row.`,
      remedy: `ALTER TABLE ${quoteTable(table)} MODIFY ${quoteName(column)} decimal(…) NOT NULL;`,
    })
  }
  if (table.engine !== null && !transactional.has(table.engine)) {
    problems.push({
      code: 'source.mysql.engine',
      severity: 'warning',
      message: `${name} is of engine ${table.engine}, which has no transactions: its copy may show changes that the binlog brings once more.`,
      remedy: `ALTER TABLE ${quoteTable(table)} ENGINE = InnoDB;`,
    })
  }
  return problems
}

/**
 * Preflight: everything on the server that would keep this source from starting, or would hurt the
 * application that owns the tables, each with the statement that cures it. A pure function of facts.
 */
import type { Problem } from '../../core/connector/problem.ts'
import type { Code } from '../../core/errors/codes.ts'
import { tableProblems } from './preflight-tables.ts'
import type { Facts, SlotFacts } from './preflight-facts.ts'
import { planPublication } from './publication.ts'
import { parseLsn, formatLsn } from './lsn.ts'
import { quoteIdent } from './table-pattern.ts'

/** PostgreSQL 14: streaming of transactions in progress (protocol 2), TID range scans. */
const versionMin = 140_000

export interface PreflightWanted {
  readonly slot: string
  readonly publication: string
  readonly createPublication: boolean
  /** Sessions with this application_name are our own. */
  readonly application: string
  /** Where the log is; null when nothing was ever committed; undefined when that is not known. */
  readonly after: bigint | null | undefined
}

export function preflightProblems(facts: Facts, wanted: PreflightWanted): readonly Problem[] {
  return [
    ...serverProblems(facts),
    ...walProblems(facts, wanted),
    ...tableProblems(facts),
    ...publicationProblems(facts, wanted),
    ...(facts.slot === null
      ? missingSlotProblems(facts, wanted)
      : slotProblems(facts.slot, facts, wanted)),
  ]
}

function problem(code: Code, message: string, remedy: string): Problem {
  return { code, severity: 'error', message, remedy }
}

function serverProblems({ server }: Facts): Problem[] {
  const problems: Problem[] = []
  if (server.versionNumber < versionMin) {
    problems.push(
      problem(
        'source.postgres.version',
        `The server is PostgreSQL ${server.version}.`,
        'Upgrade the server to PostgreSQL 14 or newer.',
      ),
    )
  }
  if (server.inRecovery) {
    problems.push(
      problem(
        'source.postgres.standby',
        'The server is a standby.',
        'Point the url at the primary.',
      ),
    )
  }
  if (server.walLevel !== 'logical') {
    problems.push(
      problem(
        'source.postgres.wal_level',
        `wal_level is ${server.walLevel}, not logical.`,
        "ALTER SYSTEM SET wal_level = 'logical'; then restart the server. On Amazon RDS set rds.logical_replication = 1, on Google Cloud SQL cloudsql.logical_decoding = on.",
      ),
    )
  }
  if (!server.mayReplicate) {
    problems.push(
      problem(
        'source.postgres.permission',
        `User ${quoteIdent(server.user)} may not replicate.`,
        `ALTER ROLE ${quoteIdent(server.user)} REPLICATION; on Amazon RDS: GRANT rds_replication TO ${quoteIdent(server.user)};`,
      ),
    )
  }
  return problems
}

/** A server restored from a backup, or another server altogether, may have a slot of the same name. */
function walProblems({ server }: Facts, { after }: PreflightWanted): Problem[] {
  if (after === null || after === undefined || server.walLsn === null) return []
  if (parseLsn(server.walLsn) >= after) return []
  return [
    problem(
      'source.postgres.position',
      `The server's WAL ends at ${server.walLsn}, and the log is at ${formatLsn(after)}: this is another server, or one restored to an earlier time.`,
      'Point the url at the server the log was read from, or start with an empty log (another `log.url` or pipeline name).',
    ),
  ]
}

/** A slot has yet to be made: is there room, and is there anything it would wait for? */
function missingSlotProblems(facts: Facts, { slot, after }: PreflightWanted): Problem[] {
  const { server, oldTransactions } = facts
  if (after !== null && after !== undefined) {
    return [
      problem(
        'source.postgres.slot_missing',
        `Replication slot ${quoteIdent(slot)} is gone; the log is at ${formatLsn(after)}, and the changes since then went with the slot.`,
        'Start with an empty log (another `log.url` or pipeline name), so that the tables are copied again.',
      ),
    ]
  }
  const problems: Problem[] = []
  if (server.slotsUsed >= server.slotsMax) {
    problems.push(
      problem(
        'source.postgres.capacity',
        `All ${server.slotsMax} replication slots are in use.`,
        `ALTER SYSTEM SET max_replication_slots = ${server.slotsMax + 5}; then restart the server. Or drop one that nobody reads: SELECT slot_name, active FROM pg_replication_slots;`,
      ),
    )
  }
  if (server.sendersUsed >= server.sendersMax) {
    problems.push(
      problem(
        'source.postgres.capacity',
        `All ${server.sendersMax} WAL senders are in use.`,
        `ALTER SYSTEM SET max_wal_senders = ${server.sendersMax + 5}; then restart the server.`,
      ),
    )
  }
  for (const { what, seconds } of oldTransactions) {
    problems.push({
      code: 'source.postgres.slot_waits',
      severity: 'warning',
      message: `The replication slot cannot be made before this ends, open for ${Math.round(seconds)} s: ${what}.`,
      remedy:
        'Wait for it, or end it: SELECT pg_terminate_backend(<pid>); or ROLLBACK PREPARED <name>;',
    })
  }
  return problems
}

function slotProblems(slot: SlotFacts, facts: Facts, wanted: PreflightWanted): Problem[] {
  const name = quoteIdent(wanted.slot)
  if (slot.plugin !== 'pgoutput' || slot.database !== facts.server.database) {
    const owner =
      slot.plugin === null
        ? 'a physical slot'
        : `of plugin ${slot.plugin} in database ${quoteIdent(slot.database ?? '')}`
    return [
      problem(
        'source.postgres.slot_in_use',
        `Replication slot ${name} is ${owner}.`,
        'Set `slot` to a name that is free.',
      ),
    ]
  }
  const drop = `SELECT pg_drop_replication_slot('${wanted.slot}');`
  const problems: Problem[] = []
  if (slot.activePid !== null && slot.activeApplication !== wanted.application) {
    problems.push({
      code: 'source.postgres.slot_active',
      severity: 'warning',
      message: `Replication slot ${name} is being read by pid ${slot.activePid} (${slot.activeApplication ?? 'of another user'}).`,
      remedy: `Stop that reader, or end it: SELECT pg_terminate_backend(${slot.activePid});`,
    })
  }
  if (slot.walStatus === 'lost') {
    problems.push(
      problem(
        'source.postgres.slot_lost',
        `Replication slot ${name} has lost WAL that it needed.`,
        `${drop} raise max_slot_wal_keep_size, and start with an empty log, so that the tables are copied again.`,
      ),
    )
  } else if (slot.walStatus === 'unreserved') {
    problems.push({
      code: 'source.postgres.slot_wal',
      severity: 'warning',
      message: `The server will remove WAL that replication slot ${name} needs at its next checkpoint.`,
      remedy: 'ALTER SYSTEM SET max_slot_wal_keep_size = -1; SELECT pg_reload_conf();',
    })
  }
  const confirmed = slot.confirmedFlushLsn === null ? 0n : parseLsn(slot.confirmedFlushLsn)
  if (wanted.after !== null && wanted.after !== undefined && confirmed > wanted.after) {
    problems.push(
      problem(
        'source.postgres.slot_ahead',
        `Replication slot ${name} begins at ${formatLsn(confirmed)}, and the log ends at ${formatLsn(wanted.after)}: the changes between them are gone.`,
        `${drop} and start with an empty log (another \`log.url\` or pipeline name), so that the tables are copied again.`,
      ),
    )
  }
  return problems
}

function publicationProblems(facts: Facts, wanted: PreflightWanted): Problem[] {
  const problems: Problem[] = []
  const plan = planPublication(facts, wanted.publication)
  const name = quoteIdent(wanted.publication)
  if (plan.statements.length > 0 && !(wanted.createPublication && plan.allowed)) {
    const why = wanted.createPublication
      ? `user ${quoteIdent(facts.server.user)} may not change it (it takes the owner of the publication and of the tables)`
      : 'create_publication is false'
    const state = facts.publication === null ? 'does not exist' : 'does not send every table'
    problems.push(
      problem(
        'source.postgres.publication',
        `Publication ${name} ${state}, and ${why}.`,
        `${plan.statements.join('; ')};`,
      ),
    )
  }
  const { publication } = facts
  if (publication === null) return problems
  const missing = (['insert', 'update', 'delete', 'truncate'] as const).filter(
    (operation) => !publication[operation],
  )
  if (missing.length > 0) {
    problems.push({
      code: 'source.postgres.publication',
      severity: missing.includes('insert') ? 'error' : 'warning',
      message: `Publication ${name} does not send every ${missing.join(', ')}.`,
      remedy: `ALTER PUBLICATION ${name} SET (publish = 'insert, update, delete, truncate');`,
    })
  }
  return problems
}

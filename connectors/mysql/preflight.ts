/**
 * Preflight: everything on the server that would keep this source from starting, or that costs its
 * user something, each with the statement that cures it. A pure function of facts.
 */
import type { Problem } from '../../core/connector/problem.ts'
import type { Code } from '../../core/errors/codes.ts'
import type { Facts } from './preflight-facts.ts'
import { tableProblems } from './preflight-tables.ts'
import type { ServerInfo } from './server-info.ts'

const versionMin = { mysql: 80_000, mariadb: 100_600 } as const
const daySeconds = 86_400

export function preflightProblems(facts: Facts): readonly Problem[] {
  const { server } = facts
  const refused = productProblems(server)
  // A server of another kind would fail everything that follows, in ways that say nothing.
  if (refused.length > 0) return refused
  return [
    // First: on the wrong server much else is wrong because of that.
    ...placeProblems(facts),
    ...privilegeProblems(facts),
    ...binlogProblems(server),
    ...formatProblems(server),
    ...gtidProblems(server),
    ...retentionProblems(server),
    ...xaProblems(facts),
    ...tableProblems(facts),
  ]
}

function error(code: Code, message: string, remedy: string): Problem {
  return { code, severity: 'error', message, remedy }
}

function warning(code: Code, message: string, remedy: string): Problem {
  return { code, severity: 'warning', message, remedy }
}

/** What is no MySQL or MariaDB of a supported version. */
export function productProblems(server: ServerInfo): Problem[] {
  const { product, flavour, version, versionNumber } = server
  if (product === 'vitess' || product === 'tidb') {
    const name = product === 'vitess' ? 'Vitess' : 'TiDB'
    return [
      error(
        'source.mysql.version',
        `The server is ${name} (${version}), which speaks MySQL’s protocol but has no binlog to read.`,
        product === 'vitess'
          ? 'Point the url at the MySQL server behind a shard’s primary tablet; VStream is not supported.'
          : 'TiDB is not supported.',
      ),
    ]
  }
  if (versionNumber >= versionMin[flavour]) return []
  return [
    error(
      'source.mysql.version',
      `The server is ${flavour === 'mysql' ? 'MySQL' : 'MariaDB'} ${version}.`,
      `Upgrade the server to ${flavour === 'mysql' ? 'MySQL 8.0' : 'MariaDB 10.6'} or newer.`,
    ),
  ]
}

function privilegeProblems({ server, user, mayReplicate, maySeeBinlog }: Facts): Problem[] {
  const missing: string[] = []
  if (!mayReplicate) missing.push('REPLICATION SLAVE')
  // MariaDB split it off in 10.5; the old name still stands for it.
  if (!maySeeBinlog) {
    missing.push(server.flavour === 'mariadb' ? 'BINLOG MONITOR' : 'REPLICATION CLIENT')
  }
  if (missing.length === 0) return []
  return [
    error(
      'source.mysql.permission',
      `${user} lacks ${missing.join(' and ')}.`,
      `GRANT ${missing.join(', ')} ON *.* TO ${user};`,
    ),
  ]
}

function binlogProblems(server: ServerInfo): Problem[] {
  const problems: Problem[] = []
  if (!server.logBin) {
    problems.push(
      error(
        'source.mysql.binlog_off',
        'The server writes no binlog: log_bin is OFF.',
        server.product === 'rds' || server.product === 'aurora'
          ? 'Turn automated backups on (Amazon RDS), or set binlog_format = ROW in the cluster’s parameter group (Aurora).'
          : 'Put log_bin = binlog and server_id = 1 into the server’s configuration, and restart it.',
      ),
    )
  }
  if (server.serverId === 0) {
    problems.push(
      error(
        'source.mysql.server_id',
        'The server’s server_id is 0, with which it lets nobody read its binlog.',
        'SET GLOBAL server_id = 1; and put it into the server’s configuration.',
      ),
    )
  }
  return problems
}

function formatProblems(server: ServerInfo): Problem[] {
  const problems: Problem[] = []
  if (server.binlogFormat !== 'ROW' && server.binlogFormat !== '') {
    problems.push(
      error(
        'source.mysql.binlog_format',
        `binlog_format is ${server.binlogFormat}: statements instead of rows may be in the binlog.`,
        `SET GLOBAL binlog_format = 'ROW'; and put it into the server’s configuration. Sessions that are open keep the old one: restart the applications, or the server.`,
      ),
    )
  }
  if (server.rowImage !== 'FULL' && server.rowImage !== 'FULL_NODUP' && server.rowImage !== '') {
    problems.push(
      warning(
        'source.mysql.row_image',
        `binlog_row_image is ${server.rowImage}: updates leave columns out, which Sluice takes from the rows it has in its own state; that costs disk space and a look-up per update.${server.flavour === 'mariadb' ? ' MariaDB leaves out what a REPLACE resets, too, and nobody can tell that from what did not change.' : ''}`,
        `SET GLOBAL binlog_row_image = 'FULL'; or leave it, if the binlog’s size matters more.`,
      ),
    )
  }
  if (server.rowMetadata !== 'FULL') {
    problems.push(
      warning(
        'source.mysql.row_metadata',
        `binlog_row_metadata is ${server.rowMetadata === '' ? 'unknown' : server.rowMetadata}: the binlog does not name columns. Sluice follows the DDL instead, and copies a table again where a schema cannot be told for sure.`,
        `SET GLOBAL binlog_row_metadata = 'FULL'; and put it into the server’s configuration.`,
      ),
    )
  }
  return problems
}

function gtidProblems(server: ServerInfo): Problem[] {
  if (server.flavour === 'mariadb') {
    if (server.gtidStrict) return []
    return [
      warning(
        'source.mysql.gtid',
        'gtid_strict_mode is OFF: after a failover the numbers of two servers may be out of order, and a place in one would not be found in the other.',
        'SET GLOBAL gtid_strict_mode = ON; and put it into the server’s configuration.',
      ),
    ]
  }
  if (server.gtids) return []
  return [
    warning(
      'source.mysql.gtid',
      'GTIDs are off: the log’s place is a byte in this server’s files, so another server cannot take over from it.',
      'Put gtid_mode = ON and enforce_gtid_consistency = ON into the server’s configuration; they can be turned on step by step while it runs.',
    ),
  ]
}

function retentionProblems(server: ServerInfo): Problem[] {
  if (server.product === 'rds' || server.product === 'aurora') {
    return [
      warning(
        'source.mysql.retention',
        'Amazon RDS removes binlogs as soon as it can unless it is told to keep them.',
        "CALL mysql.rds_set_configuration('binlog retention hours', 72);",
      ),
    ]
  }
  const { expireSeconds } = server
  if (expireSeconds === 0 || expireSeconds >= daySeconds) return []
  return [
    warning(
      'source.mysql.retention',
      `The server removes binlogs after ${Math.round(expireSeconds)} s: a pipeline that stands still for longer loses changes.`,
      'SET GLOBAL binlog_expire_logs_seconds = 259200; and put it into the server’s configuration.',
    ),
  ]
}

function xaProblems({ preparedXa }: Facts): Problem[] {
  if (preparedXa === null || preparedXa === 0) return []
  return [
    warning(
      'source.mysql.xa_prepared',
      `${preparedXa} XA transactions are prepared: a first start waits until they are committed or rolled back.`,
      'XA RECOVER lists them; XA COMMIT or XA ROLLBACK those that nobody ends any more.',
    ),
  ]
}

/** What is wrong with where the log is. Purged binlogs are told by policy (source-run.ts), not here. */
function placeProblems({ place }: Facts): Problem[] {
  switch (place?.kind) {
    case 'ahead':
      return [
        error(
          'source.mysql.binlog_ahead',
          `The log has changes that the server does not have: ${place.what}. The server was restored to an earlier time, or is another one.`,
          'Point the url at the server that has them, or start with an empty log (another `log.url` or pipeline name).',
        ),
      ]
    case 'other':
      return [
        error(
          'source.mysql.other_server',
          `The url leads to ${place.what}, and a place in the one’s binlog means nothing to the other.`,
          'Point the url at the server that was read before, or start with an empty log (another `log.url` or pipeline name).',
        ),
      ]
    case 'off':
      return [
        error(
          'source.mysql.binlog_off',
          `The stream cannot go on where the log is: ${place.what}.`,
          'Turn it on again: log_bin, gtid_mode = ON and enforce_gtid_consistency = ON in the server’s configuration.',
        ),
      ]
    case 'purged':
    case 'fine':
    case undefined:
      return []
  }
}

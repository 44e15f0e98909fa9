/**
 * Which server this is: flavour, version and what its binlog is like. Read by one statement that
 * needs no privilege; what it means is preflight's business.
 */
import { textOf, type Query } from './schema/catalog.ts'
import type { Flavour } from './types.ts'

export interface ServerInfo {
  readonly flavour: Flavour
  /** As the server prints it: `9.7.4`, `10.11.18-MariaDB-log`. */
  readonly version: string
  /** Major, minor and patch as one number: 80400, 101118. */
  readonly versionNumber: number
  /** What only looks like one of the two, or adds traps of its own; null = neither. */
  readonly product: 'vitess' | 'tidb' | 'aurora' | 'rds' | null
  readonly serverId: number
  /** server_uuid; for MariaDB, which has none that lasts, its server_id. */
  readonly identity: string
  readonly logBin: boolean
  readonly binlogFormat: string
  readonly rowImage: string
  /** FULL, MINIMAL, or MariaDB's NO_LOG. */
  readonly rowMetadata: string
  readonly rowValueOptions: string
  /** MySQL: gtid_mode and enforce_gtid_consistency are both ON. MariaDB: always. */
  readonly gtids: boolean
  /** MariaDB: gtid_strict_mode. */
  readonly gtidStrict: boolean
  /** A replica that writes what it applies into its own binlog. */
  readonly logsReplicaUpdates: boolean
  /** Seconds after which the server removes binlogs by itself; 0 = never. */
  readonly expireSeconds: number
  /** Names of tables mean the same in any case: lower_case_table_names is not 0. */
  readonly foldCase: boolean
  /** They are kept in lower case, whatever a statement writes: lower_case_table_names is 1. */
  readonly lowerCase: boolean
}

const names = [
  'version',
  'version_comment',
  'basedir',
  'aurora_version',
  'server_id',
  'server_uuid',
  'log_bin',
  'binlog_format',
  'binlog_row_image',
  'binlog_row_metadata',
  'binlog_row_value_options',
  'gtid_mode',
  'enforce_gtid_consistency',
  'gtid_strict_mode',
  'log_replica_updates',
  'log_slave_updates',
  'binlog_expire_logs_seconds',
  'binlog_expire_logs_auto_purge',
  'expire_logs_days',
  'lower_case_table_names',
]

/** Throws what `query` throws. */
export async function loadServerInfo(query: Query): Promise<ServerInfo> {
  const list = names.map((name) => `'${name}'`).join(', ')
  const rows = await query(`SHOW GLOBAL VARIABLES WHERE Variable_name IN (${list})`)
  const values = new Map(
    rows.map((row) => [textOf(row['Variable_name']).toLowerCase(), textOf(row['Value'])]),
  )
  const of = (name: string): string => values.get(name) ?? ''
  const isOn = (name: string): boolean => of(name) === 'ON' || of(name) === '1'
  const version = of('version')
  const flavour = /mariadb/i.test(`${version} ${of('version_comment')}`) ? 'mariadb' : 'mysql'
  return {
    flavour,
    version,
    versionNumber: versionNumber(version),
    product: productOf(version, of('version_comment'), of('basedir'), values.has('aurora_version')),
    serverId: Number(of('server_id')),
    identity: flavour === 'mariadb' ? of('server_id') : of('server_uuid'),
    logBin: isOn('log_bin'),
    binlogFormat: of('binlog_format').toUpperCase(),
    rowImage: of('binlog_row_image').toUpperCase(),
    rowMetadata: of('binlog_row_metadata').toUpperCase(),
    rowValueOptions: of('binlog_row_value_options').toUpperCase(),
    gtids: flavour === 'mariadb' || (isOn('gtid_mode') && isOn('enforce_gtid_consistency')),
    gtidStrict: isOn('gtid_strict_mode'),
    logsReplicaUpdates: isOn('log_replica_updates') || isOn('log_slave_updates'),
    expireSeconds: expireSeconds(values),
    foldCase: of('lower_case_table_names') !== '0',
    lowerCase: of('lower_case_table_names') === '1',
  }
}

function versionNumber(version: string): number {
  const [, major = '0', minor = '0', patch = '0'] = /^(\d+)\.(\d+)(?:\.(\d+))?/.exec(version) ?? []
  return Number(major) * 10_000 + Number(minor) * 100 + Number(patch)
}

function productOf(
  version: string,
  comment: string,
  basedir: string,
  aurora: boolean,
): ServerInfo['product'] {
  const text = `${version} ${comment}`
  if (/vitess|planetscale/i.test(text)) return 'vitess'
  if (/tidb/i.test(text)) return 'tidb'
  if (aurora) return 'aurora'
  return basedir.startsWith('/rdsdbbin') ? 'rds' : null
}

/** expire_logs_days may have a fraction (MariaDB 10.6); where both are set, they say the same. */
function expireSeconds(values: ReadonlyMap<string, string>): number {
  if (values.get('binlog_expire_logs_auto_purge') === 'OFF') return 0
  const seconds = Number(values.get('binlog_expire_logs_seconds') ?? 0)
  return seconds > 0 ? seconds : Number(values.get('expire_logs_days') ?? 0) * 86_400
}

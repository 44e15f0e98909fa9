/**
 * Real MariaDB servers for tests and benchmarks, from Debian's packages: 10.11 of bookworm, 11.8 of sid.
 *
 *   await using server = await startMariadb({ version: '11.8' })
 *   await server.query('CREATE DATABASE shop')
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { startServer, type MysqlServer, type Recipe, type ServerOptions } from './mysql-family.ts'

export type MariadbVersion = '10.11' | '11.8'

const unused = [
  'perl|libperl|libgdbm|libdb5|adduser|passwd|dpkg|debconf|libpam|login',
  'libsystemd-shared',
].join('|')

/** GTIDs (domain-server-sequence) are always on in MariaDB. */
export function mariadbRecipe(version: MariadbVersion): Recipe {
  return {
    name: `mariadb-${version}`,
    flavour: 'mariadb',
    programs: {
      suite: version === '10.11' ? 'bookworm' : 'sid',
      packages: ['mariadb-server-core', 'mariadb-client-core', 'mariadb-client'],
      without: new RegExp(`^(${unused})`),
    },
    server: 'usr/sbin/mariadbd',
    client: 'usr/bin/mariadb',
    binlog: 'usr/bin/mariadb-binlog',
    dump: 'usr/bin/mariadb-dump',
    clientOptions: [],
    folders: (root) => [
      `--basedir=${join(root, 'usr')}`,
      `--plugin-dir=${join(root, 'usr/lib/mysql/plugin')}`,
      `--lc-messages-dir=${share(root)}`,
      `--character-sets-dir=${join(share(root), 'charsets')}`,
      '--innodb-log-file-size=64M',
    ],
    settings: {
      'log-bin': 'binlog',
      'binlog-format': 'ROW',
      'binlog-row-metadata': 'FULL',
      'innodb-buffer-pool-size': '128M',
      'innodb-flush-log-at-trx-commit': '2',
      'sync-binlog': '0',
    },
    async initialise(root, _scratch, run) {
      await run(['--bootstrap'], systemTables(root))
    },
  }
}

/** Starts a server; throws when its programs cannot be had or it does not come up. */
export function startMariadb(
  options: ServerOptions & { readonly version?: MariadbVersion } = {},
): Promise<MysqlServer> {
  return startServer(mariadbRecipe(options.version ?? '11.8'), options)
}

/** Where messages, character sets and the SQL of the system tables lie; its name changed with the versions. */
function share(root: string): string {
  const near = ['mariadb', 'mysql'].map((name) => join(root, 'usr/share', name))
  const found = near.find((folder) => existsSync(join(folder, 'fill_help_tables.sql')))
  if (found === undefined) throw new Error(`no fill_help_tables.sql below ${root}/usr/share`)
  return found
}

/**
 * What mariadb-install-db feeds to a server in bootstrap mode (one statement a line), without its helper
 * programs. The users are rows there: bootstrap mode reads no grants, so it knows no CREATE USER.
 */
function systemTables(root: string): string {
  const folder = share(root)
  const steps = [
    'system_tables',
    'performance_tables',
    'system_tables_data',
    'fill_help_tables',
    'maria_add_gis_sp_bootstrap',
    'sys_schema',
  ]
  const there = new Set(readdirSync(folder))
  const files = steps
    .flatMap((step) => ['mysql_', 'mariadb_', ''].map((prefix) => `${prefix}${step}.sql`))
    .filter((name) => there.has(name))
    .map((name) => readFileSync(join(folder, name), 'utf8'))
  const first = ['create database mysql;', 'use mysql;', 'set @auth_root_socket=NULL;']
  const password =
    "json_object('access',-1,'plugin','mysql_native_password','authentication_string',password('mysql'))"
  const users = ['localhost', '%'].map(
    (host) => `replace into mysql.global_priv values ('${host}','root',${password});`,
  )
  return [...first, 'set @skip_auth_anonymous=1;', ...files, 'use mysql;', ...users, ''].join('\n')
}

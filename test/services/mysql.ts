/**
 * Real MySQL servers for tests and benchmarks, from Debian's packages.
 *
 *   await using server = await startMysql({ settings: { 'binlog-row-image': 'MINIMAL' } })
 *   await server.query('CREATE DATABASE shop')
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { startServer, type MysqlServer, type Recipe, type ServerOptions } from './mysql-family.ts'

export type MysqlVersion = '9.7'

const users = `
ALTER USER 'root'@'localhost' IDENTIFIED BY 'mysql';
CREATE USER 'root'@'%' IDENTIFIED BY 'mysql';
GRANT ALL ON *.* TO 'root'@'%' WITH GRANT OPTION;
`

/** Debian's unstable suite moves: the version is the one of the day on which it was fetched. */
export const mysqlRecipe: Recipe = {
  name: 'mysql-9.7',
  flavour: 'mysql',
  programs: {
    suite: 'sid',
    packages: ['mysql-server-core', 'mysql-client-core'],
    without: /^(perl|libperl|libgdbm|libdb5)/,
  },
  server: 'usr/sbin/mysqld',
  client: 'usr/bin/mysql',
  binlog: 'usr/bin/mysqlbinlog',
  dump: 'usr/bin/mysqldump',
  clientOptions: ['--get-server-public-key'],
  folders: (root) => [
    `--basedir=${join(root, 'usr')}`,
    `--plugin-dir=${join(root, 'usr/lib/mysql/plugin')}`,
    `--lc-messages-dir=${join(root, 'usr/share/mysql')}`,
    `--character-sets-dir=${join(root, 'usr/share/mysql/charsets')}`,
    '--secure-file-priv=',
    '--innodb-redo-log-capacity=64M',
  ],
  settings: {
    'log-bin': 'binlog',
    'gtid-mode': 'ON',
    'enforce-gtid-consistency': 'ON',
    'binlog-row-metadata': 'FULL',
    'performance-schema': 'OFF',
    'innodb-buffer-pool-size': '128M',
    'innodb-flush-log-at-trx-commit': '2',
    'sync-binlog': '0',
    mysqlx: 'OFF',
  },
  async initialise(_root, scratch, run) {
    const file = join(scratch, 'init.sql')
    writeFileSync(file, users)
    await run(['--initialize-insecure', `--init-file=${file}`], '')
  },
}

/** Starts a server; throws when its programs cannot be had or it does not come up. */
export function startMysql(
  options: ServerOptions & { readonly version?: MysqlVersion } = {},
): Promise<MysqlServer> {
  return startServer(mysqlRecipe, options)
}

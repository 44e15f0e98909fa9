/**
 * Which MySQL and MariaDB servers a test runs against: it names those that it wants and gets those that
 * can be had here.
 *
 *   for (const { name, start } of await mysqlServers('mysql-9.7', 'mariadb-10.11', 'mariadb-11.8'))
 *     test(`… on ${name}`, async () => { await using server = await start() })
 */
import { mariadbRecipe } from './mariadb.ts'
import { mysqlRecipe } from './mysql.ts'
import { prepare, startServer } from './mysql-family.ts'
import type { MysqlServer, Recipe, ServerOptions } from './mysql-family.ts'

export type MysqlServerName = 'mysql-9.7' | 'mariadb-10.11' | 'mariadb-11.8'

export interface MysqlServerStarter {
  readonly name: MysqlServerName
  readonly flavour: 'mysql' | 'mariadb'
  start(options?: ServerOptions): Promise<MysqlServer>
}

const recipes: Readonly<Record<MysqlServerName, () => Recipe>> = {
  'mysql-9.7': () => mysqlRecipe,
  'mariadb-10.11': () => mariadbRecipe('10.11'),
  'mariadb-11.8': () => mariadbRecipe('11.8'),
}

/**
 * Those of the wanted servers whose programs can be had here. One that cannot is said to be skipped; in
 * CI that is an error. `SLUICE_TEST_MYSQL=mariadb-10.11` runs those tests on that one alone.
 */
export async function mysqlServers(
  ...wanted: readonly MysqlServerName[]
): Promise<readonly MysqlServerStarter[]> {
  const only = process.env['SLUICE_TEST_MYSQL']
  const found: MysqlServerStarter[] = []
  for (const name of wanted.filter((candidate) => only === undefined || candidate === only)) {
    const recipe = recipes[name]()
    try {
      await prepare(recipe)
      const start = (options: ServerOptions = {}): Promise<MysqlServer> =>
        startServer(recipe, options)
      found.push({ name, flavour: recipe.flavour, start })
    } catch (cause) {
      const reason = `${name} cannot be had here: ${String(cause)}`
      if (process.env['CI'] !== undefined) throw new Error(reason, { cause })
      process.stderr.write(`SKIPPED: ${reason}\n`)
    }
  }
  return found
}

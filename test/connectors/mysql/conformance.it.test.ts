/** The MySQL and MariaDB source under the suite that every source has to pass. */
import { mysql } from '../../../connectors/mysql/connector.ts'
import { sourceConformance } from '../../conformance/source.ts'
import { mysqlServers } from '../../services/mysql-servers.ts'

for (const starter of await mysqlServers('mysql-9.7', 'mariadb-10.11', 'mariadb-11.8')) {
  sourceConformance(starter.name, async () => {
    const server = await starter.start()
    // A user of its own, by whom the source's sessions are known.
    await server.query(
      `CREATE USER 'sluice'@'%' IDENTIFIED BY 'sluice'; GRANT ALL ON *.* TO 'sluice'@'%';
       CREATE DATABASE shop; USE shop;
       CREATE TABLE shop.orders (id bigint AUTO_INCREMENT PRIMARY KEY, note text);
       INSERT INTO shop.orders (note) WITH RECURSIVE n (i) AS
         (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 63) SELECT REPEAT(SHA2(i, 256), 30) FROM n`,
    )
    // Of 2 KB each, so that the first copy is several chunks.
    for (let i = 0; i < 6; i++) {
      await server.query('INSERT INTO shop.orders (note) SELECT note FROM shop.orders')
    }
    return {
      connector: mysql,
      config: mysql.config.parse({
        url: server.url.replace('root:mysql', 'sluice:sluice'),
        tables: ['shop.orders'],
        // A server notices that a reader is gone when it says that it is alive.
        heartbeat: '1s',
      }),
      topic: 'shop.orders',
      before: 63 * 64,
      insert: async (rows) => {
        const values = Array(rows).fill(`('new')`).join(', ')
        await server.query(`INSERT INTO shop.orders (note) VALUES ${values}`)
      },
      count: async () => {
        const [row] = await server.query<{ n: number }>('SELECT COUNT(*) AS n FROM shop.orders')
        return row!.n
      },
      connected: async () => {
        const rows = await server.query(
          `SELECT 1 FROM information_schema.processlist WHERE user = 'sluice'`,
        )
        return rows.length > 0
      },
      forgotten: null,
      forget: async () => {},
      [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
    }
  })
}

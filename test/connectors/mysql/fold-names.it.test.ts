/**
 * A server that takes names without regard to case (lower_case_table_names = 1) and keeps them in lower
 * case: `tables` and statements may spell them as they like, and the topics are named as the server names
 * the tables (invariants 3, 5).
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { mysqlServers } from '../../services/mysql-servers.ts'
import { Follower, rowsOf } from './follow.ts'
import { readThrough } from './read-through.ts'

const tables = ['Shop.ORDERS', 'SHOP.Customers', 'MORE.*', 'shop.Marker']

for (const starter of await mysqlServers('mysql-9.7', 'mariadb-10.11', 'mariadb-11.8')) {
  // Without the names of columns in the binlog the statements are what is followed.
  for (const metadata of ['FULL', 'MINIMAL']) {
    test(`${starter.name}: names in any case, row metadata ${metadata}`, async () => {
      await using server = await starter.start({
        foldNames: true,
        settings: { 'binlog-row-metadata': metadata },
      })
      await server.query(`CREATE DATABASE Shop; CREATE DATABASE More;
        CREATE TABLE Shop.Orders (Id int PRIMARY KEY, Note varchar(20));
        CREATE TABLE sHOP.CUSTOMERS (id int PRIMARY KEY);
        CREATE TABLE shop.marker (id int PRIMARY KEY); CREATE TABLE More.Things (id int PRIMARY KEY);
        INSERT INTO SHOP.ORDERS VALUES (1, 'one'); INSERT INTO Shop.Customers VALUES (1)`)
      await using follower = new Follower({ url: server.url, tables })
      const check = async (topics: readonly string[]): Promise<void> => {
        for (const topic of topics) follower.fold.assertRows(topic, await rowsOf(server, topic))
      }
      await follower.catchUp(server, 1)
      const has = (topic: string): boolean => (follower.fold.topics.get(topic)?.size ?? 0) > 0
      await readThrough(follower, () => has('shop.orders') && has('shop.customers'))
      await check(['shop.orders', 'shop.customers', 'more.things'])
      await server.query(`USE Shop; ALTER TABLE ORDERS ADD COLUMN Amount decimal(8,2) DEFAULT 5;
        INSERT INTO Orders VALUES (2, 'two', 2.5); UPDATE orders SET note = 'new' WHERE id = 1;
        RENAME TABLE CUSTOMERS TO More.Clients; INSERT INTO MORE.CLIENTS VALUES (2);
        CREATE TABLE MORE.Later (Id int PRIMARY KEY); INSERT INTO more.LATER VALUES (7);
        TRUNCATE TABLE More.THINGS; INSERT INTO more.Things VALUES (9)`)
      await follower.catchUp(server, 2)
      await check(['shop.orders', 'more.clients', 'more.later', 'more.things'])
      await follower.crash()
      await server.query(`DELETE FROM SHOP.Orders WHERE id = 2; DROP TABLE MORE.later`)
      await follower.catchUp(server, 3)
      await check(['shop.orders', 'more.clients', 'more.things'])
      const named = [...follower.fold.topics.keys()].filter(
        (topic) => topic !== topic.toLowerCase(),
      )
      assert.deepEqual(named, [], 'no topic of a name that the server does not have')
    })
  }
}

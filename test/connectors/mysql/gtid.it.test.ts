/** The server's own binary GTID sets, with tags and without: read, and written as it writes them. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { headerBytes, typeOf } from '../../../connectors/mysql/binlog/event-header.ts'
import { EventType } from '../../../connectors/mysql/binlog/events.ts'
import { GtidSet } from '../../../connectors/mysql/binlog/gtid-set.ts'
import { mysqlServers } from '../../services/mysql-servers.ts'
import { eventsOf } from './binlog-files.ts'

const other = '3e11fa47-71ca-11e1-9e33-c80aa9429562'

for (const starter of await mysqlServers('mysql-9.7')) {
  test(`${starter.name}: PREVIOUS_GTIDS is read and written byte by byte`, async () => {
    await using server = await starter.start()
    const client = await server.client()
    await client.query('CREATE DATABASE shop; USE shop; CREATE TABLE t (id INT PRIMARY KEY)')
    const gtids = [
      [`${other}:1`, `${other}:2`, `${other}:5`],
      [`${other}:tag_1:7`, `${other}:_x:1`, `${other}:tag_1:9`, `AUTOMATIC:mine`, `AUTOMATIC:mine`],
    ]
    let id = 0
    for (const step of gtids) {
      for (const gtid of step) {
        await client.query(`SET gtid_next = '${gtid}'; INSERT INTO t VALUES (${++id})`)
        await client.query(`SET gtid_next = 'AUTOMATIC'`)
      }
      await client.query('FLUSH BINARY LOGS')
      const [row] = await server.query<{ File: string; g: string }>('SHOW BINARY LOG STATUS')
      const [{ g }] = (await server.query<{ g: string }>('SELECT @@gtid_executed AS g')) as [
        { g: string },
      ]
      const file = readFileSync(join(server.dir, 'data', row!.File))
      const event = [...eventsOf(file)].find((one) => typeOf(one, 0) === EventType.previousGtids)!
      const body = event.subarray(headerBytes, event.length - 4)
      const set = GtidSet.decode(body, 0, body.length)
      assert.equal(set.toString(), g.replaceAll('\n', ''))
      assert.equal(set.encode().toString('hex'), body.toString('hex'))
      assert.ok(set.equals(GtidSet.parse(g)))
    }
  })
}

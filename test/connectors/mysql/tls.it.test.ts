/**
 * The whole source over TLS, the server's certificate and name checked, compressed or not: copy and stream,
 * a row of more than one packet, and a start from where the last one was (invariants 1 and 5). The user may
 * not connect without TLS.
 */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { mysqlServers } from '../../services/mysql-servers.ts'
import { makeAuthority, makeCertificate } from '../../support/certificates.ts'
import { tempDir } from '../../support/env.ts'
import { Follower, rowsOf } from './follow.ts'

const tables = ['shop.notes', 'shop.marker']
const largeNote = 'REPEAT(SHA2(RAND(), 256), 300000)'

for (const starter of await mysqlServers('mysql-9.7', 'mariadb-10.11', 'mariadb-11.8')) {
  test(`${starter.name}: the source over TLS`, async () => {
    using folder = tempDir('source-tls')
    const authority = makeAuthority('tests')
    const files = { ca: authority.cert, ...makeCertificate(['127.0.0.1'], authority) }
    const path = (name: string): string => join(folder.path, name)
    for (const name of ['ca', 'cert', 'key'] as const) writeFileSync(path(name), files[name])
    await using server = await starter.start({
      settings: {
        'ssl-ca': path('ca'),
        'ssl-cert': path('cert'),
        'ssl-key': path('key'),
        'max-allowed-packet': '64M',
      },
    })
    await server.query(`CREATE DATABASE shop; CREATE TABLE shop.marker (id int PRIMARY KEY);
      CREATE TABLE shop.notes (id int PRIMARY KEY, note longtext);
      CREATE USER 'secure'@'%' IDENTIFIED BY 'secure' REQUIRE SSL; GRANT ALL ON *.* TO 'secure'@'%'`)
    const plain = server.url.replace('root:mysql', 'secure:secure')
    const refused = new Follower({ url: `${plain}?ssl-mode=disabled`, tables })
    await assert.rejects(refused.next(), { code: 'source.mysql.auth' })
    const url = `${plain}?ssl-mode=verify-identity&ssl-ca=${path('ca')}`
    for (const compress of [false, true]) {
      // One row of more than one packet: copied as it is, and streamed compressed.
      const [copied, streamed] = compress ? ["'x'", largeNote] : [largeNote, "'x'"]
      await server.query(
        `TRUNCATE TABLE shop.notes; INSERT INTO shop.notes VALUES (1, ${copied}), (2, 'y')`,
      )
      await using follower = new Follower({ url, tables, compress })
      const round = compress ? 10 : 0
      await follower.catchUp(server, round)
      await server.query(`INSERT INTO shop.notes VALUES (3, ${streamed});
        UPDATE shop.notes SET note = CONCAT(note, '!') WHERE id = 2`)
      await follower.catchUp(server, round + 1)
      await follower.crash()
      await server.query(`DELETE FROM shop.notes WHERE id = 2`)
      await follower.catchUp(server, round + 2)
      follower.fold.assertRows('shop.notes', await rowsOf(server, 'shop.notes'))
    }
  })
}

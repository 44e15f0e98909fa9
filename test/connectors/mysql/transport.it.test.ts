/** Sessions on real servers: settings, TLS, compression, passwords, aborts (invariants 8, 9). */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { BinlogDump } from '../../../connectors/mysql/binlog/binlog-dump.ts'
import { connect, targetOf, type Session } from '../../../connectors/mysql/connection.ts'
import { mysqlError } from '../../../connectors/mysql/errors.ts'
import { errorMarker, errorPacket } from '../../../connectors/mysql/binlog/packets.ts'
import { RawCommand } from '../../../connectors/mysql/binlog/raw-command.ts'
import { systemClock } from '../../../core/connector/context.ts'
import { Secret } from '../../../core/connector/secret.ts'
import type { MysqlServer } from '../../services/mysql-family.ts'
import { mysqlServers } from '../../services/mysql-servers.ts'
import { startTcpProxy } from '../../services/tcp-proxy.ts'
import { makeAuthority, makeCertificate } from '../../support/certificates.ts'
import { tempDir } from '../../support/env.ts'

const never = new AbortController().signal

function open(url: string, compress = false, signal = never): Promise<Session> {
  return connect(targetOf(new Secret(url), { compress }), signal)
}

async function codeOf(action: Promise<unknown>): Promise<string> {
  const error = await action.then(
    () => null,
    (thrown: unknown) => mysqlError(thrown, 'try'),
  )
  return error === null ? 'none' : error.code
}

/** Bytes of all packets of a statement's answer, read without the driver. */
async function rawAnswer(
  session: Session,
  { flavour, sql }: { readonly flavour: 'mysql' | 'mariadb'; readonly sql: string },
  last: number,
): Promise<Buffer[]> {
  // MySQL takes query attributes, of which there are none.
  const head = flavour === 'mysql' ? '\0\x01' : ''
  const command = await RawCommand.send(session, Buffer.from(`\x03${head}${sql}`), systemClock)
  const packets: Buffer[] = []
  const reader = command.reader({
    waiting: false,
    packet: (source, start, end) => {
      if (source[start] === errorMarker) throw errorPacket(source, start, end)
      packets.push(Buffer.from(source.subarray(start, end)))
    },
  })
  while (packets.length < last) {
    const chunk = command.socket.take()
    if (chunk === null) await command.socket.wait()
    else {
      reader.give(chunk)
      assert.ok(reader.run())
    }
  }
  command.release()
  return packets
}

const servers = await mysqlServers('mysql-9.7', 'mariadb-10.11', 'mariadb-11.8')
for (const starter of servers) {
  describe(`sessions on ${starter.name}`, () => {
    const folder = tempDir('tls')
    const authority = makeAuthority('tests')
    const files = { ca: authority.cert, ...makeCertificate(['db.test', '127.0.0.1'], authority) }
    const other = makeCertificate(['other.test', '127.0.0.9'], authority)
    const path = (name: string): string => join(folder.path, name)
    let server: MysqlServer
    before(async () => {
      const texts = { ca: files.ca, cert: files.cert, key: files.key }
      for (const [name, text] of Object.entries(texts)) writeFileSync(path(name), text)
      writeFileSync(path('other-cert'), other.cert)
      writeFileSync(path('other-key'), other.key)
      writeFileSync(path('stranger'), makeAuthority('tests').cert)
      const tls = { 'ssl-ca': path('ca'), 'ssl-cert': path('cert'), 'ssl-key': path('key') }
      server = await starter.start({ settings: { ...tls, 'default-time-zone': '+05:00' } })
    })
    after(async () => {
      await server[Symbol.asyncDispose]()
      folder[Symbol.dispose]()
    })

    it('have our settings whatever the server’s are, and every value as its text', async () => {
      await server.query(`SET GLOBAL sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES'`)
      await using session = await open(server.url)
      const [row] = await session.query(
        `SELECT @@sql_mode AS mode, @@time_zone AS zone, @@character_set_results AS charset,
                18446744073709551615 AS big, NULL AS none, '漢' AS text,
                CAST('2026-01-02 03:04:05.678901' AS DATETIME(6)) AS at`,
      )
      assert.deepEqual(
        { ...row },
        {
          mode: '',
          zone: '+00:00',
          charset: 'utf8mb4',
          big: '18446744073709551615',
          none: null,
          text: '漢',
          at: '2026-01-02 03:04:05.678901',
        },
      )
    })

    it('lend their socket to a command, and go on as the driver’s', async () => {
      for (const compress of [false, true]) {
        await using session = await open(server.url, compress)
        for (let round = 0; round < 3; round++) {
          // Columns, one definition, EOF, two rows (one of which takes two packets), EOF.
          const sql = `SELECT REPEAT('x', ${round === 0 ? 10 : 16_000_000}) UNION ALL SELECT 'end'`
          const [large, small] = (await rawAnswer(session, { ...starter, sql }, 6)).slice(3, 5)
          assert.equal(large!.length, round === 0 ? 11 : 16_000_000 + 4)
          assert.equal(small!.toString('latin1'), '\x03end')
          const [row] = await session.query('SELECT 1 AS one')
          assert.equal(row?.['one'], '1')
        }
      }
    })

    it('are encrypted and checked as the mode says', async () => {
      const { url } = server
      const ca = `ssl-ca=${path('ca')}`
      const cipher = async (query: string): Promise<string> => {
        await using session = await open(`${url}?${query}`)
        const [row] = await session.query(`SHOW SESSION STATUS LIKE 'Ssl_cipher'`)
        return String(row?.['Value'])
      }
      assert.equal(await cipher('ssl-mode=disabled'), '')
      for (const query of ['ssl-mode=required', `ssl-mode=verify-ca&${ca}`]) {
        assert.notEqual(await cipher(query), '', query)
      }
      assert.notEqual(await cipher(`ssl-mode=verify-identity&${ca}`), '')
      const refused = [
        'ssl-mode=verify-ca',
        'ssl-mode=verify-identity',
        `ssl-mode=verify-ca&ssl-ca=${path('stranger')}`,
      ]
      for (const query of refused) {
        assert.equal(await codeOf(open(`${url}?${query}`)), 'source.mysql.tls', query)
      }
    })

    it('refuse a certificate of another host before they send a password', async () => {
      await server.restart({ 'ssl-cert': path('other-cert'), 'ssl-key': path('other-key') })
      const ca = `ssl-ca=${path('ca')}`
      for (const host of ['127.0.0.1', 'localhost']) {
        // A password that came to be looked at would be refused as one.
        const url = server.url.replace('127.0.0.1', host).replace(':mysql@', ':wrong@')
        const action = open(`${url}?ssl-mode=verify-identity&${ca}`)
        assert.equal(await codeOf(action), 'source.mysql.tls', host)
      }
      await using session = await open(`${server.url}?ssl-mode=verify-ca&${ca}`)
      assert.equal((await session.query('SELECT 1 AS one')).length, 1)
    })

    it('say what was wrong with the way in', async () => {
      const { url, port } = server
      const wrong = [
        [url.replace(':mysql@', ':wrong@'), 'source.mysql.auth'],
        [url.replace('root', 'nobody'), 'source.mysql.auth'],
        [url.replace(String(port), '1'), 'source.mysql.connection'],
        [
          `${url.replace('127.0.0.1', 'host.invalid')}?ssl-mode=disabled`,
          'source.mysql.connection',
        ],
      ] as const
      for (const [text, code] of wrong) assert.equal(await codeOf(open(text)), code, text)
      // Stays connected: the server is slow to forget those that are gone, and lets nobody in before.
      await using first = await open(url)
      await first.query('SET GLOBAL max_connections = 10')
      const sessions: Session[] = []
      let code = 'none'
      try {
        while (code === 'none' && sessions.length < 30) {
          code = await codeOf(open(url).then((session) => sessions.push(session)))
        }
      } finally {
        await first.query('SET GLOBAL max_connections = 151')
        for (const session of sessions) await session[Symbol.asyncDispose]()
      }
      assert.equal(code, 'source.mysql.busy')
    })

    it('end at once when aborted, while connecting and in a statement', async () => {
      const early = new AbortController()
      const connecting = open(server.url, false, early.signal)
      early.abort(new Error('stop'))
      await assert.rejects(connecting, /stop/)
      const late = new AbortController()
      const session = await open(server.url, false, late.signal)
      const waiting = session.query('SELECT SLEEP(600)')
      setTimeout(() => late.abort(), 50)
      await assert.rejects(waiting)
      assert.equal(await codeOf(session.query('SELECT 1')), 'source.mysql.connection')
    })

    it('of a stream that stall before it begins are given up', async () => {
      await using proxy = await startTcpProxy(server.port)
      const openDump = async (timeoutS: number): Promise<void> => {
        const url = `mysql://root:mysql@127.0.0.1:${proxy.port}?connect-timeout=${timeoutS}`
        const target = targetOf(new Secret(url), { compress: false })
        const place = { gtids: '', server: '', file: '', offset: 4 }
        const from = { flavour: starter.flavour, ...place }
        const options = { serverId: 4_000_000_000, heartbeatMs: 60_000, clock: systemClock }
        await using dump = await BinlogDump.open({ target, from, ...options }, never)
        assert.notEqual(dump.served, '')
      }
      // In the middle of the greeting, and in that of an answer, before which a slow machine has to have logged in.
      proxy.passBytes = 20
      assert.equal(await codeOf(openDump(1)), 'source.mysql.connection')
      proxy.passBytes = 400
      assert.equal(await codeOf(openDump(5)), 'source.mysql.silent')
      proxy.passBytes = Infinity
      await openDump(60)
    })

    it('that the server ended say so at the next statement', async () => {
      await using session = await open(server.url)
      const [row] = await session.query('SELECT CONNECTION_ID() AS id')
      await server.query(`KILL ${String(row?.['id'])}`)
      const code = await codeOf(session.query('SELECT 1'))
      assert.ok(['source.mysql.connection', 'source.mysql.server_restarting'].includes(code), code)
    })
  })
}

for (const starter of servers.filter(({ flavour }) => flavour === 'mysql')) {
  describe(`caching_sha2_password on ${starter.name}`, () => {
    it('lets in a user unknown to the cache, with the server’s key and with TLS, and a known one', async () => {
      await using server = await starter.start()
      await server.query(`CREATE USER 'cold'@'%' IDENTIFIED WITH caching_sha2_password BY 'p@:/ß'`)
      const url = server.url.replace('root:mysql@', `cold:${encodeURIComponent('p@:/ß')}@`)
      for (const query of ['?ssl-mode=disabled', '?ssl-mode=required', '?ssl-mode=disabled']) {
        // Forgets the passwords seen so far.
        await server.query('FLUSH PRIVILEGES')
        for (let again = 0; again < 2; again++) {
          await using session = await open(`${url}${query}`)
          const [row] = await session.query('SELECT CURRENT_USER() AS who')
          assert.equal(row?.['who'], 'cold@%', query)
        }
      }
      const wrong = url.replace('p%40', 'q%40')
      assert.equal(await codeOf(open(`${wrong}?ssl-mode=disabled`)), 'source.mysql.auth')
    })
  })
}

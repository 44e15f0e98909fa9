/** What of the MySQL transport needs no server: the words of its URLs, errors, ids. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { nameOf, targetOf } from '../../../connectors/mysql/connection.ts'
import { mysqlError } from '../../../connectors/mysql/errors.ts'
import { commandPacket, errorPacket } from '../../../connectors/mysql/binlog/packets.ts'
import { markTaken, replicaId } from '../../../connectors/mysql/binlog/replica-ids.ts'
import { StreamProgress } from '../../../connectors/mysql/binlog/stream-progress.ts'
import { Secret } from '../../../core/connector/secret.ts'
import { SluiceError } from '../../../core/errors/error.ts'
import { failsWith } from '../../support/fails-with.ts'

function target(url: string) {
  return targetOf(new Secret(url), { compress: false })
}

describe('the URL', () => {
  it('gives host, port, user and password, decoded', () => {
    const { host, port, user, password, database, tls } = target(
      'mysql://u%40x:p%2F%3A@127.0.0.1:3307/d',
    )
    assert.deepEqual(
      { host, port, user, password, database, tls },
      { host: '127.0.0.1', port: 3307, user: 'u@x', password: 'p/:', database: 'd', tls: null },
    )
    assert.equal(target('mysql://u:p@[::1]').port, 3306)
    assert.equal(nameOf(target('mysql://u:p@[::1]')), '[::1]:3306')
  })

  it('asks for a verified name everywhere but on this machine, and never for less than it says', () => {
    const checks = (url: string): string => {
      const { tls } = target(url)
      return tls === null ? 'none' : `${tls.rejectUnauthorized} ${tls.verifyIdentity}`
    }
    assert.equal(checks('mysql://u:p@db.example.com'), 'true true')
    assert.equal(checks('mysql://u:p@localhost'), 'none')
    assert.equal(checks('mysql://u:p@localhost?ssl-mode=verify-identity'), 'true true')
    assert.equal(checks('mysql://u:p@db?ssl-mode=VERIFY_CA'), 'true false')
    assert.equal(checks('mysql://u:p@db?ssl-mode=required'), 'false false')
    assert.equal(checks('mysql://u:p@db?ssl-mode=disabled'), 'none')
  })

  it('that cannot be used is refused without repeating what is secret', () => {
    const wrong = [
      'nonsense hunter2',
      'postgres://u:hunter2@db',
      'mysql://u:hunter2@db?ssl-mode=preferred',
      'mysql://u:hunter2@db?sslmode=required',
      'mysql://u:hunter2@db?connect-timeout=soon',
      'mysql://u:hunter2@db?ssl-ca=/nonexistent/ca.pem',
      'mysql://:hunter2@db',
    ]
    for (const url of wrong) {
      assert.throws(
        () => target(url),
        (error) => failsWith('source.mysql.url')(error) && !String(error).includes('hunter2'),
        url,
      )
    }
  })
})

describe('errors', () => {
  const table: readonly (readonly [number, string, string, string])[] = [
    [1045, 'Access denied', 'source.mysql.auth', 'config'],
    [1130, 'Host is not allowed', 'source.mysql.auth', 'config'],
    [1227, 'Access denied; you need', 'source.mysql.permission', 'config'],
    [1040, 'Too many connections', 'source.mysql.busy', 'transient'],
    [1053, 'Server shutdown in progress', 'source.mysql.server_restarting', 'transient'],
    [1927, 'Connection was killed', 'source.mysql.server_restarting', 'transient'],
    [
      1236,
      'Could not find first log file name in binary log index file',
      'source.mysql.binlog_purged',
      'config',
    ],
    [
      1236,
      'Cannot replicate because the source purged required binary logs.',
      'source.mysql.binlog_purged',
      'config',
    ],
    [
      1236,
      "Replica has more GTIDs than the source has, using the source's SERVER_UUID.",
      'source.mysql.binlog_ahead',
      'config',
    ],
    [
      1236,
      'A slave with the same server_uuid/server_id as this slave has connected',
      'source.mysql.server_id_clash',
      'transient',
    ],
    [1236, 'Binary log is not open', 'source.mysql.binlog_off', 'config'],
    [1236, 'bogus data in log event', 'source.mysql.binlog_unreadable', 'config'],
    [1955, 'The binlog on the master is missing the GTID', 'source.mysql.binlog_purged', 'config'],
    [
      4052,
      'A slave with the same server_id is already connected',
      'source.mysql.server_id_clash',
      'transient',
    ],
    [1064, 'You have an error in your SQL syntax', 'source.mysql.server', 'config'],
  ]

  it('of the server are told apart by number, and those of the binlog by text', () => {
    for (const [errno, message, code, fault] of table) {
      const error = mysqlError(Object.assign(new Error(message), { errno }), 'read')
      assert.deepEqual([error.code, error.fault], [code, fault], message)
      assert.ok(
        error.message.includes(String(errno)) && error.message.includes(message.slice(0, 30)),
      )
    }
  })

  it('of the network can be tried again, those of TLS cannot, and the rest are bugs', () => {
    const coded = (code: string, message = 'x') =>
      mysqlError(Object.assign(new Error(message), { code }), 'read')
    assert.equal(coded('ECONNRESET').code, 'source.mysql.connection')
    assert.equal(coded('PROTOCOL_CONNECTION_LOST').code, 'source.mysql.connection')
    assert.equal(coded('HANDSHAKE_SSL_ERROR', 'self-signed certificate').code, 'source.mysql.tls')
    assert.equal(
      coded(
        'HANDSHAKE_SSL_ERROR',
        'Client network socket disconnected before secure TLS connection was established',
      ).code,
      'source.mysql.connection',
    )
    assert.equal(mysqlError(new TypeError('x is not a function'), 'read').code, 'internal.bug')
    const ours = new SluiceError('source.mysql.silent', { message: 'quiet' })
    assert.equal(mysqlError(ours, 'read'), ours)
  })

  it('are read from ERR packets, with and without SQLSTATE, however short', () => {
    const text = Buffer.from('\xff\x15\x04#28000Access denied', 'latin1')
    assert.deepEqual(
      [errorPacket(text, 0, text.length).errno, errorPacket(text, 0, text.length).message],
      [1045, 'Access denied'],
    )
    const old = Buffer.from('\xff\x10\x04Too many connections', 'latin1')
    assert.equal(errorPacket(old, 0, old.length).message, 'Too many connections')
    for (let end = 1; end < text.length; end++) errorPacket(text, 0, end)
  })
})

describe('commands', () => {
  it('are packet 0, in a frame of their own where compressed', () => {
    assert.deepEqual([...commandPacket(Uint8Array.of(7, 8), false)], [2, 0, 0, 0, 7, 8])
    assert.deepEqual(
      [...commandPacket(Uint8Array.of(7, 8), true)],
      [6, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 7, 8],
    )
  })
})

describe('ids of replicas', () => {
  it('are the wanted ones until another reader turns out to have them', () => {
    const wanted = 0x9000_0000
    assert.equal(
      replicaId(wanted, () => 0.5),
      wanted,
    )
    markTaken(wanted)
    assert.equal(
      replicaId(wanted, () => 0.5),
      0xc000_0000,
    )
    markTaken(0xc000_0000)
    const drawn = [0.5, 0.5, 0.9999999999]
    const next = replicaId(wanted, () => drawn.shift()!)
    assert.ok(next > 0x8000_0000 && next <= 0xffff_ffff && next !== 0xc000_0000)
  })
})

describe('a place beyond 4 GiB without GTIDs', () => {
  it('is reached from the start of its file, with all before it known and nothing after it', () => {
    const file = 'binlog.000001'
    const offset = 4_400_021_423
    const from = { flavour: 'mysql', gtids: null, server: 's', file, offset } as const
    const progress = new StreamProgress(from)
    const [format, anonymous, rows, rotate] = [15, 34, 30, 4]
    progress.rotate(file, 4)
    progress.advance(format, 122, 126)
    progress.advance(anonymous, 100, 226)
    assert.equal(progress.beginPlain(100), true)
    for (let at = 226; at < offset;) {
      const bytes = Math.min(40_000_000, offset - at)
      at += bytes
      progress.advance(rows, bytes, at % 2 ** 32)
    }
    progress.finish()
    assert.deepEqual(progress.place(), from)
    progress.advance(rotate, 44, (offset + 44) % 2 ** 32)
    progress.rotate('binlog.000002', 4)
    progress.advance(format, 122, 126)
    progress.advance(anonymous, 100, 226)
    assert.equal(progress.beginPlain(100), false)
  })
})

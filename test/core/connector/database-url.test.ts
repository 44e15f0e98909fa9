/** Connection URLs: what is read is what was meant, errors say what is wrong and nothing secret. */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import {
  readDatabaseUrl,
  type DatabaseUrl,
  type UrlWords,
} from '../../../core/connector/database-url.ts'
import { Secret } from '../../../core/connector/secret.ts'
import { SluiceError } from '../../../core/errors/error.ts'
import { tempDir } from '../../support/env.ts'

const words: UrlWords = {
  code: 'source.mysql.url',
  owner: 'Toy source',
  schemes: ['toy', 'toydb'],
  port: 4000,
  tlsModes: ['off', 'on', 'chain', 'full-check'],
  tlsMode: 'tls',
  tlsCa: 'tls-ca',
  tlsCert: 'tls-cert',
  tlsKey: 'tls-key',
  connectTimeout: 'patience',
  others: ['host', 'port'],
}

function read(url: string): DatabaseUrl {
  return readDatabaseUrl(new Secret(url), words)
}

/** Expects an error under the code that matches `text`, and that has `secret` nowhere. */
function refuses(url: string, text: RegExp, secret = 'hunter2'): void {
  assert.throws(
    () => read(url),
    (error) => {
      assert.ok(error instanceof SluiceError, String(error))
      assert.deepEqual([error.code, error.fault], ['source.mysql.url', 'config'])
      assert.match(error.message, /^The url of the Toy source /)
      assert.match(error.message, text, url)
      const shown = `${error.stack} ${error.message} ${String(error.cause)}`
      assert.ok(!shown.includes(secret), shown)
      return true
    },
  )
}

describe('the parts', () => {
  it('come back as they were before they were encoded, whatever they are', () => {
    const text = fc.string({ unit: 'grapheme', minLength: 1 })
    fc.assert(
      fc.property(text, text, text, fc.boolean(), (user, password, database, second) => {
        const [u, p, d] = [user, password, database].map(encodeURIComponent)
        const found = read(`${second ? 'toydb' : 'toy'}://${u}:${p}@db.example.com/x${d}`)
        assert.deepEqual(
          [found.user, found.password, found.database, found.host],
          [user, password, `x${database}`, 'db.example.com'],
        )
      }),
    )
  })

  it('have defaults', () => {
    const { host, port, password, database, tls, connectTimeoutMs } = read('toy://u@[::1]')
    assert.deepEqual([host, port, password, database], ['::1', 4000, '', ''])
    assert.deepEqual([tls, connectTimeoutMs], [null, 15_000])
  })

  it('host and port may be parameters, where the database has them', () => {
    const { host, port } = read('toy://u@ignored:1/?host=/var/run/toy&port=5')
    assert.deepEqual([host, port], ['/var/run/toy', 5])
  })
})

describe('a % that begins no encoded character', () => {
  it('is said to be one, with its part and how it is written', () => {
    for (const [url, part] of [
      ['toy://u:hunter2%@db', 'password'],
      ['toy://u:50%off-hunter2@db', 'password'],
      ['toy://u:hunter2%ff@db', 'password'],
      ['toy://100%:hunter2@db', 'user'],
      ['toy://u:hunter2@db/a%b', 'database'],
      ['toy://u:hunter2@d%b', 'host'],
    ] as const) {
      refuses(url, new RegExp(`has a % in its ${part} .*%25`))
    }
    assert.equal(read('toy://u:50%25off@db').password, '50%off')
  })
})

describe('what cannot be used', () => {
  it('is refused without repeating what is secret', () => {
    refuses('hunter2', /cannot be read as a URL/)
    refuses('other://u:hunter2@db', /does not begin with toy:\/\//)
    refuses('toy://:hunter2@db', /names no user/)
    refuses('toy://u:hunter2@db?host=', /names no host/)
    refuses('toy://u:hunter2@db?tls=on&ssl=on', /the unknown parameter "ssl"/)
    refuses('toy://u:hunter2@db?tls=prefer', /tls=prefer; use off, on, chain or full-check/)
    refuses('toy://u:hunter2@db?tls=on&tls-ca=/nonexistent/ca.pem', /tls-ca that cannot be read/)
    for (const text of ['', '0', '-1', '1.5', '1e2', '86401', 'soon', '99999999999999']) {
      refuses(`toy://u:hunter2@db?patience=${text}`, /patience that is no number of seconds/)
    }
    for (const text of ['0', '65536', 'x', '1.5']) {
      refuses(`toy://u:hunter2@db?port=${text}`, /no number from 1 to 65535/)
    }
    refuses('toy://u:hunter2@db:0', /no number from 1 to 65535/)
  })

  it('a password that was not encoded at all is in no message', () => {
    for (const sign of ['/', '?', '#', '@', ':', '%', '[', '\\', ' ', '&', '=']) {
      const tail = `x@1?${sign}hunter2`
      for (const password of [
        `12${sign}hunter2`,
        `hunter2${sign}12`,
        tail,
        `${tail}&x`,
        `${tail}#x`,
      ]) {
        try {
          read(`toy://u:${password}@db`)
        } catch (error) {
          assert.ok(error instanceof SluiceError, String(error))
          assert.ok(!`${error.stack}`.includes('hunter2'), `${sign}: ${error.message}`)
        }
      }
    }
  })

  it('a number of seconds becomes milliseconds', () => {
    assert.equal(read('toy://u@db?patience=86400').connectTimeoutMs, 86_400_000)
    assert.equal(read('toy://u@db?patience=1').connectTimeoutMs, 1000)
  })
})

describe('TLS', () => {
  function checks(url: string): string {
    const { tls } = read(url)
    return tls === null ? 'none' : `${tls.rejectUnauthorized} ${tls.verifyIdentity}`
  }

  it('checks what the mode says, however it is spelled', () => {
    assert.equal(checks('toy://u@db?tls=off'), 'none')
    assert.equal(checks('toy://u@db?tls=on'), 'false false')
    assert.equal(checks('toy://u@db?tls=chain'), 'true false')
    assert.equal(checks('toy://u@db?tls=FULL_CHECK'), 'true true')
  })

  it('is left out by itself for this machine alone', () => {
    const here = ['localhost', '127.0.0.1', '127.1.2.3', '[::1]', '%2Fvar%2Frun%2Ftoy']
    for (const host of here) {
      assert.equal(checks(`toy://u@${host}`), 'none', host)
      assert.equal(checks(`toy://u@${host}?tls=full-check`), 'true true', host)
    }
    const elsewhere = ['db', '10.0.0.7', '127.example.com', '127.0.0.1.example.com', '[fe80::1]']
    for (const host of [...elsewhere, 'localhost.example.com']) {
      assert.equal(checks(`toy://u@${host}`), 'true true', host)
    }
  })

  it('takes certificates from files, and the trusted ones at the word system', () => {
    using folder = tempDir('url')
    const file = (name: string): string => {
      const path = join(folder.path, name)
      writeFileSync(path, `the ${name}`)
      return encodeURIComponent(path)
    }
    const query = `tls-ca=${file('ca')}&tls-cert=${file('cert')}&tls-key=${file('key')}`
    assert.deepEqual(read(`toy://u@db?${query}`).tls, {
      rejectUnauthorized: true,
      verifyIdentity: true,
      ca: 'the ca',
      cert: 'the cert',
      key: 'the key',
    })
    assert.deepEqual(read('toy://u@db?tls-ca=system').tls, {
      rejectUnauthorized: true,
      verifyIdentity: true,
    })
    assert.equal(read(`toy://u@db?tls=off&${query}`).tls, null)
  })
})

/**
 * Every single byte of every character set, all sequences of two and the three-byte ones, and samples of
 * gb18030's four: decoded here as the server converts them; what it has no character for is refused, not
 * made up (DESIGN §4, invariant 9).
 *
 *   SLUICE_WRITE_CHARSETS=1 writes connectors/mysql/values/charset-data.generated.ts anew from MySQL's tables.
 */
import assert from 'node:assert/strict'
import { isUtf8 } from 'node:buffer'
import { after, before, describe, test } from 'node:test'
import type { Connection, RowDataPacket } from 'mysql2/promise'
import { decodeText } from '../../../connectors/mysql/values/charset.ts'
import { SluiceError } from '../../../core/errors/error.ts'
import { mysqlServers } from '../../services/mysql-servers.ts'
import type { MysqlServer } from '../../services/mysql-family.ts'
import { writeCharsetData } from '../../support/charset-data-writer.ts'

const doubleByte = ['gbk', 'gb2312', 'big5', 'euckr', 'sjis', 'cp932', 'ujis', 'eucjpms', 'gb18030']
const tripleByte = ['ujis', 'eucjpms']
const byUnicode = /^(utf|ucs|binary)/

for (const starter of await mysqlServers('mysql-9.7', 'mariadb-10.11', 'mariadb-11.8')) {
  const { name } = starter
  describe(`character sets of ${name}`, () => {
    let server: MysqlServer
    let client: Connection
    let charsets: readonly string[]

    before(async () => {
      server = await starter.start()
      client = await server.client()
      await client.query(`CREATE DATABASE sets; USE sets; SET sql_mode = '';
        CREATE TABLE sequences (b VARBINARY(4) PRIMARY KEY) ENGINE = MyISAM`)
      const [rows] = await client.query<RowDataPacket[]>(
        'SELECT CHARACTER_SET_NAME AS name FROM information_schema.CHARACTER_SETS ORDER BY name',
      )
      charsets = rows.map((row) => String(row['name']))
    })
    after(async () => {
      await server[Symbol.asyncDispose]()
    })

    test('single bytes', async () => {
      await fill(client, singleBytes())
      for (const charset of charsets.filter((each) => !byUnicode.test(each))) {
        await compare(client, charset)
      }
    })

    test('two bytes', async () => {
      await fill(client, twoBytes())
      for (const charset of doubleByte.filter((each) => charsets.includes(each))) {
        await compare(client, charset)
      }
    })

    test('three bytes', async () => {
      await fill(client, threeBytes())
      for (const charset of tripleByte) await compare(client, charset)
    })

    // MariaDB has no gb18030.
    if (starter.flavour === 'mysql') {
      test('samples of the four bytes of gb18030', async () => {
        await fill(client, fourBytes())
        await compare(client, 'gb18030')
      })
    }

    test('units of 16 and 32 bits', async () => {
      await fill(client, units())
      for (const charset of ['ucs2', 'utf16', 'utf16le', 'utf32']) {
        // A server makes up the missing bytes of an odd length, which no column can have.
        await compare(client, charset, charset === 'utf32' ? 4 : 2)
      }
    })

    if (process.env['SLUICE_WRITE_CHARSETS'] !== undefined && name === 'mysql-9.7') {
      test('writes the tables', async () => {
        await fill(client, [...singleBytes(), ...twoBytes(), ...threeBytes()])
        const tables = new Map<string, ReadonlyMap<string, string | null>>()
        for (const charset of charsets.filter((each) => !byUnicode.test(each))) {
          const table = [...(await converted(client, charset))]
          tables.set(charset, new Map(table.map(([bytes, { text }]) => [bytes, text])))
        }
        writeCharsetData(tables)
      })
    }
  })
}

async function fill(client: Connection, sequences: readonly string[]): Promise<void> {
  await client.query('TRUNCATE sequences')
  for (let i = 0; i < sequences.length; i += 8192) {
    const values = sequences.slice(i, i + 8192).map((hex) => `(x'${hex}')`)
    await client.query(`INSERT INTO sequences VALUES ${values.join()}`)
  }
}

interface Converted {
  /** null where the server has no character for it. */
  readonly text: string | null
  /** Converting it back gives other bytes: the server left some out, or has two sequences for one character. */
  readonly comesBack: boolean
}

/** What the server makes of each sequence. */
async function converted(client: Connection, charset: string): Promise<Map<string, Converted>> {
  const [rows] = await client.query<RowDataPacket[]>(
    `SELECT HEX(b) AS b, HEX(CONVERT(CONVERT(b USING ${charset}) USING utf8mb4)) AS text,
            HEX(CONVERT(CONVERT(CONVERT(b USING ${charset}) USING utf8mb4) USING ${charset})) AS back
       FROM sequences`,
  )
  return new Map(
    rows.map((row) => {
      const bytes = String(row['b'])
      const utf8 = Buffer.from(String(row['text'] ?? ''), 'hex')
      // MariaDB writes half of a pair as if it were a character.
      const text = isUtf8(utf8) ? utf8.toString() : ''
      const marks = text.split('?').length - 1
      // What cannot be converted becomes '?', an ill-formed value null or the part before it.
      const written = questionMarks(bytes, charset)
      const isText = text !== '' && marks === written
      return [bytes, { text: isText ? text : null, comesBack: row['back'] === bytes }]
    }),
  )
}

function questionMarks(hex: string, charset: string): number {
  const bytes = hex.match(/../g) ?? []
  if (/^(ucs2|utf16)$/.test(charset)) return hex === '003F' ? 1 : 0
  if (charset === 'utf16le') return hex === '3F00' ? 1 : 0
  if (charset === 'utf32') return hex === '0000003F' ? 1 : 0
  return bytes.filter((byte) => byte === '3F').length
}

async function compare(client: Connection, charset: string, width = 1): Promise<void> {
  const wrong: string[] = []
  let characters = 0
  for (const [hex, { text, comesBack }] of await converted(client, charset)) {
    if ((hex.length / 2) % width !== 0) continue
    const ours = decoded(charset, hex)
    if (ours !== null) characters++
    // The server may give a part of a text with something broken in it, and U+FFFD for bytes that are
    // no character; refusing such a value is right whatever it says.
    if (ours === text || (ours === null && !comesBack)) continue
    wrong.push(`${hex}: the server has ${JSON.stringify(text)}, here it is ${JSON.stringify(ours)}`)
  }
  assert.deepEqual(wrong.slice(0, 10), [], `${charset}: ${wrong.length} differences`)
  assert.ok(characters > 30, `${charset}: ${characters} characters`)
}

function decoded(charset: string, hex: string): string | null {
  try {
    return decodeText(charset, Buffer.from(hex, 'hex'))
  } catch (error) {
    assert.ok(error instanceof SluiceError && error.code === 'source.mysql.value', String(error))
    return null
  }
}

const hex = (...bytes: readonly number[]): string => Buffer.from(bytes).toString('hex')
const range = (from: number, to: number): number[] =>
  Array.from({ length: to - from + 1 }, (_, i) => from + i)

function singleBytes(): string[] {
  return range(0, 255).map((byte) => hex(byte))
}
function twoBytes(): string[] {
  return range(0x80, 255).flatMap((lead) => range(0x20, 255).map((trail) => hex(lead, trail)))
}
function threeBytes(): string[] {
  return range(0xa1, 0xfe).flatMap((lead) =>
    range(0xa1, 0xfe).map((trail) => hex(0x8f, lead, trail)),
  )
}
function fourBytes(): string[] {
  return range(0x81, 0xfe).flatMap((a) =>
    range(0x30, 0x39).flatMap((b) =>
      [0x81, 0x82, 0x9f, 0xa4, 0xfe].flatMap((c) => range(0x30, 0x39).map((d) => hex(a, b, c, d))),
    ),
  )
}
function units(): string[] {
  const pairs = range(0, 255).flatMap((high) => [0, 0x3f, 0x41, 0xff].map((low) => hex(high, low)))
  const fours = [0, 1, 0x10, 0x11, 0xd8, 0xdb, 0xdc].flatMap((a) =>
    [0, 1, 0x10, 0xd8, 0xff].flatMap((b) =>
      [0, 0xd8, 0xdc, 0xdf, 0xff].flatMap((c) => [0, 0x41, 0xff].map((d) => hex(a, b, c, d))),
    ),
  )
  return [...pairs, ...fours]
}

/**
 * Preflight on real servers: each thing that can be wrong is found, all at once, and the statement
 * given as its remedy cures it; the source refuses to start over a gap (invariant 5).
 */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { mysql } from '../../../connectors/mysql/connector.ts'
import type { MysqlServer } from '../../services/mysql-family.ts'
import { quietContext } from '../../support/context.ts'
import { mysqlServers } from '../../services/mysql-servers.ts'

const context = quietContext({ name: 'preflight', random: Math.random })

function problems(url: string, tables: readonly string[]) {
  return mysql.check(mysql.config.parse({ url, tables }), context)
}

const codes = (found: Awaited<ReturnType<typeof problems>>, severity: string): string[] =>
  found
    .filter((problem) => problem.severity === severity)
    .map(({ code }) => code.replace('source.mysql.', ''))
    .sort()

/** Runs the statements of remedies as a person would who reads them. */
async function cure(server: MysqlServer, found: Awaited<ReturnType<typeof problems>>) {
  for (const { remedy } of found) {
    for (const statement of remedy.split(';')) {
      const text = statement.trim().replace(/^(or |.*If it is there: )(?=ALTER|GRANT)/, '')
      if (/^(ALTER|GRANT|SET)/.test(text) && !text.includes('…')) await server.query(text)
    }
  }
}

for (const starter of await mysqlServers('mysql-9.7', 'mariadb-10.11')) {
  describe(`${starter.name}: preflight`, () => {
    let server: MysqlServer
    before(async () => {
      server = await starter.start(
        starter.flavour === 'mariadb' ? { settings: { 'gtid-strict-mode': 'ON' } } : {},
      )
      await server.query('CREATE DATABASE shop; CREATE DATABASE `odd_name`')
    })
    after(async () => server[Symbol.asyncDispose]())

    it('finds nothing wrong where nothing is', async () => {
      await server.query('CREATE TABLE shop.good (id int PRIMARY KEY)')
      assert.deepEqual(await problems(server.url, ['shop.good', 'shop.*']), [])
    })

    it('finds everything that is wrong with tables at once', async () => {
      await server.query(`CREATE TABLE shop.no_key (a int);
        CREATE TABLE shop.prefix (a varchar(100) NOT NULL, UNIQUE (a(10)));
        CREATE TABLE shop.unsure (a int UNIQUE);
        CREATE TABLE shop.floating (a double PRIMARY KEY);
        CREATE TABLE shop.old (a int PRIMARY KEY) ENGINE = MyISAM;
        CREATE VIEW shop.seen AS SELECT 1 AS a`)
      const tables = ['no_key', 'prefix', 'unsure', 'floating', 'old', 'seen', 'absent']
      const found = await problems(server.url, [...tables.map((t) => `shop.${t}`), 'nowhere.*'])
      const of = (text: string) => found.filter(({ message }) => message.includes(text))
      assert.equal(found.length, 8, JSON.stringify(found, null, 1))
      for (const table of ['no_key', 'prefix', 'unsure', 'floating']) {
        assert.deepEqual(codes(of(`shop.${table}`), 'warning'), ['no_key'], table)
      }
      assert.deepEqual(codes(of('shop.old'), 'warning'), ['engine'])
      assert.deepEqual(codes(found, 'error'), ['table_kind', 'table_missing', 'table_missing'])
      await cure(server, of('shop.old'))
      assert.deepEqual(await problems(server.url, ['shop.old']), [])
      // Of a whole database the views are left out, and what online schema changes make.
      await server.query('CREATE TABLE shop._good_gho LIKE shop.good')
      assert.equal(of('seen').length, 1)
      const all = await problems(server.url, ['shop.*'])
      assert.ok(!all.some(({ message }) => /seen|_good_gho/.test(message)))
    })

    it('suggests the name that was probably meant, and a GRANT only where that can be what lacks', async () => {
      await server.query(`CREATE DATABASE spelled; CREATE TABLE spelled.orders (id int PRIMARY KEY);
        CREATE TABLE spelled.\`order lines\` (id int PRIMARY KEY);
        CREATE USER 'seesone'@'%' IDENTIFIED BY 'one';
        GRANT SELECT ON spelled.orders TO 'seesone'@'%'`)
      const wrong = ['spelled.order', 'spelled.Orderss', 'speled.orders', 'speled.*']
      const right = ['spelled.orders', 'spelled.orders', 'spelled.orders', 'spelled.*']
      const found = await problems(server.url, [...wrong, 'spelled.order_lines', 'spelled.absent'])
      assert.deepEqual(
        found.slice(0, 4).map(({ message, remedy }) => [message, remedy]),
        wrong.map((name, i) => [
          `There is no table ${name.endsWith('*') ? 'in ' : ''}${name}.`,
          `Correct \`tables\`: did you mean "${right[i]}"?`,
        ]),
      )
      assert.match(found[4]!.remedy, /did you mean "spelled\.`order lines`"\?$/)
      assert.match(found[5]!.remedy, /as SHOW TABLES shows them\.$/)
      const url = server.url.replace('root:mysql', 'seesone:one')
      const [seen] = (await problems(url, ['spelled.order'])).filter(
        ({ code }) => code === 'source.mysql.table_missing',
      )
      assert.equal(seen!.message, "There is no table spelled.order that 'seesone'@'%' may see.")
      assert.equal(
        seen!.remedy,
        'Correct `tables`: did you mean "spelled.orders"? ' +
          "If it is there: GRANT SELECT ON `spelled`.`order` TO 'seesone'@'%';",
      )
    })

    it('says what is no table that can be followed', async () => {
      await server.query('CREATE VIEW shop.view_of AS SELECT 1 AS a')
      const names = ['shop.view_of']
      if (starter.flavour === 'mariadb') {
        await server.query(`CREATE SEQUENCE shop.counter;
          CREATE TABLE shop.versions (a int PRIMARY KEY) WITH SYSTEM VERSIONING`)
        names.push('shop.counter', 'shop.versions')
      }
      const found = await problems(server.url, names)
      assert.deepEqual(
        codes(found, 'error'),
        names.map(() => 'table_kind'),
      )
      assert.match(found.at(-1)!.message, starter.flavour === 'mysql' ? /a view/ : /history rows/)
    })

    it('asks for LOCK TABLES wherever a copy takes locks, and only there', async () => {
      await server.query(`CREATE DATABASE locks; CREATE USER 'unlocked'@'%' IDENTIFIED BY 'unlocked';
        GRANT REPLICATION SLAVE, ${starter.flavour === 'mysql' ? 'REPLICATION CLIENT' : 'BINLOG MONITOR'} ON *.* TO 'unlocked'@'%';
        GRANT SELECT ON locks.* TO 'unlocked'@'%';
        CREATE TABLE locks.plain (a int PRIMARY KEY); CREATE TABLE locks.bare (a int);
        CREATE TABLE locks.set_key (a set('x','y') PRIMARY KEY);
        CREATE TABLE locks.old (a int PRIMARY KEY) ENGINE = MyISAM`)
      const url = server.url.replace('root:mysql', 'unlocked:unlocked')
      const errors = (await problems(url, ['locks.*'])).filter((one) => one.severity === 'error')
      assert.deepEqual(
        errors.map(({ message }) => /locks\.\w+/.exec(message)![0]),
        ['locks.bare', 'locks.old', 'locks.set_key'],
      )
      await cure(server, errors.slice(0, 1))
      assert.deepEqual(codes(await problems(url, ['locks.*']), 'error'), [])
    })

    it('says that a first start would wait for prepared XA transactions', async () => {
      const session = await server.client()
      await session.query(
        `XA START 'a'; INSERT INTO shop.good VALUES (77); XA END 'a'; XA PREPARE 'a'`,
      )
      const found = await problems(server.url, ['shop.good'])
      assert.deepEqual(codes(found, 'warning'), ['xa_prepared'])
      await session.query(`XA ROLLBACK 'a'`)
    })

    it('finds what a user without privileges lacks, and its remedies cure it', async () => {
      await server.query(`CREATE USER 'poor'@'%' IDENTIFIED BY 'poor';
        CREATE TABLE odd_name.things (a int PRIMARY KEY); CREATE TABLE odd_name.bare (a int);
        GRANT SELECT (a) ON odd_name.things TO 'poor'@'%'; GRANT INSERT ON odd_name.bare TO 'poor'@'%'`)
      const url = server.url.replace('root:mysql', 'poor:poor')
      const tables = ['odd_name.things', 'odd_name.bare', 'odd_name.hidden']
      await server.query('CREATE TABLE odd_name.hidden (a int PRIMARY KEY, b int)')
      let rounds = 0
      for (; rounds < 4; rounds++) {
        const found = (await problems(url, tables)).filter(({ severity }) => severity === 'error')
        if (found.length === 0) break
        assert.ok(found.every(({ code }) => /permission|table_missing/.test(code)))
        await cure(server, found)
      }
      assert.ok(rounds > 1 && rounds < 4, `${rounds} rounds`)
    })

    it('privileges by a role count', async () => {
      await server.query(`CREATE ROLE reader; CREATE USER 'roled'@'%' IDENTIFIED BY 'roled'`)
      await server.query(
        starter.flavour === 'mysql'
          ? `GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO reader`
          : `GRANT REPLICATION SLAVE, BINLOG MONITOR ON *.* TO reader`,
      )
      await server.query(
        `GRANT SELECT, LOCK TABLES ON \`odd\\_name\`.* TO reader; GRANT reader TO 'roled'@'%'`,
      )
      await server.query(
        starter.flavour === 'mysql'
          ? `SET DEFAULT ROLE reader TO 'roled'@'%'`
          : `SET DEFAULT ROLE reader FOR 'roled'@'%'`,
      )
      const url = server.url.replace('root:mysql', 'roled:roled')
      const found = await problems(url, ['odd_name.things', 'odd_name.bare'])
      assert.deepEqual(codes(found, 'error'), [])
      assert.deepEqual(codes(found, 'warning'), ['no_key'])
    })

    it('finds what is wrong with the server’s settings, and says what each costs', async () => {
      await server.query(
        `SET GLOBAL binlog_format = 'MIXED'; SET GLOBAL binlog_row_image = 'MINIMAL';
         SET GLOBAL binlog_row_metadata = '${starter.flavour === 'mysql' ? 'MINIMAL' : 'NO_LOG'}';
         SET GLOBAL binlog_expire_logs_seconds = 3600`,
      )
      const found = await problems(server.url, ['shop.good', 'shop.no_key'])
      assert.deepEqual(codes(found, 'error'), ['binlog_format', 'no_key'])
      assert.deepEqual(codes(found, 'warning'), ['retention', 'row_image', 'row_metadata'])
      await cure(server, found)
      assert.deepEqual(await problems(server.url, ['shop.good']), [])
      if (starter.flavour === 'mysql') return
      await server.query('SET GLOBAL gtid_strict_mode = OFF')
      assert.deepEqual(codes(await problems(server.url, ['shop.good']), 'warning'), ['gtid'])
    })

    it('a server without a binlog is told of together with everything else', async () => {
      await server.restart({ 'skip-log-bin': '' })
      const found = await problems(server.url, ['shop.good', 'shop.absent'])
      assert.deepEqual(codes(found, 'error'), ['binlog_off', 'table_missing'])
    })

    it('a database in the url that is not there is the url’s fault', async () => {
      await assert.rejects(problems(`${server.url}/nowhere`, ['shop.good']), {
        code: 'source.mysql.url',
      })
    })
  })
}

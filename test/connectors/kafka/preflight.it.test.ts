/** What preflight finds on real brokers, each finding with its cure; attacks no invariant, but the user's time. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, before, describe, it } from 'node:test'
import kafkajs from 'kafkajs'
import type { Problem } from '../../../core/connector/problem.ts'
import { systemClock } from '../../../core/connector/context.ts'
import { brokerProblems, type PreflightOptions } from '../../../connectors/kafka/preflight.ts'
import { saslConfig } from '../../../connectors/kafka/security-config.ts'
import { startKafka, type KafkaCluster } from '../../services/kafka.ts'

const { signal } = new AbortController()
const hour = 3_600_000

for (const version of ['4.3', '2.8'] as const) {
  describe(`Kafka ${version}`, () => {
    let kafka: KafkaCluster
    before(async () => {
      kafka = await startKafka({
        version,
        listeners: ['sasl', 'tls'],
        users: [{ name: 'alice', password: 'wonderland' }],
        acls: true,
        // Port 1: nobody is there.
        advertised: { tls: '127.0.0.1:1' },
      })
      await kafka.createTopic('orders', 2)
      await kafka.createTopic('customers')
      await kafka.createTopic('short', 1, { 'retention.ms': String(hour) })
      const { AclOperationTypes, AclPermissionTypes, AclResourceTypes, ResourcePatternTypes } =
        kafkajs
      const allow = (resourceType: number, resourceName: string, operation: number): object => ({
        resourceType,
        resourceName,
        resourcePatternType: ResourcePatternTypes.LITERAL,
        principal: 'User:alice',
        host: '*',
        operation,
        permissionType: AclPermissionTypes.ALLOW,
      })
      const acl = [
        allow(AclResourceTypes.TOPIC, 'orders', AclOperationTypes.READ),
        allow(AclResourceTypes.TOPIC, 'customers', AclOperationTypes.DESCRIBE),
      ]
      await kafka.admin.createAcls({ acl: acl as never })
    })
    after(() => kafka[Symbol.asyncDispose]())

    const check = (wanted: Partial<PreflightOptions>): Promise<readonly Problem[]> =>
      brokerProblems(
        {
          driver: { driver: 'kafkajs', brokers: kafka.brokers(), tls: false },
          names: [],
          patterns: [],
          isWanted: () => false,
          group: null,
          groupIsNeeded: false,
          startMs: () => null,
          ...wanted,
        },
        { clock: systemClock },
        signal,
      )
    const asAlice = (): PreflightOptions['driver'] => ({
      driver: 'kafkajs',
      brokers: kafka.brokers('sasl'),
      tls: false,
      sasl: saslConfig.parse({ mechanism: 'plain', username: 'alice', password: 'wonderland' }),
    })

    it('finds nothing where all is well', async () => {
      assert.deepEqual(await check({ names: ['orders'], group: 'sluice' }), [])
    })

    it('finds a topic that is not there, and the one that was meant', async () => {
      const [problem, ...others] = await check({ names: ['orders', 'custmers'] })
      assert.deepEqual(others, [])
      assert.equal(problem!.code, 'source.kafka.topic_missing')
      assert.match(problem!.message, /custmers.*did you mean "customers"\?$/)
    })

    it('warns of a pattern that finds nothing, and of none that does', async () => {
      const problems = await check({ patterns: ['ord*', 'clicks.*', '*offsets'] })
      const found = problems.map(({ severity, code, message }) => [severity, code, message])
      const missing = (pattern: string): readonly string[] => [
        'warning',
        'source.kafka.topic_missing',
        `No topic that this user may see fits the pattern ${pattern} yet.`,
      ]
      // Kafka's own topics are not found by patterns.
      assert.deepEqual(found, [missing('clicks.*'), missing('*offsets')])
    })

    it('finds what the user may not do, each with the command that allows it', async () => {
      const problems = await check({
        driver: asAlice(),
        names: ['orders', 'customers', 'short'],
        group: 'sluice',
      })
      assert.ok(problems.every(({ code }) => code === 'source.kafka.denied'))
      const found = problems.map(({ severity, message }) => `${severity} ${message}`).sort()
      assert.deepEqual(found, [
        'error User alice may not look at topic short.',
        'error User alice may not read topic customers.',
        'warning User alice may not use group sluice.',
      ])
      const remedies = problems.map(({ remedy }) => remedy).join('\n')
      assert.match(remedies, /--allow-principal "User:alice" --operation Read --topic "customers"/)
      assert.match(remedies, /--operation Read --group "sluice"/)
    })

    it('finds that a group is needed and denied', async () => {
      const options = { driver: asAlice(), group: 'sluice', groupIsNeeded: true }
      assert.deepEqual(
        (await check(options)).map(({ severity }) => severity),
        ['error'],
      )
    })

    it('finds retention that is short, or shorter than the start', async () => {
      const isWanted = (topic: string): boolean => topic === 'short'
      const [short] = await check({ isWanted })
      assert.equal(short!.code, 'source.kafka.retention')
      assert.match(short!.message, /short keeps its records for 1h/)
      const [past] = await check({ isWanted, startMs: () => Date.now() - 2 * hour })
      assert.match(past!.message, /`start` is before that/)
    })

    it('finds brokers that are named and do not answer', async () => {
      const brokers = ['127.0.0.1:1', ...kafka.brokers()]
      const [warning, ...others] = await check({
        driver: { driver: 'platformatic', brokers, tls: false },
      })
      assert.deepEqual(others, [])
      assert.deepEqual([warning!.code, warning!.severity], ['source.kafka.unreachable', 'warning'])
      assert.match(warning!.message, /127\.0\.0\.1:1/)
      const nobody = await check({
        driver: { driver: 'kafkajs', brokers: ['127.0.0.1:1', '127.0.0.1:2'], tls: false },
      })
      assert.deepEqual(
        nobody.map(({ severity }) => severity),
        ['error', 'error'],
      )
    })

    it('finds that what is advertised leads nowhere', async () => {
      const tls = { ca: readFileSync(kafka.certificates!.ca, 'utf8') }
      const [problem, ...others] = await check({
        driver: { driver: 'kafkajs', brokers: kafka.brokers('tls'), tls },
      })
      assert.deepEqual(others, [])
      assert.equal(problem!.code, 'source.kafka.advertised')
      assert.match(
        problem!.message,
        /tells its clients to go on at 127\.0\.0\.1:1, which is this machine itself/,
      )
      assert.match(problem!.remedy, /advertised\.listeners of broker 1/)
    })

    it('finds that the two sides speak different things', async () => {
      const [problem] = await check({
        driver: { driver: 'kafkajs', brokers: kafka.brokers('tls'), tls: false },
      })
      assert.equal(problem!.code, 'source.kafka.tls')
      const [login] = await check({
        driver: { driver: 'kafkajs', brokers: kafka.brokers('sasl'), tls: false },
      })
      assert.equal(login!.code, 'source.kafka.auth')
      assert.match(login!.remedy, /PLAIN/)
    })
  })
}

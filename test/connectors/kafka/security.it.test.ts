/**
 * Logins and TLS against the real broker's listeners, with both drivers: what is right gets in, and what is wrong is
 * told for what it is, with no secret in the message.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, describe, it } from 'node:test'
import { systemClock } from '../../../core/connector/context.ts'
import type { Code } from '../../../core/errors/codes.ts'
import { SluiceError } from '../../../core/errors/error.ts'
import { openDriver } from '../../../connectors/kafka/drivers.ts'
import { saslConfig, tlsConfig } from '../../../connectors/kafka/security-config.ts'
import { startKafka, type KafkaCluster, type KafkaListener } from '../../services/kafka.ts'
import { keepAliveMs } from '../../support/env.ts'

const { signal } = new AbortController()
const users = [{ name: 'alice', password: 'wonderland' }]
const mechanisms = ['plain', 'scram-sha-256', 'scram-sha-512'] as const

for (const version of ['4.3', '2.8'] as const) {
  describe(`Kafka ${version}`, () => {
    let kafka: KafkaCluster
    let ca = ''
    before(async () => {
      const listeners: KafkaListener[] = ['tls', 'mtls', 'sasl', 'sasl_tls']
      kafka = await startKafka({ version, listeners, users })
      ca = readFileSync(kafka.certificates!.ca, 'utf8')
    })
    after(() => kafka[Symbol.asyncDispose]())

    for (const driver of ['kafkajs', 'platformatic'] as const) {
      const look = async (
        listener: KafkaListener,
        tls: unknown,
        sasl?: unknown,
        host = '127.0.0.1',
      ): Promise<void> => {
        const brokers = kafka.brokers(listener).map((at) => at.replace('127.0.0.1', host))
        const security = {
          tls: tlsConfig.parse(tls),
          sasl: sasl === undefined ? undefined : saslConfig.parse(sasl),
        }
        await using client = await openDriver(
          { driver, brokers, ...security },
          { clock: systemClock },
        )
        assert.notEqual(await client.clusterId(signal), null)
        await client.topics(null, signal)
      }
      const refused = async (code: Code, looks: Promise<void>): Promise<void> => {
        await assert.rejects(looks, (error: SluiceError) => {
          assert.equal(error.code, code, error.message)
          assert.doesNotMatch(`${error.message} ${error.remedy}`, /wonderland|wrong-secret/)
          return true
        })
      }

      for (const mechanism of mechanisms) {
        it(`${driver} logs in by ${mechanism}, and is refused with a wrong password`, async () => {
          const sasl = { mechanism, username: 'alice', password: 'wonderland' }
          await look('sasl', false, sasl)
          await look('sasl_tls', { ca }, sasl)
          await refused(
            'source.kafka.auth',
            look('sasl', false, { ...sasl, password: 'wrong-secret' }),
          )
          await refused('source.kafka.auth', look('sasl', false, { ...sasl, username: 'nobody' }))
        })
      }

      it(`${driver} logs in with a token, given or fetched`, async () => {
        const token = unsigned({ sub: 'alice' })
        await look('sasl', false, { mechanism: 'oauthbearer', token })
        await refused(
          'source.kafka.auth',
          look('sasl', false, { mechanism: 'oauthbearer', token: 'wrong-secret' }),
        )
        await using endpoint = await startEndpoint(token)
        const given = { mechanism: 'oauthbearer', token_url: endpoint.url, client_id: 'sluice' }
        await look('sasl_tls', { ca }, { ...given, client_secret: 's:1' })
        assert.equal(
          endpoint.asked[0]!.authorization,
          `Basic ${Buffer.from('sluice:s%3A1').toString('base64')}`,
        )
        assert.equal(endpoint.asked[0]!.body, 'grant_type=client_credentials')
        await refused(
          'source.kafka.token',
          look('sasl', false, { ...given, client_secret: 'wrong-secret' }),
        )
        await refused(
          'source.kafka.token_unreachable',
          look('sasl', false, { ...given, client_secret: 'x', token_url: 'http://127.0.0.1:1/' }),
        )
      })

      it(`${driver} verifies certificates and names, and shows its own`, async () => {
        const { certificates } = kafka
        await look('tls', { ca })
        await look('tls', { ca }, undefined, 'localhost')
        await look('tls', { ca, server_name: 'localhost' })
        await refused('source.kafka.tls', look('tls', true))
        await refused(
          'source.kafka.tls',
          look('tls', { ca: readFileSync(certificates!.otherCa, 'utf8') }),
        )
        await refused('source.kafka.tls', look('tls', { ca, server_name: 'elsewhere' }))
        const cert = readFileSync(certificates!.clientCertificate, 'utf8')
        const key = readFileSync(certificates!.clientKey, 'utf8')
        await look('mtls', { ca, cert, key })
        await refused('source.kafka.tls', look('mtls', { ca }))
        await refused('source.kafka.tls', look('mtls', { ca, cert, key: 'no key' }))
      })

      it(`${driver} tells apart what the two sides speak`, async () => {
        await refused('source.kafka.tls', look('tls', false))
        await refused('source.kafka.tls', look('plain', { ca }))
        await refused('source.kafka.auth', look('sasl', false))
        const sasl = { mechanism: 'plain', username: 'alice', password: 'wonderland' }
        await refused('source.kafka.auth', look('plain', false, sasl))
        await refused('source.kafka.tls', look('sasl_tls', false, sasl))
      })
    }
  })
}

/** A token that only a broker under test accepts: `alg: none`. */
function unsigned(claims: object): string {
  const seconds = Math.floor(Date.now() / 1000)
  const parts = [{ alg: 'none' }, { ...claims, iat: seconds, exp: seconds + 600 }]
  return `${parts.map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.')}.`
}

interface Asked {
  readonly authorization: string
  readonly body: string
}

async function startEndpoint(
  token: string,
): Promise<{ readonly url: string; readonly asked: readonly Asked[] } & AsyncDisposable> {
  const asked: Asked[] = []
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const { authorization = '' } = request.headers
      asked.push({ authorization, body: Buffer.concat(chunks).toString() })
      const isKnown = Buffer.from(authorization.slice(6), 'base64').toString() === 'sluice:s%3A1'
      response.writeHead(isKnown ? 200 : 401, { 'content-type': 'application/json' })
      response.end(
        JSON.stringify(
          isKnown ? { access_token: token, expires_in: 600 } : { error: 'invalid_client' },
        ),
      )
    })
  })
  server.keepAliveTimeout = keepAliveMs
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/token`,
    asked,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

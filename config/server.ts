/** `server:` of the pipeline file: where sources that are called (webhooks in) listen. */
import { z } from 'zod'
import { durationText } from '../core/connector/duration.ts'
import { ipRangeText } from '../core/connector/ip-range.ts'
import { secretText } from '../core/connector/secret.ts'
import type { ServerConfig } from './pipeline.ts'

const pem = /-----BEGIN [A-Z ]+-----/

export const serverSchema = z.strictObject({
  host: z
    .string()
    .min(1)
    .default('127.0.0.1')
    .meta({
      description:
        'Address to listen on. The default is this machine alone; 0.0.0.0 or :: for all of its networks.',
      examples: ['127.0.0.1', '0.0.0.0'],
    }),
  port: z
    .int()
    .min(0)
    .max(65_535)
    .default(8080)
    .meta({ description: 'Port to listen on; 0 for any that is free.' }),
  tls: z
    .strictObject({
      cert: z
        .string()
        .regex(pem, 'expected a certificate in PEM, for example ${file./etc/ssl/sluice.pem}')
        .meta({
          description: 'Certificate and the chain to its authority, in PEM.',
          examples: ['${file./etc/ssl/sluice.pem}'],
        }),
      key: secretText('Private key of the certificate, in PEM, without a passphrase.'),
      client_ca: z.string().regex(pem, 'expected certificates in PEM').optional().meta({
        description:
          'Authorities in PEM. With it a client has to show a certificate that one of them signed.',
      }),
    })
    .optional()
    .meta({ description: 'HTTPS instead of HTTP.' }),
  trust_proxy: z
    .array(ipRangeText)
    .default([])
    .meta({
      description:
        'Addresses of proxies in front, whose X-Forwarded-For is believed where the address of a client counts.',
      examples: [['10.0.0.0/8']],
    }),
  max_connections: z
    .int()
    .min(1)
    .max(100_000)
    .default(1024)
    .meta({ description: 'Connections open at a time; further ones are closed at once.' }),
  header_timeout: durationText('Time for the head of a request to arrive.', {
    minMs: 1000,
    maxMs: 300_000,
  }).prefault('10s'),
  request_timeout: durationText('Time for a whole request to arrive, its body included.', {
    minMs: 1000,
    maxMs: 3_600_000,
  }).prefault('60s'),
  keep_alive: durationText('How long a connection without a request stays open.', {
    minMs: 0,
    maxMs: 3_600_000,
  }).prefault('65s'),
})

export function serverConfig(server: z.output<typeof serverSchema>): ServerConfig {
  const { tls } = server
  return {
    host: server.host,
    port: server.port,
    tls:
      tls === undefined ? null : { cert: tls.cert, key: tls.key, clientCa: tls.client_ca ?? null },
    trustProxy: server.trust_proxy,
    maxConnections: server.max_connections,
    headersTimeoutMs: server.header_timeout,
    requestTimeoutMs: server.request_timeout,
    keepAliveMs: server.keep_alive,
  }
}

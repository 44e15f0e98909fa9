/**
 * What a pipeline file may say under a sink of `type: webhook`. The docs and the JSON Schema are
 * generated from the descriptions here. What needs the values of secrets (is the URL one, is the key
 * well formed) is judged in target.ts, because `validate` works without them.
 */
import { z } from 'zod'
import { durationText } from '../../core/connector/duration.ts'
import { secretText } from '../../core/connector/secret.ts'

/** Kinds of events, as the last part of an event's `type` says them. */
export const eventKinds = ['insert', 'update', 'delete', 'snapshot', 'truncate'] as const
export type EventKind = (typeof eventKinds)[number]

const retry = z
  .strictObject({
    attempts: z.int().min(1).max(100).default(8).meta({
      description:
        'Attempts to deliver one event before it is set aside as a dead letter. An endpoint that cannot be reached, or that says it is overloaded (429, 503), is waited for and does not use them up.',
    }),
    base: durationText(
      'Longest wait after the first failed attempt; doubled at each one after it.',
      {
        minMs: 1,
        maxMs: 3_600_000,
      },
    ).prefault('500ms'),
    max: durationText('The longest wait never grows beyond this.', {
      minMs: 1,
      maxMs: 3_600_000,
    }).prefault('30s'),
  })
  .meta({ description: 'How one event is retried: waits are drawn evenly below a doubling bound.' })

const tls = z
  .strictObject({
    ca: z.string().min(1).optional().meta({
      description: 'PEM certificates to trust instead of the public authorities: `${file.ca.pem}`.',
    }),
    cert: z.string().min(1).optional().meta({
      description: 'PEM client certificate, for endpoints that ask for one.',
    }),
    key: secretText('PEM private key of the client certificate.').optional(),
  })
  .meta({ description: 'Certificates. The endpoint is always verified.' })

export const webhookConfig = z.strictObject({
  url: secretText('Address that events are POSTed to. Kept secret, since it may hold a token.'),
  secret: secretText(
    'Signing key, `whsec_` and 24 to 64 bytes in base64 (https://www.standardwebhooks.com). `echo "whsec_$(openssl rand -base64 32)"` makes one.',
  ),
  secret_previous: secretText(
    'The signing key before this one: while it stands here, events carry both signatures.',
  ).optional(),
  headers: z.record(z.string(), secretText('Value of the header.')).default({}).meta({
    description: 'More headers, such as `authorization`.',
  }),
  events: z
    .array(z.enum(eventKinds))
    .min(1)
    .default([...eventKinds])
    .meta({
      description:
        'Kinds of events to send; the others are passed over. Leave `snapshot` out to hear of changes only.',
    }),
  order: z.enum(['per-key', 'strict', 'none']).default('per-key').meta({
    description:
      'per-key: events of one key one after the other, different keys at the same time. strict: one event at a time, in the order of the topic. none: no order.',
  }),
  max_in_flight: z.int().min(1).max(256).default(16).meta({
    description: 'Most requests at a time to this endpoint.',
  }),
  timeout: durationText('Time the endpoint has to answer one request, connecting included.', {
    minMs: 100,
    maxMs: 300_000,
  }).prefault('15s'),
  retry: retry.prefault({}),
  reject: z.array(z.int().min(400).max(499)).default([400, 413, 422]).meta({
    description:
      'Statuses that say that the endpoint will never take this event: it becomes a dead letter at once. Every other failure is retried.',
  }),
  json: z
    .strictObject({
      int64: z.enum(['auto', 'string', 'number']).default('auto').meta({
        description:
          '64-bit integers. auto: numbers, and strings beyond ±(2^53 − 1), which most readers would round. string: always strings. number: always numbers.',
      }),
      decimal: z.enum(['string', 'number']).default('string').meta({
        description:
          'Decimals: strings, or numbers with all their digits, which most readers round.',
      }),
    })
    .prefault({})
    .meta({ description: 'How values that JSON readers round are written.' }),
  allow_http: z.boolean().default(false).meta({
    description: 'Allow http:// addresses: signed, but readable on the way.',
  }),
  allow_private: z.boolean().default(false).meta({
    description:
      'Allow loopback, private and link-local addresses. Without it a host name that leads inside is refused when connecting.',
  }),
  tls: tls.optional(),
})

export type WebhookConfig = z.infer<typeof webhookConfig>

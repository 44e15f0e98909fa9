/**
 * What a pipeline file may say under a sink of `type: webhook`. The docs and the JSON Schema are
 * generated from the descriptions here. What needs the values of secrets (is the URL one, is the key
 * well formed) is judged in target.ts, because `validate` works without them.
 */
import { z } from 'zod'
import { durationText } from '../../core/connector/duration.ts'
import { rateText } from '../../core/connector/rate.ts'
import { secretText } from '../../core/connector/secret.ts'
import { sizeText } from '../../core/connector/size.ts'

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
    schedule: z
      .array(durationText('Wait after a failed attempt.', { minMs: 1, maxMs: 7 * 86_400_000 }))
      .min(1)
      .max(100)
      .optional()
      .meta({
        description:
          'Waits after the first, second, … failed attempt, up to a tenth longer; after the last of them comes one more attempt. Stands in for `attempts`, `base` and `max`. Long waits hold up only the key of the event.',
        examples: [['5s', '5m', '30m', '2h', '5h', '10h', '14h', '20h', '24h']],
      }),
  })
  .meta({ description: 'How one event is retried: waits are drawn evenly below a doubling bound.' })

const batch = z
  .strictObject({
    events: z
      .int()
      .min(2)
      .max(1000)
      .default(100)
      .meta({ description: 'Most events of a request.' }),
    bytes: sizeText('A request is not filled beyond this.', {
      minBytes: 1024,
      maxBytes: 16 * 2 ** 20,
    }).prefault('256KiB'),
    wait: durationText('How long the first event of a request waits for others.', {
      minMs: 1,
      maxMs: 60_000,
    }).prefault('50ms'),
  })
  .meta({
    description:
      'Several events a request, under `data`. A request holds one event of a key at most, so that their order is kept.',
  })

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
  url: secretText(
    'Address that events are POSTed to. Kept secret, since it may hold a token. `{column}` in its path or query stands for a value of the row: `https://example.com/hooks/{tenant}`.',
  ),
  allow_hosts: z
    .array(z.string().min(1))
    .min(1)
    .optional()
    .meta({
      description:
        'Hosts that a `{column}` in the host of `url` may lead to; `*` stands for letters, digits and hyphens of one label.',
      examples: [['*.hooks.example.com']],
    }),
  secret: secretText(
    'Signing key, `whsec_` and 24 to 64 bytes in base64 (https://www.standardwebhooks.com). `echo "whsec_$(openssl rand -base64 32)"` makes one. `whsk_` and an Ed25519 key signs so that a public key verifies it.',
  ),
  secret_previous: secretText(
    'The signing key before this one: while it stands here, events carry both signatures.',
  ).optional(),
  headers: z.record(z.string(), secretText('Value of the header.')).default({}).meta({
    description: 'More headers, such as `authorization`. `{column}` stands for a value of the row.',
  }),
  body: z
    .string()
    .min(1)
    .optional()
    .meta({
      description:
        'The body instead of the usual one. `{column}` stands for a value of the row, `{@data}` for the whole row; in JSON with its quotes, or as a part of a text.',
      examples: ['{"text": "Order {id} is {status}", "row": {@data}}'],
    }),
  content_type: z
    .string()
    .regex(/^[\w.+-]+\/[\w.+-]+(?:; ?[\w-]+=[\w.-]+)*$/, 'expected a media type such as text/plain')
    .default('application/json')
    .meta({ description: 'Media type of the body.' }),
  batch: batch.optional(),
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
    description: 'Most requests at a time, to all endpoints together.',
  }),
  concurrency: z.int().min(1).max(256).optional().meta({
    description:
      'Most requests at a time to one endpoint; `max_in_flight` when `url` names one endpoint, else 4.',
  }),
  rate: rateText('Most requests in a time to one endpoint.', ['50/s']).optional(),
  disable_after: durationText(
    'An endpoint that has failed for so long without one success gets nothing more: its events become dead letters.',
    { minMs: 60_000 },
  ).prefault('5d'),
  timers: secretText(
    'Where the times of later attempts are kept too, in BullMQ: redis://, rediss:// or postgres://. What is lost there is done a little later. A PostgreSQL on another machine is spoken to over TLS and verified, unless `sslmode` in the address says otherwise.',
  ).optional(),
  timers_ca: z.string().min(1).optional().meta({
    description:
      'PEM certificates that `timers` trusts instead of the public authorities: `${file.ca.pem}`.',
  }),
  delivery_log: z.enum(['all', 'failures', 'off']).default('failures').meta({
    description:
      'Which attempts become rows of the topic `<sink>.deliveries`, for `sluice deliveries`. all: also those that succeeded, about 100 bytes each before they are compressed.',
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

/**
 * `push` of a source of `type: http`: one entry a topic that others send to. Types, defaults, documentation
 * and JSON Schema come from this one schema.
 */
import { z } from 'zod'
import { rateText } from '../../core/connector/rate.ts'
import { durationText } from '../../core/connector/duration.ts'
import {
  plainFormats,
  plainProblems,
  plainShape,
} from '../../core/connector/format/format-config.ts'
import { ipRangeText } from '../../core/connector/ip-range.ts'
import { sizeText } from '../../core/connector/size.ts'
import { authSchema } from './auth-config.ts'
import { parseKeyFrom } from './key-source.ts'
import { parseColumnSource } from './push-columns.ts'

const path = z
  .string()
  .regex(
    /^(?:\/(?:[A-Za-z0-9._~-]+|:[A-Za-z_]\w*))+$/,
    'expected a path such as /in/orders or /in/:region/orders',
  )
  .meta({
    description:
      'Path that requests come to; `:name` stands for one part of it, which `columns` can take as `path.name`.',
    examples: ['/in/orders', '/in/:region/orders'],
  })

const idempotency = z
  .strictObject({
    from: z
      .string()
      .refine(
        (text) => parseKeyFrom(text) !== null,
        'expected header.<name>, query.<name>, field.<name>, ce.id or signature',
      )
      .meta({
        description:
          'Where the key is. Of the whole request: header.<name>, query.<name>, or signature (a request that is replayed word for word). Of each record: field.<name> of a JSON body, or ce.id (source and id of a CloudEvent). A request without its key is refused.',
        examples: ['header.idempotency-key', 'header.webhook-id', 'field.id', 'ce.id'],
      }),
    window: durationText(
      'How long a key is remembered: what comes again within this time is answered 2xx and makes no second row.',
      { minMs: 1000, maxMs: 30 * 86_400_000 },
    ).prefault('24h'),
    max_keys: z.int().min(1000).max(50_000_000).default(1_000_000).meta({
      description:
        'Keys that are remembered at most, about 40 bytes of memory each; beyond it the oldest leave before their time.',
    }),
  })
  .meta({
    description:
      'Rows that are sent twice are taken once, also after a crash: the keys are in the log, in the topic `<topic>.idempotency_keys`, in the same commit as the rows.',
  })

export const pushTopicSchema = z
  .strictObject({
    path,
    format: z.enum(plainFormats).default('json').meta({
      description:
        'How bodies are written. json: an object, an array of objects, NDJSON or a form, told by the body and its media type; csv: one record a line; text, bytes: the body is the value of the one column.',
    }),
    ...plainShape,
    columns: z
      .record(
        z.string().min(1),
        z
          .string()
          .refine(
            (text) => parseColumnSource(text) !== null,
            'expected path.<name>, header.<name>, query.<name>, ce.<attribute>, received, remote_address or idempotency_key',
          ),
      )
      .default({})
      .meta({
        description:
          'Columns beside those of the body, by name: path.<name>, header.<name>, query.<name>, ce.<attribute> (of a CloudEvent), received (when the request came), remote_address, idempotency_key.',
        examples: [{ region: 'path.region', agent: 'header.user-agent', at: 'received' }],
      }),
    auth: authSchema.meta({
      description:
        'Who may send: `none`, or a scheme with its secrets. A request that does not fit is answered 401.',
      examples: ['none', { scheme: 'github', secret: '${env.GITHUB_SECRET}' }],
    }),
    allow_ips: z
      .array(ipRangeText)
      .default([])
      .meta({
        description:
          'Addresses that may send; none = all. Behind a proxy see `server.trust_proxy`.',
        examples: [['192.0.2.0/24']],
      }),
    idempotency: idempotency.optional(),
    cloudevents: z.enum(['off', 'allow', 'require']).default('allow').meta({
      description:
        'CloudEvents 1.0 in binary, structured and batch mode. allow: rows are made of their data, other requests are taken as they are; require: nothing else; off: an event is a body like any other.',
    }),
    on_bad_row: z.enum(['refuse', 'dead_letter']).default('refuse').meta({
      description:
        'A row that does not fit its topic. refuse: the whole request is answered 422, which names the row and the field. dead_letter: that row is set aside, the others are taken.',
    }),
    max_body: sizeText('Largest body of a request, as it is sent; larger ones are answered 413.', {
      minBytes: 1,
      maxBytes: 256 * 2 ** 20,
    }).prefault('4MiB'),
    max_unpacked: sizeText('Largest body once it is unpacked (gzip, deflate, br, zstd).', {
      minBytes: 1,
      maxBytes: 256 * 2 ** 20,
    }).prefault('16MiB'),
    max_rows: z
      .int()
      .min(1)
      .max(1_000_000)
      .default(50_000)
      .meta({ description: 'Most rows of one request; more are answered 413.' }),
    rate_limit: rateText(
      'Requests per time that this topic takes; more are answered 429 with Retry-After.',
      ['100/s'],
    ).optional(),
  })
  .superRefine((topic, ctx) => {
    const issue = (path: (string | number)[], message: string): void => {
      ctx.addIssue({ code: 'custom', path, message })
    }
    // A key column may come from the path or a header instead of the body.
    const key = topic.key?.filter((name) => !Object.hasOwn(topic.columns, name))
    // `sluice schema infer` needs a file that can be read before there is a schema: it is missed later.
    const found = topic.schema === undefined ? [] : plainProblems({ ...topic, key })
    for (const { path, message } of found) issue([...path], message)
    for (const [name, what] of Object.entries(topic.columns)) {
      const [, parameter] = /^path\.(.+)$/.exec(what) ?? []
      if (parameter !== undefined && !topic.path.split('/').includes(`:${parameter}`)) {
        issue(['columns', name], `the path has no part :${parameter}`)
      }
      if (what === 'idempotency_key' && topic.idempotency === undefined) {
        issue(['columns', name], 'needs `idempotency`, which says where the key is')
      }
      if (what.startsWith('ce.') && topic.cloudevents === 'off') {
        issue(['columns', name], 'needs `cloudevents`')
      }
    }
    const from = topic.idempotency?.from ?? ''
    if (from.startsWith('field.') && topic.format !== 'json') {
      issue(['idempotency', 'from'], 'field.<name> is for bodies of JSON; use header.<name>')
    }
    if (from === 'ce.id' && topic.cloudevents !== 'require') {
      issue(['idempotency', 'from'], 'needs `cloudevents: require`')
    }
    const { auth } = topic
    const signs = auth !== 'none' && 'secret' in auth
    if (from === 'signature' && !signs) {
      issue(['idempotency', 'from'], 'needs an `auth` that signs')
    }
    if (auth !== 'none' && auth.scheme === 'api_key' && !auth.header && !auth.query) {
      issue(['auth'], 'api_key needs `header` or `query`')
    }
  })

export type PushTopicConfig = z.output<typeof pushTopicSchema>

/**
 * `poll` of a source of `type: http`: one entry a topic that is asked for. Types, defaults, documentation and
 * JSON Schema come from this one schema; what has to fit together is in poll-config-problems.ts.
 */
import { z } from 'zod'
import { durationText } from '../../core/connector/duration.ts'
import { plainShape } from '../../core/connector/format/format-config.ts'
import { rateText } from '../../core/connector/rate.ts'
import { secretText } from '../../core/connector/secret.ts'
import { sizeText } from '../../core/connector/size.ts'
import { pollAuthSchema } from './poll-auth-config.ts'
import { parsePollColumn } from './poll-columns.ts'
import { pollProblems } from './poll-config-problems.ts'
import { jsonPathText, paginationSchema, sinceSchema } from './poll-paging-config.ts'

export const pollFormats = ['json', 'ndjson', 'csv'] as const

const when = {
  every: durationText('How long from the start of one run to the start of the next.', {
    minMs: 100,
  }).optional(),
  cron: z
    .string()
    .min(1)
    .optional()
    .meta({
      description:
        'When to poll, instead of `every`: minute, hour, day of month, month, day of week.',
      examples: ['*/15 * * * *', '0 6 * * 1-5'],
    }),
  timezone: z
    .string()
    .min(1)
    .default('UTC')
    .meta({ description: 'Time zone of `cron`.', examples: ['Europe/Berlin'] }),
  stream: z.enum(['sse', 'ndjson']).optional().meta({
    description:
      'An answer that does not end, instead of `every`: server-sent events, or one JSON a line. Opened again when it breaks off; events with ids go on where they were.',
  }),
  events: z
    .array(z.string().min(1))
    .min(1)
    .optional()
    .meta({ description: 'Types of server-sent events that are taken; default: all.' }),
  silence: durationText(
    'A stream that sends nothing for so long, no comment either, is opened again.',
    { minMs: 1000 },
  ).prefault('90s'),
}

const request = {
  url: secretText(
    'Address. Kept secret, since it may hold a token. `{{ since }}`, `{{ cursor }}`, `{{ page }}`, `{{ offset }}`, `{{ size }}`, `{{ now }}`, `{{ now.date }}`, `{{ now.unix }}` and `{{ now.unix_ms }}` stand for values in path and query.',
  ),
  method: z.enum(['GET', 'POST']).default('GET').meta({ description: 'Method.' }),
  headers: z
    .record(z.string().regex(/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/), secretText('Value of the header.'))
    .default({})
    .meta({ description: 'More headers; the values of `url` may stand in them too.' }),
  body: z
    .string()
    .min(1)
    .optional()
    .meta({
      description:
        'Body of a POST: JSON, or a form. The values of `url` stand in it, escaped as it needs.',
      examples: ['{"filter": {"updated_after": "{{ since }}"}, "cursor": {{ cursor }}}'],
    }),
  auth: pollAuthSchema.optional().meta({ description: 'Who asks; default: nobody in particular.' }),
  ca: z.string().min(1).optional().meta({
    description: 'Certificate of who signed the server’s, in PEM; default: the public ones.',
  }),
  cert: z.string().min(1).optional().meta({ description: 'Certificate of ours, in PEM.' }),
  cert_key: secretText('Private key of `cert`, in PEM.').optional(),
  allow_hosts: z
    .array(
      z.string().regex(/^[A-Za-z0-9.-]+(?::\d{1,5})?$/, 'expected a host, such as api.example.com'),
    )
    .default([])
    .meta({
      description:
        'Further hosts (with a port where it is not the usual one) that a next page or a redirect may lead to. Next pages there get the same headers and credentials; redirects get none.',
    }),
  timeout: durationText('How long one request may take, to the end of its answer.', {
    minMs: 100,
    maxMs: 3_600_000,
  }).prefault('60s'),
  max_response: sizeText('Largest answer, as it is sent and unpacked; of a stream, one event.', {
    minBytes: 1024,
    maxBytes: 2 ** 30,
  }).prefault('32MiB'),
  rate: rateText(
    'Most requests in a time, evenly spread; what the server says of its limits counts too.',
    ['5/s', '1000/h'],
  ).optional(),
}

const changes = {
  max_keys: z.int().min(1000).max(50_000_000).default(1_000_000).meta({
    description:
      'With `key`: rows that are remembered, to tell which changed; about 250 bytes of memory each.',
  }),
  deletes: z.enum(['none', 'full_listing']).default('none').meta({
    description:
      'full_listing: each run lists all there is; rows of `key` that a whole run without faults does not have are deleted.',
  }),
  deletes_max: z.number().min(0).max(1).default(0.5).meta({
    description:
      'Share of the rows that one run may delete; a listing that lacks more, or is empty, deletes nothing and is warned of. 1 allows all.',
  }),
  deletes_after: z.int().min(1).max(100).optional().meta({
    description:
      'Runs in a row that a row has to be missing in. Default: 1; 2 with pages by number or offset, where a row may slip from one page to the one before while they are read.',
  }),
}

const { tombstones: _, ...plain } = plainShape

export const pollTopicSchema = z
  .strictObject({
    ...request,
    ...when,
    records: jsonPathText.default('$').meta({
      description:
        'Path to the records in an answer (RFC 9535: names, indexes and *). An array’s elements are the records, an object is one.',
      examples: ['$.data.items', '$.results', '$.groups[*].members'],
    }),
    format: z.enum(pollFormats).default('json').meta({ description: 'How answers are written.' }),
    ...plain,
    pagination: paginationSchema.optional(),
    max_pages: z.int().min(1).max(10_000_000).default(10_000).meta({
      description: 'Most pages of one run; more is taken for a loop, and stops the source.',
    }),
    since: sinceSchema.optional(),
    ...changes,
    columns: z
      .record(
        z.string().min(1),
        z
          .string()
          .refine(
            (text) => parsePollColumn(text) !== null,
            'expected received, header.<name>, event or event_id',
          ),
      )
      .default({})
      .meta({
        description:
          'Columns beside those of the record, by name: received (when the answer came), header.<name> of the answer, event and event_id of a server-sent event.',
        examples: [{ seen: 'received' }],
      }),
  })
  .superRefine((topic, ctx) => {
    for (const { path, message } of pollProblems(topic)) {
      ctx.addIssue({ code: 'custom', path: [...path], message })
    }
  })

export type PollTopicConfig = z.output<typeof pollTopicSchema>

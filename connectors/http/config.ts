/** The `type: http` source in the pipeline file. */
import { z } from 'zod'
import { durationText } from '../../core/connector/duration.ts'
import { letterBudgetSchema } from '../../core/connector/letter-budget.ts'
import { sizeText } from '../../core/connector/size.ts'
import { isKeysTopic } from './idempotency.ts'
import { pollTopicSchema } from './poll-config.ts'
import { pushTopicSchema } from './push-config.ts'

const topicName = z
  .string()
  .regex(
    /^[A-Za-z_][\w.-]{0,126}$/,
    'expected letters, digits, _, - and dots, beginning with a letter',
  )
  .refine((name) => !isKeysTopic(name), 'the keys of requests are kept under such a name')

export const httpConfig = z
  .strictObject({
    push: z.record(topicName, pushTopicSchema).default({}).meta({
      description:
        'Topics that others send to, by name: each is a path of the HTTP server (`server`). A request is answered 2xx only when its rows are in the log.',
    }),
    poll: z.record(topicName, pollTopicSchema).default({}).meta({
      description:
        'Topics that are asked for, by name: each is an address that is asked every so often, page by page, or a stream.',
    }),
    max_waiting: sizeText(
      'Memory for requests that wait for their commit, all topics together; when it is full, new ones are answered 503 with Retry-After. A body that is larger than all of it is answered 413.',
      { minBytes: 2 ** 20, maxBytes: 2 ** 34 },
    ).prefault('64MiB'),
    answer_timeout: durationText(
      'How long a request waits for its commit; then it is answered 503. Rows that are on their way to the log by then may still be stored.',
      { minMs: 1000, maxMs: 600_000 },
    ).prefault('30s'),
    dead_letters: letterBudgetSchema.prefault({}),
  })
  .superRefine(({ push, poll }, ctx) => {
    const paths = new Map<string, string>()
    for (const [name, { path }] of Object.entries(push)) {
      const shape = path.replaceAll(/:[^/]+/g, ':')
      const other = paths.get(shape)
      if (other === undefined) paths.set(shape, name)
      else {
        const message = `${other} has this path already`
        ctx.addIssue({ code: 'custom', path: ['push', name, 'path'], message })
      }
    }
    for (const name of Object.keys(poll)) {
      if (!(name in push)) continue
      const message = `${name} is a topic of push already`
      ctx.addIssue({ code: 'custom', path: ['poll', name], message })
    }
    if (Object.keys(push).length + Object.keys(poll).length === 0) {
      const message = 'it has no topic: say `push` or `poll`'
      ctx.addIssue({ code: 'custom', path: [], message })
    }
  })

export type HttpConfig = z.output<typeof httpConfig>

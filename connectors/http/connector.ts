/**
 * The source for HTTP: rows that others send (`push`) and rows that are asked for (`poll`). README.md tells
 * the user's side of it.
 */
import type { SourceConnector } from '../../core/connector/source.ts'
import { httpConfig, type HttpConfig } from './config.ts'
import { HttpSource } from './http-source.ts'
import { isKeysTopic, keysTopic } from './idempotency.ts'
import { inferHttp } from './infer.ts'
import { pollChecks } from './poll-check.ts'
import { PollSource } from './poll-source.ts'
import { atOrAfter } from './position.ts'
import { PushSource } from './push-source.ts'
import { pushProblems, setupOf } from './push-setup.ts'

export const http: SourceConnector<HttpConfig> = {
  kind: 'http',
  config: httpConfig,
  check: async ({ push, poll }, ctx) => [...pushProblems(push), ...(await pollChecks(poll, ctx))],
  open: async (config, ctx) => {
    const setups = Object.entries(config.push).map(([name, topic]) => setupOf(name, topic))
    const options = {
      waitingBytesMax: config.max_waiting,
      answerTimeoutMs: config.answer_timeout,
    }
    const push = setups.length === 0 ? null : new PushSource(setups, options, ctx)
    if (push !== null && Object.keys(config.poll).length === 0) return push
    return new HttpSource(push, new PollSource(config.poll, ctx, push !== null), ctx)
  },
  atOrAfter,
  topics: ({ push, poll }) => [
    ...Object.entries(push).flatMap(([name, { idempotency }]) =>
      idempotency === undefined ? [name] : [name, keysTopic(name)],
    ),
    ...Object.keys(poll),
  ],
  isBookkeeping: isKeysTopic,
  letterBudget: ({ dead_letters: budget }) => budget,
  inferSchema: inferHttp,
}

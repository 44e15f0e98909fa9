/**
 * The source for HTTP: rows that others send (`push`). README.md tells the user's side of it.
 */
import type { SourceConnector } from '../../core/connector/source.ts'
import { httpConfig, type HttpConfig } from './config.ts'
import { requestsTopic } from './idempotency.ts'
import { atOrAfter } from './position.ts'
import { PushSource } from './push-source.ts'
import { pushProblems, setupOf } from './push-setup.ts'

export const http: SourceConnector<HttpConfig> = {
  kind: 'http',
  config: httpConfig,
  check: async ({ push }) => pushProblems(push),
  open: async (config, ctx) => {
    const setups = Object.entries(config.push).map(([name, topic]) => setupOf(name, topic))
    const options = {
      waitingBytesMax: config.max_waiting,
      answerTimeoutMs: config.answer_timeout,
    }
    return new PushSource(setups, options, ctx)
  },
  atOrAfter,
  topics: ({ push }) =>
    Object.entries(push).flatMap(([name, { idempotency }]) =>
      idempotency === undefined ? [name] : [name, requestsTopic(name)],
    ),
  letterBudget: ({ dead_letters: budget }) => budget,
}

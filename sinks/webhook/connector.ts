/**
 * The webhook sink: every change of a row as one signed HTTP request (Standard Webhooks 1.0.0).
 *
 * Delivery is at-least-once: an answer can be lost on its way, and a restart forgets what was
 * answered. The id of an event never changes, so that an endpoint which remembers the ids it has seen
 * takes each event exactly once.
 */
import { lookup as dnsLookup } from 'node:dns'
import { isIP, type LookupFunction } from 'node:net'
import type { Problem } from '../../core/connector/problem.ts'
import { absorbsAll, type SinkConnector } from '../../core/connector/sink.ts'
import { SluiceError } from '../../core/errors/error.ts'
import { guardedLookup } from './address.ts'
import { webhookConfig, type WebhookConfig } from './config.ts'
import { Endpoint } from './endpoint.ts'
import { HttpSender } from './http.ts'
import { WebhookSink } from './sink.ts'
import { parseTarget, problem, type Target } from './target.ts'

/** How far other keys may get ahead of one that is held up: 8,000 rows. */
const batchesAhead = 15

export const webhook: SinkConnector<WebhookConfig> = webhookWith(undefined)

/** With a resolver of names of one's own, instead of the operating system's. */
export function webhookWith(resolve: LookupFunction | undefined): SinkConnector<WebhookConfig> {
  return {
    kind: 'webhook',
    config: webhookConfig,
    delivery: 'at-least-once',
    schemaChanges: absorbsAll,
    // Small batches: after a restart the events of one batch are sent again.
    batching: ({ order }) => ({
      rowsMax: 500,
      bytesMax: 4 * 2 ** 20,
      pauseMsMin: 0,
      pauseMsMax: 0,
      ahead: order === 'strict' ? 0 : batchesAhead,
    }),
    check: async (config) => {
      const { target, problems } = parseTarget(config)
      return target === null ? problems : checkName(target, config, resolve)
    },
    open: async (config, _topics, ctx) => {
      const { target, problems } = parseTarget(config)
      if (target === null) {
        const [first] = problems
        throw new SluiceError(first?.code ?? 'internal.bug', {
          message: problems.map(({ message }) => message).join('; '),
        })
      }
      const backoff = { baseMs: config.retry.base, maxMs: config.retry.max }
      const http = new HttpSender(target, {
        connectionsMax: config.max_in_flight,
        timeoutMs: config.timeout,
        allowPrivate: config.allow_private,
        resolve,
      })
      const reject = new Set(config.reject)
      const endpoint = new Endpoint(
        target,
        http,
        { inFlightMax: config.max_in_flight, reject, backoff },
        ctx,
      )
      return new WebhookSink(
        endpoint,
        {
          order: config.order,
          wanted: new Set(config.events),
          attemptsMax: config.retry.attempts,
          backoff,
          json: config.json,
          lanesATurn: config.max_in_flight,
        },
        ctx,
        () => http[Symbol.asyncDispose](),
      )
    },
  }
}

/**
 * Whether the name resolves, and to addresses that may be used. No request is sent: the endpoint
 * could only take it for an event, and whether it is up now says nothing about later.
 */
async function checkName(
  { host }: Target,
  config: WebhookConfig,
  resolve: LookupFunction = dnsLookup as LookupFunction,
): Promise<readonly Problem[]> {
  if (isIP(host) !== 0) return []
  const lookup = config.allow_private ? resolve : guardedLookup(resolve)
  const error = await new Promise<Error | null>((done) => lookup(host, { all: true }, done))
  if (error === null) return []
  if (error instanceof SluiceError) return [problem(error.code, error.message)]
  const unresolved = problem('sink.webhook.unreachable', `the name ${host} does not resolve now`)
  // Delivery waits for the name to appear, hence no reason not to start.
  return [{ ...unresolved, severity: 'warning' }]
}

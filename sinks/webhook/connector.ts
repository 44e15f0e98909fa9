/**
 * The webhook sink: every change of a row as one signed HTTP request (Standard Webhooks 1.0.0).
 *
 * Delivery is at-least-once: an answer can be lost on its way, and a restart forgets what was
 * answered. The id of an event never changes, so that an endpoint which remembers the ids it has seen
 * takes each event exactly once.
 */
import { lookup as dnsLookup } from 'node:dns'
import { isIP, type LookupFunction } from 'node:net'
import type { SinkContext } from '../../core/connector/context.ts'
import type { Problem } from '../../core/connector/problem.ts'
import { Semaphore } from '../../core/connector/semaphore.ts'
import { absorbsAll, type SinkConnector } from '../../core/connector/sink.ts'
import type { Timers } from '../../core/connector/waiting.ts'
import { SluiceError } from '../../core/errors/error.ts'
import { guardedLookup } from './address.ts'
import { isFixed } from './address-template.ts'
import { webhookConfig, type WebhookConfig } from './config.ts'
import { Endpoints } from './endpoints.ts'
import { Gatherer } from './gatherer.ts'
import { HttpSender } from './http.ts'
import { Moment } from './moment.ts'
import { WebhookSink } from './sink.ts'
import { parseTarget, problem, type Target } from './target.ts'

/** How far other keys may get ahead of one that is held up: 8,000 rows. */
const batchesAhead = 15
/** Requests that are late, and that nobody waits for any more: each has a connection of its own. */
const lateMax = 1024

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
      const name = target === null ? problems : await checkName(target, config, resolve)
      return [...name, ...(await checkTimers(config))]
    },
    open: async (config, _topics, ctx) => {
      const { target, problems } = parseTarget(config)
      if (target === null) {
        const [first] = problems
        throw new SluiceError(first?.code ?? 'internal.bug', {
          message: problems.map(({ message }) => message).join('; '),
        })
      }
      const timers =
        config.timers === undefined
          ? null
          : await (
              await import('./timers.ts')
            ).openTimers({ url: config.timers, ca: config.timers_ca }, ctx)
      return openSink(config, target, { ctx, timers, resolve })
    },
  }
}

/** What it needs is loaded only where there are timers. */
async function checkTimers({ timers, timers_ca: ca }: WebhookConfig): Promise<readonly Problem[]> {
  if (timers === undefined) return []
  return (await import('./timers-check.ts')).checkTimers({ url: timers, ca })
}

interface Around {
  readonly ctx: SinkContext
  readonly timers: Timers | null
  readonly resolve: LookupFunction | undefined
}

function openSink(
  config: WebhookConfig,
  target: Target,
  { ctx, timers, resolve }: Around,
): WebhookSink {
  const many = target.fixed === null
  const { retry, max_in_flight: inFlightMax } = config
  const backoff = { baseMs: retry.base, maxMs: retry.max }
  const http = new HttpSender(target, {
    // Requests that nobody waits for any more go on beside those of the slots.
    connectionsMax: many ? inFlightMax + lateMax : inFlightMax,
    timeoutMs: config.timeout,
    allowPrivate: config.allow_private,
    keepAnswers: config.batch !== undefined,
    resolve,
  })
  const endpoints: Endpoints = new Endpoints({
    target,
    http,
    ctx,
    moment: new Moment(),
    slots: many ? new Semaphore(inFlightMax) : null,
    late: new Semaphore(lateMax),
    options: {
      inFlightMax: Math.min(config.concurrency ?? (many ? 4 : inFlightMax), inFlightMax),
      ratePerS: config.rate ?? null,
      reject: new Set(config.reject),
      backoff,
      disableAfterMs: config.disable_after,
    },
    onDisabled: (reason) => {
      const count = endpoints.disabled
      ctx.logger.error('endpoint disabled', { host: target.host, reason, disabled: count })
      ctx.metrics.gauge('webhook_endpoints_disabled', count, { sink: ctx.name })
      ctx.report({ detail: `${count} endpoint${count === 1 ? ' is' : 's are'} disabled` })
    },
  })
  const parts = {
    endpoints,
    gatherer: config.batch === undefined ? null : new Gatherer(config.batch),
    options: {
      attemptsMax: retry.schedule === undefined ? retry.attempts : retry.schedule.length + 1,
      backoff,
      schedule: retry.schedule ?? null,
      log: config.delivery_log,
    },
    ctx,
    many,
  }
  const options = {
    target,
    order: config.order,
    wanted: new Set(config.events),
    json: config.json,
    lanesMax: inFlightMax,
    bounded: !many && config.batch === undefined,
  }
  return new WebhookSink(parts, options, timers, async () => {
    await timers?.[Symbol.asyncDispose]()
    await http[Symbol.asyncDispose]()
  })
}

/**
 * Whether the name resolves, and to addresses that may be used. No request is sent: the endpoint
 * could only take it for an event, and whether it is up now says nothing about later.
 */
async function checkName(
  { host, url }: Target,
  config: WebhookConfig,
  resolve: LookupFunction = dnsLookup as LookupFunction,
): Promise<readonly Problem[]> {
  // Which name it is, only a row says.
  if (isIP(host) !== 0 || !isFixed(url.authority)) return []
  const lookup = config.allow_private ? resolve : guardedLookup(resolve)
  const error = await new Promise<Error | null>((done) => lookup(host, { all: true }, done))
  if (error === null) return []
  if (error instanceof SluiceError) return [problem(error.code, error.message)]
  const unresolved = problem('sink.webhook.unreachable', `the name ${host} does not resolve now`)
  // Delivery waits for the name to appear, hence no reason not to start.
  return [{ ...unresolved, severity: 'warning' }]
}

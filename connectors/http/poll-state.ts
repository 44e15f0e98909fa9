/**
 * How far the polls of a source are: for each topic the run of pages that is under way, what was the
 * greatest value of its `since`, and what the server said the answer was. All of it is in the position of
 * the commit that has the rows, so that a new life asks for exactly the next page.
 */
import { createHash } from 'node:crypto'
import { z } from 'zod'
import type { PollTopicConfig } from './poll-config.ts'

const page = z.object({
  /** Pages of this run that were taken. */
  taken: z.int().min(0),
  cursor: z.string().optional(),
  page: z.int().optional(),
  offset: z.int().optional(),
  url: z.string().optional(),
})

const state = z.object({
  /** Counts the steps; tells which of two positions is later. */
  step: z.int().min(0),
  /** Hash of what is asked: pages of another question mean nothing. */
  plan: z.string(),
  /** When the last run began, ms since 1970. */
  runMs: z.number().optional(),
  /** Of the run under way; absent between runs. */
  page: page.optional(),
  /** Greatest value of `since` in the runs that ended, and in the one under way. */
  since: z.string().optional(),
  runSince: z.string().optional(),
  /** When the oldest row was written that may come again, ms since 1970. */
  borderMs: z.number().optional(),
  etag: z.string().optional(),
  modified: z.string().optional(),
  /** Hash of the request that those two were the answer to. */
  askedFor: z.string().optional(),
  /** Of a stream of server-sent events. */
  eventId: z.string().optional(),
})

export type PageState = z.output<typeof page>
export type PollState = z.output<typeof state>
/** By topic. */
export type PollStates = Readonly<Record<string, PollState>>

export const pollStates = z.record(z.string(), state)

/** Of what decides which records an answer has; schedules and limits may change in the middle of a run. */
export function planOf(config: PollTopicConfig): string {
  const { url, method, headers, body, records, format, schema, key, epoch, csv } = config
  const { pagination, since, columns, stream, deletes } = config
  const asked = [url.reveal(), method, Object.keys(headers), body, records, format, stream]
  const read = [schema, key, epoch, csv, columns, pagination, since?.field, deletes]
  const text = JSON.stringify([asked, read])
  const hash = createHash('sha256').update(text).digest('base64url').slice(0, 16)
  return since === undefined ? hash : `${hash}:${since.field}`
}

/**
 * Where to go on from with this configuration: what was said of other questions is left behind, but for the
 * greatest value of a field that is still the same.
 */
export function stateFor(config: PollTopicConfig, before: PollState | undefined): PollState {
  const plan = planOf(config)
  if (before === undefined) return { step: 0, plan }
  if (before.plan === plan) return before
  const { step, since, borderMs } = before
  const field = config.since?.field
  if (field === undefined || since === undefined || sinceField(before) !== field) {
    return { step, plan }
  }
  return { step, plan, since, ...(borderMs !== undefined && { borderMs }) }
}

function sinceField({ plan }: PollState): string {
  const at = plan.indexOf(':')
  return at < 0 ? '' : plan.slice(at + 1)
}

/** Preflight of the topics that are polled: each is asked once, and nothing of it is kept. */
import type { Context } from '../../core/connector/context.ts'
import { inferSchema } from '../../core/connector/format/infer.ts'
import type { Problem } from '../../core/connector/problem.ts'
import type { SchemaProposal, SchemaQuestion } from '../../core/connector/schema-proposal.ts'
import { codes, type Code } from '../../core/errors/codes.ts'
import { SluiceError } from '../../core/errors/error.ts'
import { LineReader } from './line-reader.ts'
import { PollClient, type PageRequest } from './poll-client.ts'
import type { PollTopicConfig } from './poll-config.ts'
import { plainSettings } from './poll-config-problems.ts'
import type { PollAnswer } from './poll-http.ts'
import { PollPages } from './poll-pages.ts'
import { pollSetup, recordsOf, sinceOf } from './poll-setup.ts'
import type { PollState } from './poll-state.ts'
import { pageRequest } from './poll-step.ts'
import { SseReader } from './sse.ts'

type Topics = Readonly<Record<string, PollTopicConfig>>

/** Everything that is wrong with the topics, each with its cure. */
export async function pollChecks(topics: Topics, ctx: Context): Promise<readonly Problem[]> {
  const signal = new AbortController().signal
  const found: Problem[] = []
  for (const [name, config] of Object.entries(topics)) {
    try {
      found.push(...(await checkTopic(name, config, ctx, signal)))
    } catch (error) {
      if (!(error instanceof SluiceError)) throw error
      // A server that is away now may be there later: the source waits for it.
      const severity = error.fault === 'transient' ? 'warning' : 'error'
      found.push({ code: error.code, severity, message: error.message, remedy: error.remedy })
    }
  }
  return found
}

async function checkTopic(
  name: string,
  config: PollTopicConfig,
  ctx: Context,
  signal: AbortSignal,
): Promise<readonly Problem[]> {
  const setup = pollSetup(name, config, ctx)
  await using client = setup.client
  if (config.stream !== undefined) {
    const stop = new AbortController()
    await client.open(firstPage(name, config, ctx), AbortSignal.any([signal, stop.signal]))
    stop.abort()
    return []
  }
  const answer = await client.ask(firstPage(name, config, ctx), signal)
  const parts = { headers: answer.headers, event: null, eventId: null }
  const records = setup.records.add(answer.body, parts, ctx.clock.nowMs())
  if (records === 0 && answer.body.length > 0 && config.records !== '$') {
    const message = `poll.${name}: ${config.records} finds no records in the answer`
    return [warning('http.poll.no_records', message)]
  }
  const { rejected } = setup.records.take()
  const errors = rejected.flatMap(({ errors }) => errors)
  if (errors.length === 0) return []
  const message = `poll.${name}: ${errors.length} of ${records} records do not fit; the first: ${errors[0]!.message}`
  return [warning('http.poll.unfit_records', message)]
}

function warning(code: Code, message: string): Problem {
  return { code, severity: 'warning', message, remedy: codes[code].remedy }
}

function firstPage(name: string, config: PollTopicConfig, ctx: Context): PageRequest {
  const pages = new PollPages(`poll.${name}`, config.pagination, config.max_pages)
  const state: PollState = { step: 0, plan: '', runMs: ctx.clock.nowMs() }
  return pageRequest({ pages, since: sinceOf(config) }, state, pages.begin())
}

/** Proposes the schema of a topic, read off one answer, or off what a stream sends at first. */
export async function inferPolled(
  topics: Topics,
  { topic, recordsMax }: SchemaQuestion,
  ctx: Context,
  signal: AbortSignal,
): Promise<SchemaProposal> {
  const names = Object.keys(topics)
  const name = topic ?? (names.length === 1 ? names[0]! : '')
  const config = topics[name]
  if (config === undefined) {
    const message =
      topic === null ? 'say which topic to look at' : `there is no topic ${topic} that is polled`
    throw new SluiceError('http.invalid_config', {
      message,
      remedy: `Name one with --topic: ${names.join(', ')}.`,
    })
  }
  await using client = new PollClient(name, config, ctx)
  const values =
    config.stream === undefined
      ? recordsIn(name, config, await client.ask(firstPage(name, config, ctx), signal), recordsMax)
      : await streamed(name, config, client, { recordsMax, ctx, signal })
  const { schema, records, remarks } = inferSchema(plainSettings(config), values)
  return { topic: name, schema, records, remarks, path: ['poll', name] }
}

function recordsIn(
  name: string,
  config: PollTopicConfig,
  { body }: PollAnswer,
  recordsMax: number,
): readonly Uint8Array[] {
  return recordsOf(name, { ...config, schema: {}, key: undefined, columns: {} }).values(
    body,
    recordsMax,
  )
}

/** How long a look at a stream takes at most. */
const lookMs = 10_000

async function streamed(
  name: string,
  config: PollTopicConfig,
  client: PollClient,
  { recordsMax, ctx, signal }: { recordsMax: number; ctx: Context; signal: AbortSignal },
): Promise<readonly Uint8Array[]> {
  const values: Uint8Array[] = []
  const stop = AbortSignal.timeout(lookMs)
  const { body } = await client.open(firstPage(name, config, ctx), AbortSignal.any([signal, stop]))
  const lines = new LineReader(name, config.max_response, false)
  const events = new SseReader(name, config.max_response, null)
  try {
    for await (const piece of body) {
      if (config.stream === 'sse')
        events.push(piece, ({ data }) => values.push(Uint8Array.from(data)))
      else lines.push(piece, (line) => line.length > 0 && values.push(Uint8Array.from(line)))
      if (values.length >= recordsMax) break
    }
  } catch (error) {
    signal.throwIfAborted()
    if (!stop.aborted && values.length === 0) throw error
  }
  return values.slice(0, recordsMax)
}

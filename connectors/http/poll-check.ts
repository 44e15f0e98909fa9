/** Preflight of the topics that are polled: each is asked once, and nothing of it is kept. */
import type { Context } from '../../core/connector/context.ts'
import { inferSchema } from '../../core/connector/format/infer.ts'
import { sampleValues } from '../../core/connector/format/sample.ts'
import type { Problem } from '../../core/connector/problem.ts'
import type { SchemaProposal, SchemaQuestion } from '../../core/connector/schema-proposal.ts'
import { Semaphore } from '../../core/connector/semaphore.ts'
import { codes, type Code } from '../../core/errors/codes.ts'
import { SluiceError } from '../../core/errors/error.ts'
import { LineReader } from './line-reader.ts'
import { PollClient, type PageRequest } from './poll-client.ts'
import type { PollTopicConfig } from './poll-config.ts'
import { plainSettings } from './poll-config-problems.ts'
import type { PollAnswer } from './poll-http.ts'
import { PollPages } from './poll-pages.ts'
import type { PollRecords } from './poll-records.ts'
import { pollSetup, recordsOf, sinceOf, type PollSetup } from './poll-setup.ts'
import type { PollState } from './poll-state.ts'
import { pageRequest } from './poll-step.ts'
import { checkType } from './poll-stream.ts'
import { SseReader } from './sse.ts'

type Topics = Readonly<Record<string, PollTopicConfig>>

/** Topics that are asked at a time: their order in the file is that of what is said of them. */
const checkedAtOnce = 8
/** Records of an answer that are looked at. */
const checkedRecords = 1000
/** Fewer are hardly a page that is full. */
const fullPageMin = 10

/** Everything that is wrong with the topics, each with its cure. */
export async function pollChecks(topics: Topics, ctx: Context): Promise<readonly Problem[]> {
  const slots = new Semaphore(checkedAtOnce)
  const signal = new AbortController().signal
  const found = await Promise.all(
    Object.entries(topics).map(async ([name, config]) => {
      await slots.acquire(signal)
      try {
        return await problemsOf(name, config, ctx, signal)
      } finally {
        slots.release()
      }
    }),
  )
  return found.flat()
}

async function problemsOf(
  name: string,
  config: PollTopicConfig,
  ctx: Context,
  signal: AbortSignal,
): Promise<readonly Problem[]> {
  try {
    return await checkTopic(name, config, ctx, signal)
  } catch (error) {
    if (!(error instanceof SluiceError)) throw error
    // A server that is away now may be there later: the source waits for it.
    const severity = error.fault === 'transient' ? 'warning' : 'error'
    return [{ code: error.code, severity, message: error.message, remedy: error.remedy }]
  }
}

async function checkTopic(
  name: string,
  config: PollTopicConfig,
  ctx: Context,
  signal: AbortSignal,
): Promise<readonly Problem[]> {
  const setup = pollSetup(name, config, ctx)
  await using client = setup.client
  const page = firstPage(name, config, ctx)
  if (config.stream !== undefined) {
    const stream = await client.open(page, signal)
    stream.close()
    if (config.stream === 'sse' && stream.status === 200) checkType(name, stream)
    return []
  }
  const answer = await client.ask(page, signal)
  const parts = { headers: answer.headers, event: null, eventId: null }
  const records = setup.records.add(answer.body, parts, ctx.clock.nowMs())
  if (records === 0 && answer.body.length > 0 && config.records !== '$') {
    const message = `poll.${name}: ${config.records} finds no records in the answer`
    return [warning('http.poll.no_records', message)]
  }
  return [
    ...unfitRecords(name, setup.records, Math.min(records, checkedRecords)),
    ...lastPage(name, config, setup, { answer, page, records }),
  ]
}

function unfitRecords(name: string, records: PollRecords, count: number): readonly Problem[] {
  const errors: SluiceError[] = []
  const left = records.count - count
  // Of large ones it gives some at a time.
  while (records.count > left) {
    for (const rejected of records.take(records.count - left).rejected)
      errors.push(...rejected.errors)
  }
  records.clear()
  if (errors.length === 0) return []
  const message = `poll.${name}: ${errors.length} of ${count} records do not fit; the first: ${errors[0]!.message}`
  return [warning('http.poll.unfit_records', message)]
}

/** Where the next page stands in the answer is a guess until it was seen there. */
function lastPage(
  name: string,
  { pagination }: PollTopicConfig,
  { pages }: PollSetup,
  {
    answer: { body, headers, url },
    page: { page },
    records,
  }: { answer: PollAnswer; page: PageRequest; records: number },
): readonly Problem[] {
  const type = pagination?.type
  if (type !== 'cursor' && type !== 'next_url' && type !== 'link') return []
  // A list that is short of a page, or says that it has ended, has no more: most have one page for a long time.
  if (!isFullPage(records, url) || pages.saysLast({ body, headers })) return []
  if (pages.after(page, { body, headers, url, records }) !== null) return []
  const where = type === 'link' ? 'the header `Link`' : pagination!.next
  const message = `poll.${name}: ${where} names no page behind the first, which has ${records} records`
  return [warning('http.poll.one_page', message)]
}

/** As many records as were asked for, or a number that servers choose for their pages. */
function isFullPage(records: number, { searchParams }: URL): boolean {
  if (records < fullPageMin) return false
  if ([...searchParams.values()].includes(String(records))) return true
  const isPowerOf2 = (records & (records - 1)) === 0
  return records % 10 === 0 || records % 25 === 0 || isPowerOf2
}

function warning(code: Code, message: string): Problem {
  return { code, severity: 'warning', message, remedy: codes[code].remedy }
}

function firstPage(name: string, config: PollTopicConfig, ctx: Context): PageRequest {
  const pages = new PollPages(`poll.${name}`, config.pagination, config.max_pages)
  const state: PollState = { step: 0, plan: '', runMs: ctx.clock.nowMs() }
  return pageRequest({ pages, since: sinceOf(config) }, state, pages.begin())
}

/** Proposes the schema of a topic, read off one answer, off what a stream sends at first, or off samples. */
export async function inferPolled(
  name: string,
  config: PollTopicConfig,
  { recordsMax, samples }: SchemaQuestion,
  ctx: Context,
  signal: AbortSignal,
): Promise<SchemaProposal> {
  await using client = new PollClient(name, config, ctx)
  const settings = plainSettings(config)
  const values =
    samples !== undefined
      ? samples.flatMap((sample) =>
          config.stream === undefined
            ? recordsIn(name, config, Buffer.from(sample), recordsMax)
            : sampleValues(settings, sample),
        )
      : config.stream === undefined
        ? recordsIn(
            name,
            config,
            (await client.ask(firstPage(name, config, ctx), signal)).body,
            recordsMax,
          )
        : await streamed(name, config, client, { recordsMax, ctx, signal })
  const { schema, records, remarks } = inferSchema(settings, values)
  return { topic: name, schema, records, remarks, path: ['poll', name] }
}

function recordsIn(
  name: string,
  config: PollTopicConfig,
  body: Buffer,
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
  const stream = await client.open(firstPage(name, config, ctx), AbortSignal.any([signal, stop]))
  const lines = new LineReader(name, config.max_response, false)
  const events = new SseReader(name, config.max_response, null)
  try {
    for await (const piece of stream.body) {
      if (config.stream === 'sse') {
        events.push(piece, ({ type, data }) => {
          if (config.events?.includes(type) !== false) values.push(Uint8Array.from(data))
        })
      } else lines.push(piece, (line) => line.length > 0 && values.push(Uint8Array.from(line)))
      if (values.length >= recordsMax) break
    }
  } catch (error) {
    signal.throwIfAborted()
    if (!stop.aborted && values.length === 0) throw error
  }
  return values.slice(0, recordsMax)
}

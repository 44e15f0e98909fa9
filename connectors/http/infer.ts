/** `sluice schema infer` of a topic: what is polled is asked for, of what is pushed somebody has to have a body. */
import type { Context } from '../../core/connector/context.ts'
import { inferSchema } from '../../core/connector/format/infer.ts'
import { sampleValues } from '../../core/connector/format/sample.ts'
import { didYouMean } from '../../core/connector/nearest.ts'
import type { SchemaProposal, SchemaQuestion } from '../../core/connector/schema-proposal.ts'
import { SluiceError } from '../../core/errors/error.ts'
import { EventReader } from './cloud-events.ts'
import type { HttpConfig } from './config.ts'
import { inferPolled } from './poll-check.ts'
import type { PushTopicConfig } from './push-config.ts'

export async function inferHttp(
  { push, poll }: HttpConfig,
  question: SchemaQuestion,
  ctx: Context,
  signal: AbortSignal,
): Promise<SchemaProposal> {
  const names = [...Object.keys(push), ...Object.keys(poll)]
  const name = question.topic ?? (names.length === 1 ? names[0]! : null)
  const [pushed, polled] = name === null ? [] : [push[name], poll[name]]
  if (name !== null && polled !== undefined) {
    return inferPolled(name, polled, question, ctx, signal)
  }
  if (name !== null && pushed !== undefined) return inferPushed(name, pushed, question)
  const hint = name === null ? null : didYouMean(name, names)
  throw new SluiceError('http.invalid_config', {
    message: name === null ? 'say which topic to look at' : `there is no topic ${name}`,
    remedy: `${hint === null ? '' : `${hint} `}Name one with --topic: ${names.join(', ')}.`,
  })
}

function inferPushed(
  name: string,
  { format, csv, cloudevents }: PushTopicConfig,
  { samples }: SchemaQuestion,
): SchemaProposal {
  if (samples === undefined) {
    throw new SluiceError('http.invalid_config', {
      message: `push.${name}: it is sent by others, and cannot be asked for`,
      remedy:
        'Save a body that was sent, or one of the sender’s documentation, and name the file: --sample body.json (several files: say it again; - is standard input).',
    })
  }
  const settings = { format, csv }
  const values = samples.flatMap((sample) => sampleValues(settings, sample))
  const events = new EventReader([])
  const data =
    cloudevents === 'off' ? values : values.flatMap((value) => dataOf(value, events) ?? [])
  const { schema, records, remarks } = inferSchema(settings, data)
  return { topic: name, schema, records, remarks, path: ['push', name] }
}

/** Rows are made of what an event holds, not of the event; null = it holds nothing. */
function dataOf(value: Uint8Array, events: EventReader): Uint8Array | null {
  const event = events.event(value, 0, value.length)
  if (typeof event === 'string') return value
  return event.decoded ?? (event.start < 0 ? null : value.subarray(event.start, event.end))
}

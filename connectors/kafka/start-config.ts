/**
 * `start` in the pipeline file.
 *
 *   start = 'earliest' | 'latest' | 'group' | time | offsets
 *   time  = ISO 8601 with its zone, or a date: 2026-05-01T06:00:00Z, 2026-05-01T08:00+02:00, 2026-05-01
 *
 * offsets: {partition: offset} on a topic, {topic: {partition: offset}} on the source.
 */
import { z } from 'zod'
import type { Start } from './start.ts'

const timeText =
  /^\d{4}-\d{2}-\d{2}(?:T\d{2}:\d{2}(?::\d{2}(?:\.\d{1,3})?)?(?:Z|[+-]\d{2}:\d{2}))?$/
const expected =
  'expected earliest, latest, group, a time with its zone such as 2026-05-01T06:00:00Z, or offsets by partition'

const word = z.string({ error: expected }).superRefine((text, ctx) => {
  if (['earliest', 'latest', 'group'].includes(text)) return
  if (timeText.test(text) && Number.isFinite(Date.parse(text))) return
  ctx.addIssue({ code: 'custom', message: expected, input: text })
})

const partitionNumber = z.string().regex(/^\d{1,6}$/, 'expected the number of a partition')
const offsets = z.record(partitionNumber, z.number().int().min(0))

export const topicStart = z.union([word, offsets]).meta({
  description:
    'Where to begin with a topic that the log has nothing of: earliest, latest, group (what the consumer group of `group` has stored), a time, or offsets by partition. Partitions of which that tells nothing, and topics and partitions that are made later, begin at their first record.',
  examples: ['earliest', 'latest', 'group', '2026-05-01T06:00:00Z', { '0': 1200, '1': 1187 }],
})

export const sourceStart = z.union([word, z.record(z.string(), offsets)]).meta({
  description:
    'As of a topic, for all topics; offsets by topic and partition. Topics not named there begin at their first record.',
  examples: ['latest', { orders: { '0': 1200, '1': 1187 } }],
})

export type TopicStart = z.output<typeof topicStart>
export type SourceStart = z.output<typeof sourceStart>

/** What counts for `topic`; the topic's own word before that of the source. */
export function startOf(topic: string, own: TopicStart | undefined, all: SourceStart): Start {
  if (own !== undefined) return typeof own === 'string' ? ofWord(own) : ofOffsets(own)
  if (typeof all === 'string') return ofWord(all)
  const offsetsOfTopic = Object.hasOwn(all, topic) ? all[topic]! : {}
  return ofOffsets(offsetsOfTopic)
}

function ofWord(text: string): Start {
  if (text === 'earliest' || text === 'latest' || text === 'group') return { kind: text }
  return { kind: 'time', timeMs: Date.parse(text) }
}

function ofOffsets(byPartition: Readonly<Record<string, number>>): Start {
  const entries = Object.entries(byPartition).map(([partition, offset]): [number, number] => [
    Number(partition),
    offset,
  ])
  return { kind: 'offsets', offsets: new Map(entries) }
}

/**
 * Topics that a sink names beside `from`: the topic of a view, the table of a topic. One that the sink
 * never receives would be passed over in silence, or park the topic that was meant once it runs.
 *
 * Where topics are only known at run, a name passes that one of them may turn out to have.
 */
import type { NamedTopic } from '../core/connector/sink.ts'
import { didYouMean } from '../core/connector/nearest.ts'
import { matchTopic } from '../core/connector/topic-pattern.ts'
import type { KnownTopics } from './pipeline.ts'
import { prefixesMeet, topicsEndingIn } from './topics.ts'

export interface NamedTopicProblem {
  readonly code: 'config.topic_not_received' | 'config.ambiguous_topic'
  readonly message: string
  readonly suggestion: string | null
}

/** What is wrong with one such name, or null. `from` must have no problem of its own. */
export function checkNamedTopic(
  { topic, match }: Pick<NamedTopic, 'topic' | 'match'>,
  from: readonly string[],
  known: KnownTopics,
): NamedTopicProblem | null {
  const received = known.topics.filter((name) => from.some((entry) => meansTopic(entry, name)))
  // Dead letters of another task, and topics of sources that have to be asked.
  const unlisted = from.filter(
    (entry) => !entry.includes('*') && !known.topics.some((name) => meansTopic(entry, name)),
  )
  const names = [...received, ...unlisted]
  if (topic === null) {
    return names.length < 2 ? null : several('no topic is named here', names, 'say which one')
  }
  const meant = match === 'full' ? received.filter((name) => name === topic) : []
  if (match === 'tail') meant.push(...topicsEndingIn(topic, received))
  if (meant.length > 1 && !meant.includes(topic)) {
    return several(`"${topic}" fits several`, meant, 'write the full name of one')
  }
  if (meant.length > 0) return null
  if (unlisted.some((entry) => overlap(entry, topic))) return null
  if (from.some((entry) => mayBring(entry, topic, match, known.open))) return null
  return {
    code: 'config.topic_not_received',
    message: `"${topic}" is not among the topics that this sink receives`,
    suggestion: cure(topic, names, known.topics),
  }
}

function several(what: string, names: readonly string[], suggestion: string): NamedTopicProblem {
  return {
    code: 'config.ambiguous_topic',
    message: `${what}, and the sink receives ${names.join(', ')}`,
    suggestion,
  }
}

function cure(topic: string, names: readonly string[], all: readonly string[]): string | null {
  const longer = topicsEndingIn(topic, names)
  if (longer.length === 1) return `write "${longer[0]}"`
  if (topicsEndingIn(topic, all).length > 0) return 'add it to `from`, or name another one'
  const spellings = names.flatMap((name) => {
    const parts = name.split('.')
    return parts.map((_, index) => parts.slice(index).join('.'))
  })
  const listed = names.length > 0 && names.length <= 8 ? `it receives: ${names.join(', ')}` : null
  return didYouMean(topic, spellings) ?? listed
}

/** As the deliver loop reads `from`. */
function meansTopic(entry: string, topic: string): boolean {
  return entry.includes('*') ? matchTopic(entry, topic) : topicsEndingIn(entry, [topic]).length > 0
}

/** Whether two names, of which each may lack its first parts, can be of one topic. */
function overlap(a: string, b: string): boolean {
  return a === b || a.endsWith(`.${b}`) || b.endsWith(`.${a}`)
}

/** Whether a pattern may bring a topic of that name, from a source whose topics nobody knows yet. */
function mayBring(
  entry: string,
  topic: string,
  match: NamedTopic['match'],
  open: readonly string[],
): boolean {
  if (!entry.includes('*')) return false
  const prefixes = open.filter((prefix) => prefixesMeet(entry, prefix))
  if (prefixes.some((prefix) => topic.startsWith(prefix)) && matchTopic(entry, topic)) return true
  if (match === 'full' || prefixes.length === 0) return false
  const last = entry.slice(entry.lastIndexOf('*') + 1)
  return `.${topic}`.endsWith(last) || last.endsWith(`.${topic}`)
}

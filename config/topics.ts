/**
 * Topic names as people write them in `from`: a full name, a suffix of one while it is unique, or a
 * pattern in which `*` stands for any characters, dots included.
 */
import { matchTopic } from '../core/connector/topic-pattern.ts'
import type { KnownTopics } from './pipeline.ts'
import { didYouMean } from '../core/connector/nearest.ts'

/** Topics of which `name` is the last part or parts: `orders` of `shop.public.orders`. */
export function topicsEndingIn(name: string, topics: readonly string[]): readonly string[] {
  return topics.filter((topic) => topic === name || topic.endsWith(`.${name}`))
}

export interface FromProblem {
  readonly code: 'config.unknown_topic' | 'config.ambiguous_topic'
  readonly message: string
  readonly suggestion: string | null
}

/**
 * What is wrong with one entry of `from`, or null. Where a source's topics are only known at run, an
 * entry that may be one of them passes.
 */
export function checkFrom(name: string, known: KnownTopics): FromProblem | null {
  const { topics, open } = known
  if (name.includes('*')) {
    if (topics.some((topic) => matchTopic(name, topic))) return null
    if (open.some((prefix) => prefixesMeet(name, prefix))) return null
    return unknown(name, known)
  }
  if (topics.includes(name)) return null
  if (open.some((prefix) => name.startsWith(prefix))) return null
  const candidates = topicsEndingIn(name, topics)
  if (candidates.length > 1) {
    return {
      code: 'config.ambiguous_topic',
      message: `"${name}" could be ${candidates.join(' or ')}`,
      suggestion: 'write the full name',
    }
  }
  // Only when every topic is known can a short name be refused offline.
  return candidates.length === 1 || open.length > 0 ? null : unknown(name, known)
}

function unknown(name: string, { topics, open }: KnownTopics): FromProblem {
  const spellings = topics.flatMap((topic) => {
    const parts = topic.split('.')
    return parts.map((_, index) => parts.slice(index).join('.'))
  })
  const patterns = [...new Set(topics.map((topic) => topic.split('.')[0]!)), ...open].map(
    (prefix) => (prefix.endsWith('.') ? `${prefix}*` : `${prefix}.*`),
  )
  return {
    code: 'config.unknown_topic',
    message: `no source or transform provides "${name}"`,
    suggestion:
      didYouMean(name, name.includes('*') ? patterns : spellings) ??
      (topics.length > 0 && topics.length <= 8 ? `there are: ${topics.join(', ')}` : null),
  }
}

/** Whether some text that begins with `prefix` can match the pattern. */
export function prefixesMeet(pattern: string, prefix: string): boolean {
  const head = pattern.slice(0, pattern.indexOf('*'))
  return head.startsWith(prefix) || prefix.startsWith(head)
}

/**
 * Preflight of the registry: whether it answers, whether it has the subjects of the topics, and whether
 * their newest schemas can be read. A subject that is not there is a warning: producers with another
 * naming strategy have none, and then the first record tells the columns.
 */
import type { Problem } from '../../../core/connector/problem.ts'
import { nearest } from '../../../core/connector/nearest.ts'
import { SluiceError } from '../../../core/errors/error.ts'
import type { SchemaCodec } from '../schema-codec.ts'
import { schemaProblem } from '../schema-problem.ts'
import type { SchemaRegistry } from './client.ts'

export interface WantedSubject {
  readonly topic: string
  readonly part: 'value' | 'key'
  readonly subject: string
  /** A new one, which is thrown away; it has the newest schema of the subject afterwards, where that can be read. */
  readonly codec: SchemaCodec
}

export async function registryProblems(
  registry: SchemaRegistry,
  wanted: readonly WantedSubject[],
  signal: AbortSignal,
): Promise<readonly Problem[]> {
  const problems: Problem[] = []
  for (const one of wanted) {
    try {
      const problem = await subjectProblem(registry, one, signal)
      if (problem !== null) problems.push(problem)
    } catch (error) {
      signal.throwIfAborted()
      if (!(error instanceof SluiceError)) throw error
      const { code, message, remedy, fault } = error
      problems.push({ code, severity: fault === 'config' ? 'error' : 'warning', message, remedy })
      // Who does not answer once is not asked for every topic.
      if (fault !== 'row') return problems
    }
  }
  return problems
}

async function subjectProblem(
  registry: SchemaRegistry,
  { topic, subject, codec }: WantedSubject,
  signal: AbortSignal,
): Promise<Problem | null> {
  const newest = await registry.latest(subject, signal)
  if (newest === null) {
    const close = nearest(subject, await registry.subjects(signal))
    return {
      code: 'source.kafka.schema_unknown',
      severity: 'warning',
      message: `The registry ${registry.origin} has no subject ${subject}: the columns of ${topic} are known with its first record.`,
      remedy:
        close === null
          ? 'Nothing, where producers name subjects in another way; otherwise set `subject`.'
          : `Did you mean subject: ${close}? Nothing has to be done where producers name subjects in another way.`,
    }
  }
  const what = `Schema ${newest.id} (${subject}) of the registry ${registry.origin}`
  const origin = { what, fault: 'row' } as const
  if (newest.type !== codec.type) {
    throw schemaProblem(origin, `is of ${newest.type}, and ${codec.type} is to be read`)
  }
  codec.add(newest, true, origin)
  return null
}

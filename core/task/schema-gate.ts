/**
 * SchemaGate: what every delivery of a topic passes before it is planned. Decides once what becomes of a
 * new shape or a truncate; the decision is written in the commit that plans the delivery, so that a
 * restart does the same again (invariant 6), or that parks the topic in front of it (invariant 5).
 */
import {
  judge,
  schemaActions,
  type ChangeKind,
  type SchemaAction,
  type SchemaRules,
} from '../connector/schema-policy.ts'
import { SluiceError } from '../errors/error.ts'
import { readHead } from '../log/head.ts'
import type { Schema } from '../record/schema.ts'
import type { SchemaChange } from '../record/schema-change.ts'
import type { TaskContext } from './context.ts'
import type { DeliveredTopic } from './delivery-log.ts'
import { describeChange, type DecisionAt, type SchemaDecision } from './schema-journal.ts'
import { targetOf, type Target, type TopicShape } from './schema-shape.ts'
import { nextShape } from './schema-step.ts'

/** What comes next in a topic: rows of a schema, or a truncate. */
export interface Arrival {
  readonly offset: number
  /** null = truncate. */
  readonly schema: Schema | null
}

export interface Passage {
  readonly shape: TopicShape | undefined
  /** What the target has to be brought to follow, for the sink's next step. */
  readonly agreed: readonly SchemaChange[]
  readonly decisions: readonly DecisionAt[]
  /** A truncate that the target is not told of. */
  readonly skip: boolean
  /** Why the topic waits in front of this; null when it goes on. */
  readonly stop: SluiceError | null
}

export class SchemaGate {
  readonly #topic: DeliveredTopic
  readonly #rules: SchemaRules
  readonly #ctx: TaskContext
  readonly #show: (text: string) => void
  /** The topic's schema that the shape belongs to, once it is known. */
  #known: Schema | null = null
  /** Whether the policy, which may be another one than before the start, was asked about the shape. */
  #asked = false

  constructor(
    topic: DeliveredTopic,
    rules: SchemaRules,
    ctx: TaskContext,
    show: (text: string) => void,
  ) {
    this.#topic = topic
    this.#rules = rules
    this.#ctx = ctx
    this.#show = show
  }

  /** Whether rows of that schema go on in the shape as it is, beside what is under way. */
  isOpen(schema: string | null, shape: TopicShape | undefined): boolean {
    return this.#asked && schema !== null && shape?.schema === schema
  }

  async pass(
    arrival: Arrival,
    shape: TopicShape | undefined,
    signal: AbortSignal,
  ): Promise<Passage> {
    const { schema } = arrival
    if (schema === null) return this.#truncate(arrival, shape)
    if (this.isOpen(schema.id, shape)) return open(shape)
    const before = shape === undefined ? null : await this.#topicSchema(shape, schema, signal)
    this.#asked = true
    this.#known = schema
    // The first rows, and those of a topic whose history is gone, are the shape.
    if (shape === undefined || before === null) return open({ schema: schema.id })
    const step = nextShape({ shape, topic: before }, schema, this.#rules)
    const decisions = this.#told(arrival, step.decisions)
    const stops = decisions.filter(({ action }) => action === 'stop')
    if (stops.length > 0) {
      // All of it is asked again when the topic goes on, with the policy of that time.
      this.#known = before
      return { ...open(shape), decisions: stops, stop: this.#stopped(arrival, stops) }
    }
    return { ...open(step.shape), decisions, agreed: step.agreed }
  }

  /** Decisions on show: in the log, in the live status and as a metric. */
  tell(decisions: readonly DecisionAt[]): void {
    const { logger, metrics } = this.#ctx
    for (const { topic, offset, change, action, why } of decisions) {
      const text = describeChange(change)
      logger.info('schema changed', { topic, offset, change: text, action, why })
      metrics.count('schema_changes_total', 1, { change: change.kind, action })
      this.#show(`${topic}: ${text} (${action})`)
    }
  }

  #truncate(arrival: Arrival, shape: TopicShape | undefined): Passage {
    const { action, why } = judge('truncate', this.#rules, true)
    const decisions = this.#told(arrival, [{ change: { kind: 'truncate' }, action, why }])
    if (action === 'stop') {
      return { ...open(shape), decisions, stop: this.#stopped(arrival, decisions) }
    }
    return { ...open(shape), decisions, skip: action === 'ignore' }
  }

  /** Null when the log does not tell it any more. */
  async #topicSchema(shape: TopicShape, next: Schema, signal: AbortSignal): Promise<Schema | null> {
    if (shape.schema === next.id) return next
    if (this.#known?.id === shape.schema) return this.#known
    const head = await readHead(this.#ctx.log, this.#topic.chain, signal)
    const schemas = head?.topics.get(this.#topic.name)?.schemas
    const found = schemas?.find(({ id }) => id === shape.schema) ?? null
    if (found === null) {
      this.#ctx.logger.warn('the schema before this one is not in the log any more', {
        topic: this.#topic.name,
        schema: shape.schema,
      })
    }
    return found
  }

  #told({ offset }: Arrival, decisions: readonly SchemaDecision[]): readonly DecisionAt[] {
    return decisions.map((decision) => ({ topic: this.#topic.name, offset, ...decision }))
  }

  #stopped({ offset }: Arrival, stops: readonly DecisionAt[]): SluiceError {
    const { name } = this.#ctx
    const changes = stops.map(({ change }) => describeChange(change)).join('; ')
    const kinds = [...new Set(stops.map(({ change }) => change.kind))]
    const asked: ReadonlySet<string> = new Set(kinds)
    const said = Object.entries(this.#rules.policy).filter(([kind]) => !asked.has(kind))
    const lines = [
      ...said.map(([kind, word]) => `${kind}: ${word}`),
      ...kinds.map((kind) => `${kind}: ${this.#answers(kind).join(' or ')}`),
    ]
    const cure = kinds.every((kind) => this.#answers(kind).length > 0)
      ? `on_schema_change: { ${lines.join(', ')} }`
      : 'on_schema_change: lenient, so that the sink says what its target needs,'
    return new SluiceError('schema.stopped', {
      message: `${this.#topic.name}, offset ${offset}: ${changes}. Sink ${name} waits in front of it: ${stops[0]!.why}.`,
      remedy: `Nothing was skipped. Under sinks.${name}, write ${cure} and start again; docs/schema-changes.md says what each word does.`,
    })
  }

  /** What can be written for a kind of change, at this sink, for going on. */
  #answers(kind: ChangeKind): readonly SchemaAction[] {
    const refused = this.#rules.abilities[kind] === 'refuses'
    return schemaActions[kind].filter(
      (action) => action !== 'stop' && !(action === 'apply' && refused),
    )
  }
}

function open(shape: TopicShape | undefined): Passage {
  return { shape, agreed: [], decisions: [], skip: false, stop: null }
}

/** What rows of that schema are brought into; as they are where the shape says nothing about them. */
export function targetFor(shape: TopicShape | undefined, schema: Schema): Target {
  return targetOf(shape?.schema === schema.id ? shape : { schema: schema.id }, schema)
}

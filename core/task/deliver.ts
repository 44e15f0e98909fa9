/**
 * Deliver: log → sink. Every delivery is planned in a commit before it is sent, and retried exactly
 * as planned until the sink has taken it (invariant 6); the cursor moves in the commit after the
 * sink's answer, together with the rows it refused (invariant 5). Topics go on side by side: one that
 * cannot is parked with its reason, and tried again from time to time.
 */
import { defaultPolicy, type SchemaPolicy } from '../connector/schema-policy.ts'
import { usualBudget, type LetterBudget } from '../connector/letter-budget.ts'
import { abilitiesOf, type SinkConnector, type TopicInfo } from '../connector/sink.ts'
import { ChainReader } from '../log/reader.ts'
import { readHead } from '../log/head.ts'
import type { TaskContext } from './context.ts'
import { DeliveryLog } from './delivery-log.ts'
import { DeliveryStatus } from './delivery-status.ts'
import { isMeant, type IsSide } from './from.ts'
import { openOwnChain } from './own-chain.ts'
import { followRequests } from './request-intake.ts'
import { TopicDelivery } from './topic-delivery.ts'

export interface DeliverTask {
  readonly connector: SinkConnector<unknown>
  readonly config: unknown
  /** Topics as the pipeline names them: full names, unique tails, patterns. */
  readonly from: readonly string[]
  /** Every chain whose topics may be meant. */
  readonly chains: readonly string[]
  /** Topics that `from` means only when it names them in full; none when absent. */
  readonly isSide?: IsSide
  /** Rows that may be set aside before a topic stops. */
  readonly deadLetters?: LetterBudget
  /** Memory that all topics share for their rows; 64 MiB, or four batches, when absent. */
  readonly heldBytesMax?: number
  /** What is done when a topic's rows get another shape; `lenient` when absent. */
  readonly onSchemaChange?: SchemaPolicy
}

const heldBytesDefault = 64 << 20

export async function runDeliver(
  task: DeliverTask,
  ctx: TaskContext,
  signal: AbortSignal,
): Promise<void> {
  ctx.report({ state: 'starting', detail: 'taking over the chain' })
  await using writer = await openOwnChain(ctx, 'deliver', signal)
  const known = await knownTopics(task, ctx, signal)
  const deliveries = new Map<string, TopicDelivery>()
  const waitsSinceMs = (topic: string) => deliveries.get(topic)?.waitsSinceMs
  const sinkContext = { ...ctx, waitsSinceMs }
  await using sink = await task.connector.open(task.config, [...known.values()], sinkContext)
  const commits = await DeliveryLog.open(writer, ctx, task.deadLetters ?? usualBudget, signal)
  ctx.report({ state: 'running', detail: '' })
  const status = new DeliveryStatus(ctx)
  const batching = task.connector.batching(task.config)
  // A sink with large batches gets on with a few of them at a time.
  const { heldBytesMax = Math.max(heldBytesDefault, batching.bytesMax * 4) } = task
  const abilities = abilitiesOf(task.connector, task.config)
  const rules = { policy: task.onSchemaChange ?? defaultPolicy, abilities }
  const running = new Map<string, Promise<void>>()
  const failed = new AbortController()
  const stop = AbortSignal.any([signal, failed.signal])
  let failure: { readonly error: unknown } | null = null
  const delivers = (topic: string): boolean => isMeant(task.from, topic, task.isSide)
  const start = (topic: string, chain: string, seq: number): void => {
    if (running.has(topic) || !delivers(topic)) return
    const delivery = new TopicDelivery({
      topic,
      chain,
      firstSeq: seq,
      batching,
      heldBytesMax,
      sink,
      rules,
      commits,
      ctx,
      status,
    })
    deliveries.set(topic, delivery)
    running.set(
      topic,
      delivery.run(stop).catch((error: unknown) => {
        // The first failure ends them all; the hub decides by its fault what comes next.
        failure ??= { error }
        failed.abort()
      }),
    )
  }
  const watchers = [
    ...task.chains.map((name) => watchTopics(ctx, name, start, stop)),
    followRequests(commits, ctx, delivers, stop),
  ].map((watching) =>
    watching.catch((error: unknown) => {
      if (!stop.aborted) failure ??= { error }
      failed.abort()
    }),
  )
  await Promise.all(watchers)
  await Promise.all(running.values())
  const ended = failure as { readonly error: unknown } | null
  if (ended !== null) throw ended.error
}

async function knownTopics(
  task: DeliverTask,
  ctx: TaskContext,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, TopicInfo>> {
  const topics = new Map<string, TopicInfo>()
  for (const chain of task.chains) {
    const head = await readHead(ctx.log, chain, signal)
    for (const [name, topic] of head?.topics ?? []) {
      if (!isMeant(task.from, name, task.isSide)) continue
      topics.set(name, { name, schema: topic.schemas.at(-1) ?? null })
    }
  }
  return topics
}

/** Starts a delivery for every topic of the chain, and for each new one when its first block is seen. */
async function watchTopics(
  ctx: TaskContext,
  chain: string,
  start: (topic: string, chain: string, seq: number) => void,
  signal: AbortSignal,
): Promise<void> {
  const head = await readHead(ctx.log, chain, signal)
  for (const topic of head?.topics.keys() ?? []) start(topic, chain, 1)
  await using reader = ChainReader.open(ctx.log, chain, (head?.seq ?? 0) + 1)
  while (!signal.aborted) {
    const commit = await reader.next(signal)
    for (const block of commit.blocks) start(block.topic, chain, commit.seq)
  }
}

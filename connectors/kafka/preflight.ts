/**
 * Preflight of the brokers: every one that is named and every one that the cluster names, the topics, and what
 * the user may do; each finding with its cure. Formats and registries are checked elsewhere.
 */
import type { Context } from '../../core/connector/context.ts'
import { didYouMean } from '../../core/connector/nearest.ts'
import type { Problem } from '../../core/connector/problem.ts'
import { matchTopic } from '../../core/connector/topic-pattern.ts'
import { SluiceError } from '../../core/errors/error.ts'
import { addressOf, parseAddress, type Address } from './broker-address.ts'
import type { KafkaClient } from './client.ts'
import type { KafkaTopic } from './driver.ts'
import { openDriver, type DriverOptions } from './drivers.ts'
import { allow } from './errors.ts'
import { retentionProblems } from './preflight-retention.ts'
import { isInternal } from './topics-wanted.ts'

export interface PreflightOptions {
  readonly driver: DriverOptions
  /** Topics by their exact names. */
  readonly names: readonly string[]
  readonly patterns: readonly string[]
  /** Whether a pattern wants the topic. */
  readonly isWanted: (topic: string) => boolean
  readonly group: string | null
  /** `start: group`: without the group's offsets nothing can begin. */
  readonly groupIsNeeded: boolean
  /** Where the topic is to be read from, in ms since 1970, where that is a time. */
  readonly startMs: (topic: string) => number | null
}

/** Never throws but for an abort: what cannot be looked at is a finding too. */
export async function brokerProblems(
  options: PreflightOptions,
  ctx: Pick<Context, 'clock'>,
  signal: AbortSignal,
): Promise<readonly Problem[]> {
  try {
    await using client = await openDriver(options.driver, ctx)
    const bootstrap = await bootstrapProblems(client, options, signal)
    if (!bootstrap.isReached) return bootstrap.problems
    const advertised = await advertisedProblems(client, options, signal)
    // Everything that follows asks the brokers that just could not be reached.
    if (advertised.length > 0) return [...bootstrap.problems, ...advertised]
    const check = new ClusterCheck(client, options, signal)
    return [
      ...bootstrap.problems,
      ...(await check.topicProblems()),
      ...(await check.groupProblems()),
      ...(await retentionProblems(client, check.readable, options.startMs, ctx, signal)),
    ]
  } catch (error) {
    signal.throwIfAborted()
    return [problemOf(error, 'error')]
  }
}

/** Of each broker that the file names: an error where none answers, otherwise a warning. */
async function bootstrapProblems(
  client: KafkaClient,
  { driver }: PreflightOptions,
  signal: AbortSignal,
): Promise<{ readonly problems: readonly Problem[]; readonly isReached: boolean }> {
  const addresses = driver.brokers.map((text) => parseAddress(text)!)
  const failures = await Promise.all(addresses.map((at) => failureOf(client, at, signal)))
  const failed = failures.filter((failure) => failure !== null)
  const isReached = failed.length < failures.length
  const severity = isReached ? 'warning' : 'error'
  return { isReached, problems: failed.map((failure) => problemOf(failure, severity)) }
}

/** Of each broker as the cluster tells its clients to reach it. */
async function advertisedProblems(
  client: KafkaClient,
  { driver }: PreflightOptions,
  signal: AbortSignal,
): Promise<readonly Problem[]> {
  await client.clusterId(signal)
  const problems: Problem[] = []
  for (const [node, address] of client.brokers) {
    const where = addressOf(address)
    if (driver.brokers.includes(where)) continue
    const failure = await failureOf(client, address, signal)
    if (failure === null) continue
    const told = `Broker ${node} tells its clients to go on at ${where}`
    const near = isLoopback(address) ? ', which is this machine itself and not the broker’s' : ''
    const isUnreachable =
      failure instanceof SluiceError && failure.code === 'source.kafka.unreachable'
    if (!isUnreachable) {
      const found = problemOf(failure, 'error')
      problems.push({ ...found, message: `${told}. ${found.message}` })
      continue
    }
    problems.push({
      code: 'source.kafka.advertised',
      severity: 'error',
      message: `${told}${near}. ${failure.message}`,
      remedy: `Set advertised.listeners of broker ${node} to a name or address that leads to it from here; or point \`brokers\` at its listener for clients from here.`,
    })
  }
  return problems
}

async function failureOf(
  client: KafkaClient,
  address: Address,
  signal: AbortSignal,
): Promise<unknown> {
  try {
    await client.reach(address, signal)
    return null
  } catch (error) {
    signal.throwIfAborted()
    return error
  }
}

function isLoopback({ host }: Address): boolean {
  return host === 'localhost' || host === '::1' || host.startsWith('127.')
}

class ClusterCheck {
  /** Topics that are there and may be read, once `topicProblems` has told. */
  readable: readonly string[] = []
  readonly #client: KafkaClient
  readonly #options: PreflightOptions
  readonly #signal: AbortSignal

  constructor(client: KafkaClient, options: PreflightOptions, signal: AbortSignal) {
    this.#client = client
    this.#options = options
    this.#signal = signal
  }

  async topicProblems(): Promise<readonly Problem[]> {
    const { names, patterns, isWanted } = this.#options
    const seen = await this.#client.topics(null, this.#signal)
    const all = seen.map(({ name }) => name)
    const said = await this.#client.topicErrors(names, this.#signal)
    const problems: Problem[] = []
    for (const [name, error] of said) {
      if (error === null || error === 'LEADER_NOT_AVAILABLE') continue
      problems.push(this.#topicProblem(name, error, all))
    }
    for (const pattern of patterns) {
      if (!all.some((name) => !isInternal(name) && matchTopic(pattern, name))) {
        problems.push(patternProblem(pattern))
      }
    }
    const topics = seen.filter(({ name }) => said.has(name) || isWanted(name))
    const refused = await this.#refused(topics)
    for (const name of refused) problems.push(this.#denied(`read topic ${name}`, { topic: name }))
    this.readable = topics.map(({ name }) => name).filter((name) => !refused.has(name))
    return problems
  }

  async groupProblems(): Promise<readonly Problem[]> {
    const { group, groupIsNeeded } = this.#options
    if (group === null) return []
    const severity = groupIsNeeded ? 'error' : 'warning'
    try {
      const refusal = await this.#client.groupRefusal(group, this.#signal)
      if (refusal === null) return []
      return [{ ...this.#denied(`use group ${group}`, { group }), severity }]
    } catch (error) {
      this.#signal.throwIfAborted()
      const code = error instanceof SluiceError ? error.code : null
      // The first use of groups in a cluster: their topic is being made.
      if (code === 'source.kafka.busy') return []
      const isDenied = code === 'source.kafka.denied'
      if (isDenied) return [{ ...this.#denied(`use group ${group}`, { group }), severity }]
      return [problemOf(error, severity)]
    }
  }

  #topicProblem(name: string, error: string, all: readonly string[]): Problem {
    if (error === 'TOPIC_AUTHORIZATION_FAILED') {
      return this.#denied(`look at topic ${name}`, { topic: name })
    }
    if (error === 'INVALID_TOPIC_EXCEPTION') {
      return {
        code: 'source.kafka.topic_missing',
        severity: 'error',
        message: `${name} is no name that a topic can have.`,
        remedy: 'Correct the name in `topics`: letters, digits, dots, hyphens and underscores.',
      }
    }
    const near = didYouMean(name, all)
    return {
      code: 'source.kafka.topic_missing',
      severity: 'error',
      message: `Topic ${name} does not exist${near === null ? '.' : `; ${near}`}`,
      remedy: `Correct the name in \`topics\`, or: kafka-topics --bootstrap-server <broker> --create --topic "${name}"`,
    }
  }

  /** Those of which a fetch is refused: one partition each tells. */
  async #refused(topics: readonly KafkaTopic[]): Promise<ReadonlySet<string>> {
    const refused = new Set<string>()
    for (const leader of new Set(topics.map(({ partitions }) => leaderOf(partitions)))) {
      if (leader === null) continue
      const own = topics.filter(({ partitions }) => leaderOf(partitions) === leader)
      const asked = own.map(({ name, partitions }) => ({
        topic: name,
        partition: partitions.find((one) => one.leader === leader)!.partition,
        offset: 0n,
        maxBytes: 1,
      }))
      const limits = { minBytes: 0, maxBytes: 1, maxWaitMs: 0 }
      for (const { topic, error } of await this.#client.fetch(
        leader,
        asked,
        limits,
        this.#signal,
      )) {
        if (error === 'TOPIC_AUTHORIZATION_FAILED') refused.add(topic)
      }
    }
    return refused
  }

  #denied(what: string, about: { readonly topic?: string; readonly group?: string }): Problem {
    const { user } = this.#client
    return {
      code: 'source.kafka.denied',
      severity: 'error',
      message: `${user === null ? 'This client' : `User ${user}`} may not ${what}.`,
      remedy: allow({ what, user, ...about }),
    }
  }
}

/** No mistake for sure: topics that it finds may be made later. */
function patternProblem(pattern: string): Problem {
  return {
    code: 'source.kafka.topic_missing',
    severity: 'warning',
    message: `No topic that this user may see fits the pattern ${pattern} yet.`,
    remedy: 'Nothing, where such topics are made later; otherwise correct the pattern in `topics`.',
  }
}

function leaderOf(partitions: KafkaTopic['partitions']): number | null {
  return partitions.find(({ leader }) => leader !== null)?.leader ?? null
}

function problemOf(thrown: unknown, severity: Problem['severity']): Problem {
  if (!(thrown instanceof SluiceError)) throw thrown
  const { code, message, remedy } = thrown
  return { code, severity, message, remedy }
}

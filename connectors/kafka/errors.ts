/**
 * Kafka's errors and those of its client libraries → codes: one table. By Kafka's own names of them (protocol guide,
 * "Error Codes"); by Node's codes for sockets and TLS; by the libraries' classes for the rest.
 */
import { socketFault } from '../../core/connector/socket-error.ts'
import type { Code } from '../../core/errors/codes.ts'
import { SluiceError } from '../../core/errors/error.ts'

const byName: Readonly<Partial<Record<Code, readonly string[]>>> = {
  'source.kafka.auth': [
    'SASL_AUTHENTICATION_FAILED',
    'UNSUPPORTED_SASL_MECHANISM',
    'ILLEGAL_SASL_STATE',
  ],
  'source.kafka.denied': [
    'TOPIC_AUTHORIZATION_FAILED',
    'GROUP_AUTHORIZATION_FAILED',
    'CLUSTER_AUTHORIZATION_FAILED',
    'TRANSACTIONAL_ID_AUTHORIZATION_FAILED',
  ],
  'source.kafka.version': ['UNSUPPORTED_VERSION', 'UNSUPPORTED_COMPRESSION_TYPE'],
  'source.kafka.protocol': ['INVALID_REQUEST', 'INVALID_TOPIC_EXCEPTION', 'INVALID_GROUP_ID'],
  'source.kafka.corrupt': ['CORRUPT_MESSAGE'],
  'source.kafka.no_leader': [
    'LEADER_NOT_AVAILABLE',
    'NOT_LEADER_OR_FOLLOWER',
    'REPLICA_NOT_AVAILABLE',
    'FENCED_LEADER_EPOCH',
    'UNKNOWN_LEADER_EPOCH',
    'OFFSET_NOT_AVAILABLE',
    'PREFERRED_LEADER_NOT_AVAILABLE',
    // While it moves, or is being made or removed: whoever follows the topics tells which.
    'UNKNOWN_TOPIC_OR_PARTITION',
    'UNKNOWN_TOPIC_ID',
    'INCONSISTENT_TOPIC_ID',
  ],
  'source.kafka.group_in_use': [
    'UNKNOWN_MEMBER_ID',
    'ILLEGAL_GENERATION',
    'REBALANCE_IN_PROGRESS',
    'GROUP_SUBSCRIBED_TO_TOPIC',
    'STALE_MEMBER_EPOCH',
    'FENCED_MEMBER_EPOCH',
    'NON_EMPTY_GROUP',
  ],
  'source.kafka.busy': [
    'REQUEST_TIMED_OUT',
    'BROKER_NOT_AVAILABLE',
    'COORDINATOR_LOAD_IN_PROGRESS',
    'COORDINATOR_NOT_AVAILABLE',
    'NOT_COORDINATOR',
    'NOT_CONTROLLER',
    'NETWORK_EXCEPTION',
    'KAFKA_STORAGE_ERROR',
    'THROTTLING_QUOTA_EXCEEDED',
    'UNSTABLE_OFFSET_COMMIT',
    'OFFSET_MOVED_TO_TIERED_STORAGE',
    'NOT_ENOUGH_REPLICAS',
  ],
}

const codeOfName: ReadonlyMap<string, Code> = new Map(
  Object.entries(byName).flatMap(([code, names]) =>
    (names ?? []).map((name): [string, Code] => [name, code as Code]),
  ),
)

/** What was said about TLS; a socket's own code says only that it was reset. */
const tlsText =
  /secure TLS connection was established|TLS handshake failed|requires TLS|wrong version number|certificate|SSL routines|\balert\b/i
/** The libraries' words for a connection that ended, in a login too: that is no refusal. */
const endedText = /clos(ed|ing)|timed out|timeout|Not connected|socket hang up|ECONN|EPIPE/i
const loginText = /SASL|mechanism is not supported|authentication|nonce|server signature/i

/** What it is about, for the command that allows it. */
export interface About {
  /** `read topic orders`: goes on after "Could not". */
  readonly what: string
  readonly topic?: string
  readonly group?: string
  /** The name that logs in; null = nobody does. */
  readonly user?: string | null
}

/** An error that a broker answered with, by Kafka's own name of it. */
export function brokerError(name: string, about: About): SluiceError {
  const code = codeOfName.get(name) ?? 'source.kafka.server'
  const message = `Could not ${about.what}: the broker answered ${name}.`
  const remedy = code === 'source.kafka.denied' ? allow(about, name) : null
  return new SluiceError(code, { message, ...(remedy === null ? {} : { remedy }) })
}

/** The command that cures it, ready to copy but for the address. */
export function allow({ topic, group, user }: About, name = ''): string {
  const principal = `User:${user ?? 'ANONYMOUS'}`
  const tool = `kafka-acls --bootstrap-server <broker> --add --allow-principal "${principal}"`
  if (group !== undefined && name !== 'TOPIC_AUTHORIZATION_FAILED')
    return `${tool} --operation Read --group "${group}"`
  if (topic !== undefined) return `${tool} --operation Read --topic "${topic}"`
  return `${tool} --operation Describe --cluster`
}

/** Anything thrown by a library while doing `what` ("reach the broker at db:9092"). */
export function clientError(thrown: unknown, what: string): SluiceError {
  const chain = chainOf(thrown)
  const own = chain.find((error) => error instanceof SluiceError)
  if (own !== undefined) return own
  return new SluiceError(classify(chain), {
    message: `Could not ${what}: ${reasonOf(chain)}.`,
    cause: thrown,
  })
}

function classify(chain: readonly Error[]): Code {
  for (const error of chain) {
    const name = fieldOf(error, 'apiId') ?? fieldOf(error, 'type')
    const known = name === null ? undefined : codeOfName.get(name)
    if (known !== undefined) return known
  }
  const said = chain.map(({ message }) => message)
  if (said.some((message) => tlsText.test(message))) return 'source.kafka.tls'
  const codes = chain.map((error) => fieldOf(error, 'code') ?? '')
  if (codes.some((code) => socketFault(code) === 'tls')) return 'source.kafka.tls'
  if (codes.some((code) => socketFault(code) === 'connection')) return 'source.kafka.unreachable'
  if (endedText.test(said.at(-1)!)) return 'source.kafka.unreachable'
  if (said.some((message) => loginText.test(message))) return 'source.kafka.auth'
  return 'source.kafka.unreachable'
}

/** The innermost says most. */
function reasonOf(chain: readonly Error[]): string {
  const error = chain.at(-1)
  const text = error?.message ?? 'unknown'
  const code = error === undefined ? null : fieldOf(error, 'code')
  const said = text === '' && code !== null ? code : text
  return said.replace(/^Connection error: /, '').replace(/[.\s]+$/, '')
}

/** The error, its causes, and what is gathered in it, outermost first. */
function chainOf(thrown: unknown): readonly Error[] {
  const chain: Error[] = []
  const pending: unknown[] = [thrown]
  while (pending.length > 0 && chain.length < 16) {
    const error = pending.shift()
    if (!(error instanceof Error) || chain.includes(error)) continue
    chain.push(error)
    if (error instanceof AggregateError) pending.push(...(error.errors as unknown[]))
    pending.push(error.cause)
  }
  return chain.length === 0 ? [new Error(String(thrown))] : chain
}

function fieldOf(error: Error, name: 'apiId' | 'type' | 'code'): string | null {
  const value = (error as unknown as Readonly<Record<string, unknown>>)[name]
  return typeof value === 'string' ? value : null
}

/**
 * A link: one connection to one broker, logged in, that carries requests and answers. It is what a client library
 * is needed for: sockets, TLS, SASL, framing, correlation. What is in the requests is ours (wire/), so that
 * both libraries speak the same versions and record batches come as they are.
 */
import type { Address } from './broker-address.ts'
import type { Encoded, Versions } from './wire/api.ts'

export interface Link extends AsyncDisposable {
  /** Closed links stay closed. */
  readonly isOpen: boolean
  /** Before any other request but ApiVersions; at once where nobody logs in, or `connect` did that. */
  login(versions: Versions): Promise<void>
  /** Takes the memory of an answer back that was read; null where it is not the answer's own. */
  readonly reuse: ((memory: ArrayBuffer) => void) | null
  /** The answer behind its correlation id; belongs to the caller. Rejects with what the library throws. */
  send(request: Encoded): Promise<Buffer>
}

/** Its disposal ends what it logs in with; links are others'. */
export interface Transport extends AsyncDisposable {
  /** Rejects with what the library throws. */
  connect(address: Address): Promise<Link>
}

export const connectTimeoutMs = 10_000
export const requestTimeoutMs = 30_000
/** What brokers' logs and quotas know this client by. */
export const clientId = 'sluice'

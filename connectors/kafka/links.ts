/**
 * Links to brokers, opened when first used and kept. A broker answers the requests of one connection one after
 * the other, and a fetch may wait there for data: so each broker has one link for fetches, and one for
 * everything else.
 */
import { SluiceError } from '../../core/errors/error.ts'
import { addressOf, type Address } from './broker-address.ts'
import { brokerError, clientError } from './errors.ts'
import type { Link, Transport } from './link.ts'
import {
  apiVersions,
  commonVersion,
  decode,
  encode,
  noCommonVersion,
  type Api,
  type Versions,
} from './wire/api.ts'
import { errorName } from './wire/error-names.ts'
import { saslHandshake } from './wire/sasl.ts'

export type Purpose = 'fetch' | 'other'

/** Calls to one broker over one link. */
export class BrokerCalls {
  readonly where: string
  readonly versions: Versions
  readonly #link: Link

  constructor(where: string, versions: Versions, link: Link) {
    this.where = where
    this.versions = versions
    this.#link = link
  }

  get isOpen(): boolean {
    return this.#link.isOpen
  }

  /** As Link's. */
  get reuse(): Link['reuse'] {
    return this.#link.reuse
  }

  /** −1 = none that both know. */
  version(api: Api<never, unknown>): number {
    return commonVersion(api, this.versions)
  }

  /** Throws `unreachable`, `tls`, `auth`, `version` or `protocol`; an error in the answer is the caller's. */
  async call<Request, Answer>(
    api: Api<Request, Answer>,
    request: Request,
    version = this.version(api),
  ): Promise<Answer> {
    if (version < 0) throw noCommonVersion(api.name, this.where)
    const encoded = encode(api, request, version)
    let answer: Buffer
    try {
      answer = await this.#link.send(encoded)
    } catch (error) {
      // Nobody knows what else would still come on it.
      await this.close()
      throw clientError(error, `get an answer of the broker at ${this.where}`)
    }
    return decode(api, answer, encoded)
  }

  async close(): Promise<void> {
    await this.#link[Symbol.asyncDispose]()
  }
}

export class Links implements AsyncDisposable {
  readonly #transport: Transport
  readonly #logsIn: boolean
  readonly #open = new Map<string, Promise<BrokerCalls>>()
  readonly #closing = new Set<Promise<void>>()
  #isEnded = false

  constructor(transport: Transport, logsIn: boolean) {
    this.#transport = transport
    this.#logsIn = logsIn
  }

  /** One that is open, or a new one. Throws as BrokerCalls.call does. */
  async to(address: Address, purpose: Purpose): Promise<BrokerCalls> {
    const name = `${purpose} ${addressOf(address)}`
    const kept = this.#open.get(name)
    if (kept !== undefined) {
      // One that could not be opened has told those who waited for it, and is gone from the map.
      const calls = await kept
      if (calls.isOpen) return calls
      if (this.#open.get(name) === kept) this.#open.delete(name)
      return this.to(address, purpose)
    }
    if (this.#isEnded)
      throw new SluiceError('source.kafka.unreachable', { message: 'The driver was closed.' })
    const opening = this.#connect(address)
    this.#open.set(name, opening)
    try {
      return await opening
    } catch (error) {
      if (this.#open.get(name) === opening) this.#open.delete(name)
      throw error
    }
  }

  /** Ends the link, and with it what waits for its answer; the disposal waits until that is done. */
  end(address: Address, purpose: Purpose): void {
    const name = `${purpose} ${addressOf(address)}`
    const closing = close(this.#open.get(name)).finally(() => this.#closing.delete(closing))
    this.#open.delete(name)
    this.#closing.add(closing)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isEnded = true
    const open = [...this.#open.values()]
    this.#open.clear()
    await Promise.all([...open.map(close), ...this.#closing])
    await this.#transport[Symbol.asyncDispose]()
  }

  async #connect(address: Address): Promise<BrokerCalls> {
    const where = addressOf(address)
    let link: Link | null = null
    try {
      link = await this.#transport.connect(address)
      const versions = await askVersions(link, where)
      const calls = new BrokerCalls(where, versions, link)
      if (!this.#logsIn) await refuseLoginWanted(calls)
      await link.login(versions)
      return calls
    } catch (error) {
      await link?.[Symbol.asyncDispose]()
      throw clientError(error, `connect to the broker at ${where}`)
    }
  }
}

async function close(opening: Promise<BrokerCalls> | undefined): Promise<void> {
  // What could not be opened told those who asked for it.
  const calls = await opening?.catch(() => undefined)
  await calls?.close()
}

async function askVersions(link: Link, where: string): Promise<Versions> {
  const request = encode(apiVersions, null, 0)
  const { error, versions } = decode(apiVersions, await link.send(request), request)
  if (error === 0) return versions
  throw brokerError(errorName(error)!, { what: `learn the versions of the broker at ${where}` })
}

/**
 * A listener that wants a login ends the connection at the first request without one, which looks like a
 * broker that went down. A handshake is answered by both kinds, and refused by those that want none.
 */
async function refuseLoginWanted(calls: BrokerCalls): Promise<void> {
  if (calls.version(saslHandshake) < 0) return
  const { error, mechanisms } = await calls.call(saslHandshake, 'NONE')
  if (errorName(error) !== 'UNSUPPORTED_SASL_MECHANISM') return
  throw new SluiceError('source.kafka.auth', {
    message: `The broker at ${calls.where} wants a login, and \`sasl\` is not set.`,
    remedy: `Set \`sasl\`, with one of the listener’s mechanisms: ${mechanisms.join(', ')}.`,
  })
}

/**
 * The driver on kafkajs: its connection (network/connection), below the consumer that would decode records into
 * objects. Requests bring their own encoding, answers come as bytes. Speaks to Kafka 0.10 and later: its SASL
 * knows the form before 1.0, when the login was not yet a request.
 */
import { createRequire } from 'node:module'
import { connect, isIP, type Socket } from 'node:net'
import { connect as connectTls, type ConnectionOptions } from 'node:tls'
import type { Logger, SASLOptions } from 'kafkajs'
import type { Address } from './broker-address.ts'
import { clientId, connectTimeoutMs, requestTimeoutMs, type Link, type Transport } from './link.ts'
import type { Credentials } from './security.ts'
import type { Encoded, Versions } from './wire/api.ts'

/** What is used of kafkajs' own connection, which it has no types for (2.2.4, src/network/connection.js). */
interface KafkajsConnection {
  isConnected(): boolean
  connect(): Promise<boolean>
  authenticate(): Promise<void>
  disconnect(): Promise<boolean>
  setVersions(versions: object): void
  setSupportAuthenticationProtocol(isSupported: boolean): void
  send(call: {
    readonly request: object
    readonly response: object
    readonly logResponseError: boolean
  }): Promise<Buffer>
  rejectRequests(error: Error): void
  readonly socket?: Socket
}
type ConnectionClass = new (options: object) => KafkajsConnection

const load = createRequire(import.meta.url)
const saslAuthenticateKey = 36

const silent: Logger = {
  namespace: () => silent,
  setLogLevel: () => {},
  info: () => {},
  error: () => {},
  warn: () => {},
  debug: () => {},
}

export class KafkajsTransport implements Pick<Transport, 'connect'> {
  readonly #credentials: Credentials
  readonly #class = load('kafkajs/src/network/connection') as ConnectionClass

  constructor(credentials: Credentials) {
    this.#credentials = credentials
  }

  async connect(address: Address): Promise<Link> {
    const { tls, sasl } = this.#credentials
    const sniffed: Sniffed = { error: null }
    const connection = new this.#class({
      ...address,
      clientId,
      logger: silent,
      requestTimeout: requestTimeoutMs,
      connectionTimeout: connectTimeoutMs,
      ssl: tls,
      sasl: sasl === null ? null : saslOf(this.#credentials),
      socketFactory: ({ onConnect }: { readonly onConnect: () => void }) =>
        openSocket(address, tls, onConnect, sniffed),
    })
    const link = new KafkajsLink(connection, sniffed)
    try {
      await connection.connect()
      return link
    } catch (error) {
      await link[Symbol.asyncDispose]()
      throw sniffed.error ?? error
    }
  }
}

interface Sniffed {
  error: Error | null
}

class KafkajsLink implements Link {
  readonly #connection: KafkajsConnection
  readonly #sniffed: Sniffed

  constructor(connection: KafkajsConnection, sniffed: Sniffed) {
    this.#connection = connection
    this.#sniffed = sniffed
  }

  get isOpen(): boolean {
    return this.#connection.isConnected()
  }

  async login(versions: Versions): Promise<void> {
    const ranges = [...versions].map(([key, { min, max }]) => [
      key,
      { minVersion: min, maxVersion: max },
    ])
    this.#connection.setVersions(Object.fromEntries(ranges) as object)
    this.#connection.setSupportAuthenticationProtocol(versions.has(saslAuthenticateKey))
    await this.#connection.authenticate()
  }

  async send({ name, key, version, body }: Encoded): Promise<Buffer> {
    try {
      return await this.#connection.send({
        request: {
          apiKey: key,
          apiVersion: version,
          apiName: name,
          encode: () => Promise.resolve({ buf: body, buffer: body }),
        },
        // Its decoder of records never sees the answer.
        response: {
          decode: (bytes: Buffer) => Promise.resolve(bytes),
          parse: (bytes: Buffer) => Promise.resolve(bytes),
        },
        logResponseError: false,
      })
    } catch (error) {
      throw this.#sniffed.error ?? error
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const { socket } = this.#connection
    // Its disconnect waits for all answers: what is on its way is not wanted any more.
    this.#connection.rejectRequests(new Error('The connection was closed'))
    await this.#connection.disconnect()
    socket?.destroy()
  }
}

function openSocket(
  { host, port }: Address,
  tls: ConnectionOptions | null,
  onConnect: () => void,
  sniffed: Sniffed,
): Socket {
  const servername = tls?.servername ?? (isIP(host) === 0 ? host : undefined)
  const named = servername === undefined ? {} : { servername }
  const socket =
    tls === null
      ? connect({ host, port }, onConnect)
      : connectTls({ ...tls, ...named, host, port }, onConnect)
  socket.setNoDelay(true)
  socket.setKeepAlive(true, 60_000)
  if (tls === null) {
    // An alert of TLS would be taken for the length of an answer of 352 MB, and waited for.
    socket.once('data', (bytes: Buffer) => {
      if (!isTlsRecord(bytes)) return
      sniffed.error = new Error('the broker requires TLS on this port')
      socket.destroy(sniffed.error)
    })
  }
  return socket
}

/** As kafkajs reads it; its own type leaves the extensions out. */
interface BearerToken {
  readonly value: string
  readonly extensions: Readonly<Record<string, string>>
}

/** Kinds 20 to 23 of SSL 3.0 to TLS 1.3 (RFC 8446, 5.1). */
function isTlsRecord(bytes: Uint8Array): boolean {
  const [kind = 0, major = 0, minor = 255] = bytes
  return kind >= 20 && kind <= 23 && major === 3 && minor <= 4
}

function saslOf({ sasl, token }: Credentials): SASLOptions | null {
  if (sasl === null) return null
  if (sasl.mechanism === 'oauthbearer') {
    const { extensions } = sasl
    const oauthBearerProvider = async (): Promise<BearerToken> => {
      return { value: await token(), extensions }
    }
    return { mechanism: 'oauthbearer', oauthBearerProvider }
  }
  const { mechanism, username, password } = sasl
  return { mechanism, username, password: password.reveal() }
}

/**
 * The driver on kafkajs: its connection (network/connection), below the consumer that would decode records into
 * objects. Requests bring their own encoding, answers come as bytes. Speaks to Kafka 0.10.1 and later: its SASL
 * knows the form before 1.0, when the login was not yet a request.
 */
import { createRequire } from 'node:module'
import { connect, isIP, type Socket } from 'node:net'
import { connect as connectTls, type ConnectionOptions } from 'node:tls'
import type { Logger, Mechanism, SASLOptions } from 'kafkajs'
import { AnswerReader } from './answer-reader.ts'
import type { Address } from './broker-address.ts'
import { clientId, connectTimeoutMs, requestTimeoutMs, type Link, type Transport } from './link.ts'
import { tokenRefusal, type Credentials } from './security.ts'
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
  readonly requestQueue: { scheduleCheckPendingRequests: () => void }
  readonly socket?: Socket
  chunks: readonly Buffer[]
  readonly bytesBuffered: number
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
    const ended: Ended = { error: null }
    const connection = new this.#class({
      ...address,
      clientId,
      logger: silent,
      requestTimeout: requestTimeoutMs,
      connectionTimeout: connectTimeoutMs,
      ssl: tls,
      sasl: sasl === null ? null : saslOf(this.#credentials),
      socketFactory: ({ onConnect }: { readonly onConnect: () => void }) =>
        openSocket({ address, tls, onConnect, onread: answers.onread, ended }),
    })
    const answers = new AnswerReader({
      isPlain: tls === null,
      take: (answer) => {
        // It keeps nothing as a chunk too, and copies a whole answer that comes behind it.
        if (connection.bytesBuffered === 0) connection.chunks = []
        connection.socket?.push(answer)
      },
      refuse: (error) => {
        ended.error ??= error
        connection.socket?.destroy(error)
      },
    })
    // Nothing ever waits in its queue: it is told no limit and no throttling. It would set a timer after each
    // answer to look there, for a time that is long past, which Node warns of on standard error.
    connection.requestQueue.scheduleCheckPendingRequests = () => {}
    const link = new KafkajsLink(connection, answers, ended)
    try {
      await connection.connect()
      return link
    } catch (error) {
      await link[Symbol.asyncDispose]()
      throw ended.error ?? error
    }
  }
}

/** Why the connection ended, as far as anybody said. */
interface Ended {
  error: Error | null
}

class KafkajsLink implements Link {
  readonly reuse: Link['reuse']
  readonly #connection: KafkajsConnection
  readonly #ended: Ended

  constructor(connection: KafkajsConnection, answers: AnswerReader, ended: Ended) {
    this.reuse = (memory) => answers.reuse(memory)
    this.#connection = connection
    this.#ended = ended
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
      throw this.#ended.error ?? error
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

interface SocketOptions {
  readonly address: Address
  readonly tls: ConnectionOptions | null
  readonly onConnect: () => void
  readonly onread: AnswerReader['onread']
  readonly ended: Ended
}

function openSocket({ address, tls, onConnect, onread, ended }: SocketOptions): Socket {
  const { host, port } = address
  const servername = tls?.servername ?? (isIP(host) === 0 ? host : undefined)
  const named = servername === undefined ? {} : { servername }
  // Node's types do not know that `onread` is for TLS too.
  const encrypted = { ...tls, ...named, host, port, onread }
  const socket: Socket =
    tls === null ? connect({ host, port, onread }, onConnect) : connectTls(encrypted, onConnect)
  socket.setNoDelay(true)
  socket.setKeepAlive(true, 60_000)
  // The library hears of an alert after the handshake, and tells those who wait only that it was closed.
  socket.once('error', (error) => {
    ended.error ??= error
  })
  return socket
}

/**
 * The library's own provider of tokens does not look at the answer, in which a refusal comes (RFC 7628, 3.2.2):
 * the login would seem to be done, and the next request end the connection.
 */
function bearer(
  extensions: Readonly<Record<string, string>>,
  token: () => Promise<string>,
): Mechanism['authenticationProvider'] {
  return ({ saslAuthenticate }) => ({
    authenticate: async () => {
      const pairs = Object.entries(extensions).map(([name, value]) => `${name}=${value}\x01`)
      const message = Buffer.from(`n,,\x01auth=Bearer ${await token()}\x01${pairs.join('')}\x01`)
      await saslAuthenticate({
        request: { encode: () => sized(message) },
        response: {
          // The library puts the length before it, which went with the answer.
          decode: (bytes) => bytes.subarray(4),
          parse: (answer) => {
            const refusal = tokenRefusal(answer)
            if (refusal !== null) throw refusal
          },
        },
      })
    },
  })
}

/** As the library hands such messages on: the length first. */
function sized(message: Buffer): Buffer {
  const bytes = Buffer.allocUnsafe(4 + message.length)
  bytes.writeInt32BE(message.length)
  message.copy(bytes, 4)
  return bytes
}

function saslOf({ sasl, token }: Credentials): SASLOptions | Mechanism | null {
  if (sasl === null) return null
  if (sasl.mechanism === 'oauthbearer') {
    return { mechanism: 'oauthbearer', authenticationProvider: bearer(sasl.extensions, token) }
  }
  const { mechanism, username, password } = sasl
  // Its type wants one mechanism at a time.
  return { mechanism, username, password: password.reveal() } as SASLOptions
}

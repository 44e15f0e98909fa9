/**
 * The driver on @platformatic/kafka: its connection, below the consumer that would decode records into objects.
 * Requests bring their own encoding, answers come as bytes. Logs in to Kafka 1.0 and later.
 */
import type { ConnectionOptions } from 'node:tls'
import type { Connection, SASLOptions } from '@platformatic/kafka'
import type { Address } from './broker-address.ts'
import { clientId, connectTimeoutMs, requestTimeoutMs, type Link, type Transport } from './link.ts'
import type { Credentials } from './security.ts'
import type { Encoded } from './wire/api.ts'

type Library = typeof import('@platformatic/kafka')

export class PlatformaticTransport implements Pick<Transport, 'connect'> {
  readonly #credentials: Credentials
  readonly #library: Library

  private constructor(credentials: Credentials, library: Library) {
    this.#credentials = credentials
    this.#library = library
  }

  /** The library is loaded only where it is used: it brings registries and validators along. */
  static async load(credentials: Credentials): Promise<PlatformaticTransport> {
    return new PlatformaticTransport(credentials, await import('@platformatic/kafka'))
  }

  async connect({ host, port }: Address): Promise<Link> {
    const { tls } = this.#credentials
    const sasl = saslOf(this.#credentials)
    const connection = new this.#library.Connection(clientId, {
      connectTimeout: connectTimeoutMs,
      requestTimeout: requestTimeoutMs,
      ...(tls === null ? {} : { tls, ...serverNameOf(tls) }),
      ...(sasl === null ? {} : { sasl }),
    })
    // What ends a connection is told to those who wait for an answer; without a listener it would be thrown.
    connection.on('error', () => {})
    try {
      await connection.connect(host, port)
    } catch (error) {
      await connection.close()
      connection.socket.destroy()
      throw error
    }
    return new PlatformaticLink(connection, this.#library)
  }
}

class PlatformaticLink implements Link {
  readonly #connection: Connection
  readonly #library: Library

  constructor(connection: Connection, library: Library) {
    this.#connection = connection
    this.#library = library
  }

  get isOpen(): boolean {
    return this.#connection.isConnected()
  }

  /** Done by `connect`. */
  login(): Promise<void> {
    return Promise.resolve()
  }

  send({ key, version, body }: Encoded): Promise<Buffer> {
    const payload = (): InstanceType<Library['Writer']> =>
      this.#library.Writer.create().append(body)
    return new Promise((resolve, reject) => {
      this.#connection.send<Buffer>(
        key,
        version,
        payload,
        // A copy in one piece: the library's own memory is used for the next answer.
        (_correlation, _key, _version, { buffer, position }) => buffer.slice(position),
        false,
        false,
        (error, bytes) => {
          if (bytes === undefined) reject(error ?? new Error('no answer'))
          else resolve(bytes)
        },
      )
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const { socket } = this.#connection
    const closed = this.#connection.close()
    // It would wait for what is being written; nobody waits for the answer.
    socket.destroy()
    await closed
  }
}

/** The library sets the name of SNI only when told to. An IP address cannot be one (RFC 6066, 3). */
function serverNameOf(tls: ConnectionOptions): { readonly tlsServerName?: string | boolean } {
  return { tlsServerName: tls.servername ?? true }
}

function saslOf({ sasl, token }: Credentials): SASLOptions | null {
  if (sasl === null) return null
  if (sasl.mechanism === 'oauthbearer') {
    return { mechanism: 'OAUTHBEARER', token, oauthBearerExtensions: { ...sasl.extensions } }
  }
  const { username, password } = sasl
  const mechanism = sasl.mechanism.toUpperCase() as 'PLAIN' | 'SCRAM-SHA-256' | 'SCRAM-SHA-512'
  return { mechanism, username, password: password.reveal() }
}

/**
 * The driver on @platformatic/kafka: its connection, below the consumer that would decode records into objects.
 * Requests bring their own encoding, answers come as bytes. Logs in to Kafka 1.0 and later.
 */
import { isIP } from 'node:net'
import type { ConnectionOptions } from 'node:tls'
import type { Connection, SASLOptions } from '@platformatic/kafka'
import type { Address } from './broker-address.ts'
import { clientId, connectTimeoutMs, requestTimeoutMs, type Link, type Transport } from './link.ts'
import { tokenRefusal, type Credentials } from './security.ts'
import { refuseTls } from './tls-sniffer.ts'
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
      ...(tls === null ? {} : { tls: named(tls, host) }),
      ...(sasl === null ? {} : { sasl }),
    })
    const ended: Ended = { error: null }
    // It tells those who wait for an answer only that it was closed; without a listener it would be thrown.
    connection.on('error', (error) => {
      ended.error ??= error
    })
    try {
      const connecting = connection.connect(host, port)
      if (tls === null) refuseTls(connection.socket, ended)
      await connecting
    } catch (error) {
      await connection.close()
      connection.socket.destroy()
      throw ended.error ?? error
    }
    return new PlatformaticLink(connection, this.#library, ended)
  }
}

/** Why the connection ended, as far as anybody said. */
interface Ended {
  error: Error | null
}

class PlatformaticLink implements Link {
  readonly reuse = null
  readonly #connection: Connection
  readonly #library: Library
  readonly #ended: Ended

  constructor(connection: Connection, library: Library, ended: Ended) {
    this.#connection = connection
    this.#library = library
    this.#ended = ended
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
          if (bytes === undefined) reject(this.#ended.error ?? error ?? new Error('no answer'))
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

/** The library sets no name for SNI by itself. An IP address cannot be one (RFC 6066, 3). */
function named(tls: ConnectionOptions, host: string): ConnectionOptions {
  return tls.servername !== undefined || isIP(host) !== 0 ? tls : { ...tls, servername: host }
}

function saslOf({ sasl, token }: Credentials): SASLOptions | null {
  if (sasl === null) return null
  if (sasl.mechanism === 'oauthbearer') {
    return {
      mechanism: 'OAUTHBEARER',
      token,
      oauthBearerExtensions: { ...sasl.extensions },
      // A refusal comes as an answer (RFC 7628, 3.2.2), which the library does not look at by itself.
      authBytesValidator: (answer, callback) => {
        const refusal = tokenRefusal(answer)
        if (refusal === null) callback(null, answer)
        else callback(refusal)
      },
    }
  }
  const { username, password } = sasl
  const mechanism = sasl.mechanism.toUpperCase() as 'PLAIN' | 'SCRAM-SHA-256' | 'SCRAM-SHA-512'
  return { mechanism, username, password: password.reveal() }
}

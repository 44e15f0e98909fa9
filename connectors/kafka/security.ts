/** What the drivers log in with, made of the configuration: TLS options as Node wants them, and who it is. */
import { createSecureContext, type ConnectionOptions } from 'node:tls'
import { SluiceError } from '../../core/errors/error.ts'
import type { SaslConfig, Security, TlsConfig } from './security-config.ts'
import { TokenSource } from './token-source.ts'

export interface Credentials {
  /** null = no TLS. */
  readonly tls: ConnectionOptions | null
  /** null = nobody logs in. */
  readonly sasl: SaslConfig | null
  /** Of `oauthbearer`, for each login anew. */
  readonly token: () => Promise<string>
}

/** Throws `source.kafka.tls` where certificates or key cannot be read. */
export function credentialsOf(
  { tls, sasl }: Security,
  nowMs: () => number,
): Credentials & AsyncDisposable {
  const source = sasl?.mechanism === 'oauthbearer' ? new TokenSource(sasl, nowMs) : null
  return {
    tls: tlsOptions(tls),
    sasl: sasl ?? null,
    token: () => source?.token() ?? Promise.resolve(''),
    [Symbol.asyncDispose]: async () => source?.[Symbol.asyncDispose](),
  }
}

/** How brokers call this client in their ACLs; null where the certificate or nobody says. */
export function userOf({ sasl }: Pick<Credentials, 'sasl'>): string | null {
  return sasl === null || sasl.mechanism === 'oauthbearer' ? null : sasl.username
}

/** Why the broker refuses the token, by its answer; null = it does not. `status` is one word, as invalid_token. */
export function tokenRefusal(answer: Uint8Array): Error | null {
  if (answer.length === 0) return null
  let status: unknown
  try {
    status = (JSON.parse(Buffer.from(answer).toString()) as { readonly status?: unknown }).status
  } catch {
    return null
  }
  const word = typeof status === 'string' ? status.slice(0, 80) : 'no reason'
  return new Error(`SASL OAUTHBEARER authentication failed: the broker says ${word}`)
}

function tlsOptions(tls: TlsConfig): ConnectionOptions | null {
  if (tls === false) return null
  const { ca, cert, key, passphrase, server_name } = tls === true ? {} : tls
  const options: ConnectionOptions = {
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key: key.reveal() }),
    ...(passphrase === undefined ? {} : { passphrase: passphrase.reveal() }),
    ...(server_name === undefined ? {} : { servername: server_name }),
    rejectUnauthorized: true,
    minVersion: 'TLSv1.2',
  }
  try {
    // Now, and not within a library: a key that does not fit is a mistake in the file, and no broker's.
    createSecureContext(options)
  } catch (error) {
    throw new SluiceError('source.kafka.tls', {
      message: `The certificates or the key under \`tls\` cannot be read: ${(error as Error).message}.`,
      remedy: 'Give PEM text, for example with ${file.ca.pem}, and `cert` and `key` together.',
      cause: error,
    })
  }
  return options
}

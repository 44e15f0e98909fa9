/** `tls:` and `sasl:` of the Kafka source in the pipeline file. */
import { z } from 'zod'
import { durationText } from '../../core/connector/duration.ts'
import { secretText } from '../../core/connector/secret.ts'

const certificates = z
  .strictObject({
    ca: z.string().min(1).optional().meta({
      description:
        'Who signed the brokers’ certificates, in PEM: the text itself, such as ${file.ca.pem}. Default: the authorities that Node knows.',
    }),
    cert: z.string().min(1).optional().meta({
      description: 'Certificate of this client in PEM, where brokers ask for one (mTLS).',
    }),
    key: secretText('Private key of that certificate in PEM.').optional(),
    passphrase: secretText('What the private key is encrypted with.').optional(),
    server_name: z.string().min(1).optional().meta({
      description:
        'The name that all brokers’ certificates have, where it is not the host they are reached at.',
    }),
  })
  .superRefine((config, ctx) => {
    if ((config.cert === undefined) !== (config.key === undefined))
      ctx.addIssue({ code: 'custom', path: ['cert'], message: '`cert` and `key` stand together' })
    if (config.passphrase !== undefined && config.key === undefined)
      ctx.addIssue({
        code: 'custom',
        path: ['passphrase'],
        message: 'a passphrase needs a `key` beside it',
      })
  })

export const tlsConfig = z.union([z.boolean(), certificates]).default(false).meta({
  description:
    'Speak TLS. true: brokers’ certificates are of a public authority. Or what to trust and to show. Certificates and host names are always verified.',
})

const password = {
  username: z.string().min(1).meta({ description: 'Name of the user.' }),
  password: secretText('Password of the user.'),
}

const token = z
  .strictObject({
    mechanism: z.literal('oauthbearer'),
    token: secretText('A token that does not change.').optional(),
    token_url: z
      .url({ protocol: /^https?$/ })
      .optional()
      .meta({
        description:
          'Endpoint that gives tokens by OAuth’s client credentials (RFC 6749, 4.4). A new one is fetched before the old one expires.',
      }),
    client_id: z.string().min(1).optional().meta({ description: 'Who asks for the token.' }),
    client_secret: secretText('Its secret.').optional(),
    scope: z.string().min(1).optional().meta({
      description: 'Scope to ask for, where the endpoint wants one.',
    }),
    ca: z.string().min(1).optional().meta({
      description: 'Who signed the endpoint’s certificate, in PEM, beside those that Node knows.',
    }),
    extensions: z
      .record(z.string().regex(/^[A-Za-z]+$/), z.string())
      .default({})
      .meta({
        description: 'What the broker wants beside the token (RFC 7628), such as logicalCluster.',
        examples: [{ logicalCluster: 'lkc-1' }],
      }),
    timeout: durationText('How long one request for a token may take.', {
      minMs: 100,
      maxMs: 600_000,
    }).prefault('10s'),
  })
  .superRefine((config, ctx) => {
    const issue = (path: string, message: string): void => {
      ctx.addIssue({ code: 'custom', path: [path], message })
    }
    if ((config.token === undefined) === (config.token_url === undefined))
      issue('token', 'either `token` or `token_url`')
    const credentials = [config.client_id, config.client_secret]
    if (config.token_url !== undefined && credentials.includes(undefined))
      issue('token_url', '`token_url` needs `client_id` and `client_secret` beside it')
    if (
      config.token_url === undefined &&
      (credentials.some((one) => one !== undefined) || config.scope !== undefined)
    )
      issue('client_id', '`client_id`, `client_secret` and `scope` belong to `token_url`')
  })

export const saslConfig = z
  .discriminatedUnion('mechanism', [
    z.strictObject({ mechanism: z.literal('plain'), ...password }),
    z.strictObject({ mechanism: z.literal('scram-sha-256'), ...password }),
    z.strictObject({ mechanism: z.literal('scram-sha-512'), ...password }),
    token,
  ])
  .meta({
    description:
      'Who logs in, for listeners of SASL: mechanism plain, scram-sha-256 or scram-sha-512 with username and password, or oauthbearer with a token.',
  })

export type TlsConfig = z.output<typeof tlsConfig>
export type SaslConfig = z.output<typeof saslConfig>
export type TokenConfig = z.output<typeof token>

export interface Security {
  /** false = none. */
  readonly tls: TlsConfig
  readonly sasl?: SaslConfig | undefined
}

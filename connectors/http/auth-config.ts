/**
 * `auth` of a topic that is pushed to: who may send. One scheme, and of its secrets as many as are valid
 * at a time, so that a secret can be exchanged without a request being refused.
 */
import { z } from 'zod'
import { durationText } from '../../core/connector/duration.ts'
import { secretText, type Secret } from '../../core/connector/secret.ts'

/** A secret, or several that are all good: the new one and the one before it. */
function secrets(description: string): z.ZodType<readonly Secret[], string | string[]> {
  const one = secretText(description)
  return z
    .union([one, z.array(secretText(description)).min(1).max(8)])
    .transform((value) => (Array.isArray(value) ? value : [value])) as unknown as z.ZodType<
    readonly Secret[],
    string | string[]
  >
}

const tolerance = durationText(
  'How far the time that is signed may lie from now. A request that was recorded is refused when it is older.',
  { minMs: 1000, maxMs: 86_400_000 },
).prefault('5m')

const headerName = z
  .string()
  .regex(/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/, 'expected the name of a header')
  .transform((name) => name.toLowerCase())

const signed = 'Signing secret as the sender gives it, or a list of them while it is exchanged.'

export const authSchema = z.union([
  z.literal('none').meta({ description: 'Everybody who reaches the server may send.' }),
  z.discriminatedUnion('scheme', [
    z.strictObject({
      scheme: z.literal('standard_webhooks').meta({
        description:
          'Standard Webhooks 1.0.0 (Svix and others): webhook-id, webhook-timestamp, webhook-signature.',
      }),
      secret: secrets(
        'whsec_… (HMAC) or whpk_… (public key, Ed25519), or a list of them while it is exchanged.',
      ),
      tolerance,
    }),
    z.strictObject({
      scheme: z.literal('github').meta({ description: 'X-Hub-Signature-256.' }),
      secret: secrets(signed),
    }),
    z.strictObject({
      scheme: z.literal('stripe').meta({ description: 'Stripe-Signature.' }),
      secret: secrets(signed),
      tolerance,
    }),
    z.strictObject({
      scheme: z.literal('shopify').meta({ description: 'X-Shopify-Hmac-Sha256.' }),
      secret: secrets(signed),
    }),
    z.strictObject({
      scheme: z.literal('slack').meta({ description: 'X-Slack-Signature.' }),
      secret: secrets(signed),
      tolerance,
    }),
    z.strictObject({
      scheme: z
        .literal('hmac')
        .meta({ description: 'Any other HMAC over the body, told by the keys beside it.' }),
      secret: secrets(signed),
      header: headerName.meta({ description: 'Header with the signature.' }),
      algorithm: z.enum(['sha1', 'sha256', 'sha384', 'sha512']).default('sha256').meta({
        description: 'Hash of the HMAC.',
      }),
      encoding: z.enum(['hex', 'base64']).default('hex').meta({
        description: 'How the signature is written; base64 also in its form for URLs.',
      }),
      prefix: z.string().default('').meta({
        description: 'What stands before the signature in the header, such as `sha256=`.',
      }),
      timestamp_header: headerName.optional().meta({
        description:
          'Header with the time in seconds or milliseconds since 1970. It has to be part of what is signed.',
      }),
      signed: z
        .string()
        .regex(
          /^(?:[^{}]|\{timestamp\})*\{body\}(?:[^{}]|\{timestamp\})*$/,
          'expected a text with {body} once and, if need be, {timestamp}',
        )
        .optional()
        .meta({
          description:
            'What is signed. Default: `{body}`, with a `timestamp_header` `{timestamp}.{body}`.',
          examples: ['{timestamp}.{body}'],
        }),
      tolerance,
    }),
    z.strictObject({
      scheme: z.literal('basic').meta({ description: 'User name and password (RFC 7617).' }),
      username: z.string().min(1).meta({ description: 'User name.' }),
      password: secrets('Password, or a list of them while it is exchanged.'),
    }),
    z.strictObject({
      scheme: z.literal('bearer').meta({ description: '`Authorization: Bearer …` (RFC 6750).' }),
      token: secrets('Token, or a list of them.'),
    }),
    z.strictObject({
      scheme: z.literal('api_key').meta({ description: 'A key in a header or in the query.' }),
      key: secrets('Key, or a list of them.'),
      header: headerName.optional().meta({ description: 'Header with the key.' }),
      query: z.string().min(1).optional().meta({
        description:
          'Parameter of the query with the key. Addresses end up in logs of proxies: a header is better.',
      }),
    }),
  ]),
])

export type AuthConfig = z.output<typeof authSchema>
export type SchemeConfig = Exclude<AuthConfig, 'none'>

/** `auth` of a topic that is polled: how Sluice says who it is. */
import { z } from 'zod'
import { secretText } from '../../core/connector/secret.ts'

const headerName = z
  .string()
  .regex(/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/, 'expected the name of a header')
  .transform((name) => name.toLowerCase())

export const pollAuthSchema = z
  .discriminatedUnion('scheme', [
    z.strictObject({
      scheme: z.literal('basic').meta({ description: 'User name and password (RFC 7617).' }),
      username: z.string().meta({ description: 'User name.' }),
      password: secretText('Password.'),
    }),
    z.strictObject({
      scheme: z.literal('bearer').meta({ description: '`Authorization: Bearer …` (RFC 6750).' }),
      token: secretText('Token.'),
    }),
    z.strictObject({
      scheme: z.literal('api_key').meta({ description: 'A key in a header or in the query.' }),
      key: secretText('Key.'),
      header: headerName.optional().meta({ description: 'Header for the key.' }),
      query: z.string().min(1).optional().meta({
        description:
          'Parameter of the query for the key. Addresses end up in logs of proxies: a header is better.',
      }),
    }),
    z.strictObject({
      scheme: z.literal('oauth2').meta({
        description:
          'A token by client credentials (RFC 6749 §4.4), fetched anew before it expires and when it is refused.',
      }),
      token_url: z
        .string()
        .regex(/^https?:\/\/[^/?#@]+/, 'expected an address that begins with https:// or http://')
        .refine((text) => URL.canParse(text), 'is no address')
        .meta({ description: 'Where the token is asked for.' }),
      client_id: z.string().min(1).meta({ description: 'Client.' }),
      client_secret: secretText('Its secret.'),
      scope: z
        .string()
        .min(1)
        .optional()
        .meta({ description: 'Scopes, with blanks between them.' }),
      audience: z.string().min(1).optional().meta({
        description: 'Audience, where the token server wants to be told one.',
      }),
      client_in: z.enum(['header', 'body']).default('header').meta({
        description: 'Where client and secret are sent: as Basic authentication, or in the form.',
      }),
    }),
  ])
  .superRefine((auth, ctx) => {
    if (auth.scheme === 'api_key' && (auth.header === undefined) === (auth.query === undefined)) {
      ctx.addIssue({ code: 'custom', message: 'api_key needs either `header` or `query`' })
    }
  })

export type PollAuthConfig = z.output<typeof pollAuthSchema>

/**
 * `registry:` in the pipeline file: where the schemas of records are kept, and who asks for them. One
 * registry serves all topics of a source that does not say otherwise.
 */
import { z } from 'zod'
import { durationText } from '../../../core/connector/duration.ts'
import { secretText } from '../../../core/connector/secret.ts'

const url = z.string().superRefine((text, ctx) => {
  const parsed = URL.parse(text)
  const isHttp = parsed?.protocol === 'http:' || parsed?.protocol === 'https:'
  // A password in the URL would be shown wherever the URL is.
  if (isHttp && parsed.username === '' && parsed.password === '') return
  ctx.addIssue({
    code: 'custom',
    message:
      'expected http://host:port or https://host:port, with a path where the registry has one, and without a user: `username` and `password` have places of their own',
  })
})

export const registryConfig = z
  .strictObject({
    url: url.meta({
      description:
        'Base URL of a registry with Confluent’s REST API: it ends where /subjects and /schemas begin.',
      examples: ['http://registry:8081', 'http://apicurio:8080/apis/ccompat/v7'],
    }),
    username: z.string().min(1).optional().meta({
      description: 'User of Basic authentication; Confluent Cloud calls it the API key.',
    }),
    password: secretText('Password of Basic authentication.').optional(),
    token: secretText('Bearer token, instead of a user.').optional(),
    ca: z.string().min(1).optional().meta({
      description:
        'Who signed the registry’s certificate, in PEM: the text itself, such as ${file.ca.pem}. Default: the authorities that Node knows.',
    }),
    cert: z.string().min(1).optional().meta({
      description: 'Certificate of this client in PEM, where the registry asks for one.',
    }),
    key: secretText('Private key of that certificate in PEM.').optional(),
    timeout: durationText('How long one request to the registry may take.', {
      minMs: 100,
      maxMs: 600_000,
    }).prefault('10s'),
  })
  .superRefine((config, ctx) => {
    const issue = (path: string, message: string): void => {
      ctx.addIssue({ code: 'custom', path: [path], message })
    }
    if (config.password !== undefined && config.username === undefined)
      issue('password', 'a password needs a username beside it')
    if (config.token !== undefined && config.username !== undefined)
      issue('token', 'either a token or a user, not both')
    if ((config.cert === undefined) !== (config.key === undefined))
      issue('cert', '`cert` and `key` stand together')
  })

export type RegistryConfig = z.output<typeof registryConfig>

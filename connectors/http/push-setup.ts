/** What a topic's configuration makes: its gates, its decoder, its columns; and what is wrong with it. */
import { plainDecoder, schemaFields } from '../../core/connector/format/format-config.ts'
import { IpRanges } from '../../core/connector/ip-range.ts'
import type { Problem } from '../../core/connector/problem.ts'
import { codes } from '../../core/errors/codes.ts'
import { SluiceError } from '../../core/errors/error.ts'
import { authenticator } from './auth.ts'
import { Idempotency } from './idempotency.ts'
import { KeySource, parseKeyFrom } from './key-source.ts'
import { rowOfRequest } from './record-place.ts'
import { PushColumns } from './push-columns.ts'
import type { PushTopicConfig } from './push-config.ts'
import { BodyReader } from './push-records.ts'
import type { PushSetup } from './push-source.ts'
import { RateLimit } from './rate-limit.ts'

/** Throws SluiceError of fault `config` where parts do not fit together. */
export function setupOf(name: string, config: PushTopicConfig): PushSetup {
  if (config.schema === undefined && (config.format === 'json' || config.format === 'csv')) {
    throw new SluiceError('http.no_schema', {
      message: `the columns and their types of ${name} are not known`,
    })
  }
  const { auth, idempotency } = config
  const columns = new PushColumns(config.columns)
  const { csv = {} } = config
  const from = idempotency === undefined ? null : parseKeyFrom(idempotency.from)
  const attributes = Object.values(config.columns).flatMap((what) =>
    what.startsWith('ce.') ? [what.slice('ce.'.length)] : [],
  )
  return {
    path: config.path,
    windowMs: idempotency?.window ?? 0,
    endpoint: {
      topic: name,
      allowed: new IpRanges(config.allow_ips),
      rate: config.rate_limit === undefined ? null : new RateLimit(config.rate_limit),
      auth: auth === 'none' ? null : authenticator(auth),
      scheme: auth === 'none' ? auth : auth.scheme,
      tellsReplays: from?.from === 'signature',
      takesCloudEvents: config.cloudevents !== 'off',
      bodyBytesMax: config.max_body,
      unpackedBytesMax: config.max_unpacked,
    },
    topic: {
      name,
      decoder: plainDecoder(name, config, columns.extra, rowOfRequest),
      bodies: new BodyReader({
        format: config.format,
        cloudEvents: config.cloudevents,
        rowsMax: config.max_rows,
        fields: schemaFields(config.schema ?? {}),
        csv: {
          delimiter: (csv.delimiter ?? ',').charCodeAt(0),
          quote: (csv.quote ?? '"').charCodeAt(0),
          header: csv.header ?? false,
        },
        attributes,
      }),
      columns,
      keys: from === null ? null : new KeySource(from),
      idempotency:
        idempotency === undefined
          ? null
          : new Idempotency({ windowMs: idempotency.window, keysMax: idempotency.max_keys }),
      onBadRow: config.on_bad_row,
      requestBytesMax: 2 * Math.max(config.max_body, config.max_unpacked) + (1 << 20),
    },
  }
}

/** Everything that is wrong with the topics, each with its cure; asks nobody. */
export function pushProblems(push: Readonly<Record<string, PushTopicConfig>>): readonly Problem[] {
  return Object.entries(push).flatMap(([name, config]): readonly Problem[] => {
    const found: Problem[] = []
    try {
      setupOf(name, config).topic.decoder.take()
    } catch (error) {
      if (!(error instanceof SluiceError)) throw error
      const { code, message, remedy } = error
      found.push({ code, severity: 'error', message: `push.${name}: ${message}`, remedy })
    }
    if (config.auth === 'none' && config.allow_ips.length === 0) {
      found.push({
        code: 'http.open_to_all',
        severity: 'warning',
        message: `push.${name}: whoever reaches ${config.path} may send rows`,
        remedy: codes['http.open_to_all'].remedy,
      })
    }
    return found
  })
}

/**
 * What an error of the S3 client means, in one table. Status codes and names are those of the S3
 * API reference ("Error responses"); the names without a status are Node's and the SDK's own.
 */
import { SluiceError } from '../errors/error.ts'
import type { Code } from '../errors/codes.ts'

export interface S3Failure {
  readonly kind: 'missing' | 'exists' | 'transient' | 'denied' | 'bucket' | 'refused'
  readonly status: number
  toError(what: string, cause: unknown): SluiceError
}

const codeOf = {
  missing: 'store.refused',
  exists: 'store.refused',
  transient: 'store.unavailable',
  denied: 'store.denied',
  bucket: 'store.bucket_missing',
  refused: 'store.refused',
} as const satisfies Record<S3Failure['kind'], Code>

const missingNames = new Set(['NoSuchKey', 'NotFound'])
const deniedNames = new Set([
  'AccessDenied',
  'InvalidAccessKeyId',
  'SignatureDoesNotMatch',
  'ExpiredToken',
  'InvalidToken',
  'CredentialsProviderError',
])

/** Pure; never throws. */
export function classify(error: unknown): S3Failure {
  const name = error instanceof Error ? error.name : ''
  const status = statusOf(error)
  const kind = kindOf(name, status)
  return {
    kind,
    status,
    toError: (what, cause) =>
      cause instanceof SluiceError
        ? cause
        : new SluiceError(codeOf[kind], {
            message: `${what}: ${[status === 0 ? '' : String(status), name, systemCode(error)].filter((part) => part !== '').join(' ')}`,
            cause,
          }),
  }
}

function kindOf(name: string, status: number): S3Failure['kind'] {
  if (name === 'NoSuchBucket') return 'bucket'
  if (missingNames.has(name) || status === 404) return 'missing'
  if (status === 412) return 'exists'
  if (deniedNames.has(name) || status === 401 || status === 403) return 'denied'
  // 409 on a conditional PUT: a concurrent one was in flight; it may be tried again.
  if (status === 408 || status === 409 || status === 429 || status >= 500) return 'transient'
  if (status >= 300) return 'refused'
  // No status: refused or reset connections, time-outs, name look-ups, bodies cut short.
  return 'transient'
}

function statusOf(error: unknown): number {
  if (typeof error !== 'object' || error === null || !('$metadata' in error)) return 0
  const metadata = error.$metadata
  if (typeof metadata !== 'object' || metadata === null || !('httpStatusCode' in metadata)) return 0
  return typeof metadata.httpStatusCode === 'number' ? metadata.httpStatusCode : 0
}

function systemCode(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return 'code' in error && typeof error.code === 'string' ? error.code : ''
}

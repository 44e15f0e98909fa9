/** The table of S3 errors: what is retried, what the user is asked about, what is an answer. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { classify } from '../../../core/store/s3-errors.ts'

function s3Error(name: string, status?: number): Error {
  const error = new Error(name)
  error.name = name
  return Object.assign(error, status === undefined ? {} : { $metadata: { httpStatusCode: status } })
}

test('each answer of S3 has one meaning', () => {
  const table: [Error, ReturnType<typeof classify>['kind'], string][] = [
    [s3Error('NoSuchKey', 404), 'missing', 'config'],
    [s3Error('NotFound', 404), 'missing', 'config'],
    [s3Error('NoSuchBucket', 404), 'bucket', 'config'],
    [s3Error('PreconditionFailed', 412), 'exists', 'config'],
    [s3Error('ConditionalRequestConflict', 409), 'transient', 'transient'],
    [s3Error('SlowDown', 503), 'transient', 'transient'],
    [s3Error('InternalError', 500), 'transient', 'transient'],
    [s3Error('TooManyRequests', 429), 'transient', 'transient'],
    [s3Error('RequestTimeout', 408), 'transient', 'transient'],
    [s3Error('AccessDenied', 403), 'denied', 'config'],
    [s3Error('SignatureDoesNotMatch', 403), 'denied', 'config'],
    [s3Error('ExpiredToken', 400), 'denied', 'config'],
    [s3Error('CredentialsProviderError'), 'denied', 'config'],
    [s3Error('PermanentRedirect', 301), 'refused', 'config'],
    [s3Error('InvalidRequest', 400), 'refused', 'config'],
    [s3Error('TimeoutError'), 'transient', 'transient'],
    [Object.assign(new Error('reset'), { code: 'ECONNRESET' }), 'transient', 'transient'],
  ]
  for (const [error, kind, fault] of table) {
    const failure = classify(error)
    assert.equal(failure.kind, kind, error.name)
    assert.equal(failure.toError('GET a', error).fault, fault, error.name)
  }
})

test('the message names the request, the status and the cause, once', () => {
  const reset = Object.assign(new Error('socket hang up'), { code: 'ECONNRESET' })
  const named = classify(s3Error('SlowDown', 503)).toError('s3://b: PUT a', null)
  assert.equal(named.message, 's3://b: PUT a: 503 SlowDown')
  assert.match(classify(reset).toError('s3://b: PUT a', reset).message, /PUT a: .*ECONNRESET$/)
})

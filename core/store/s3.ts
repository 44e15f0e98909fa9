/**
 * S3 and what speaks its protocol, through @aws-sdk/client-s3.
 *
 * The SDK's own retries are off and ours are used: a repeated conditional PUT whose first answer was
 * lost is answered 412 although the object is ours, so `exists` never proves that we lost (store.ts).
 * Away from AWS, checksums are sent only where S3 demands them: the SDK's default since 3.729 breaks
 * several look-alikes (aws-sdk-js-v3#6810).
 */
import { Agent as HttpAgent } from 'node:http'
import { Agent as HttpsAgent } from 'node:https'
import {
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
  type S3ClientConfig,
} from '@aws-sdk/client-s3'
import { NodeHttpHandler } from '@smithy/node-http-handler'
import { classify, type S3Failure } from './s3-errors.ts'
import { realPacing, withRetries, type Pacing, type RetryBounds } from './retry.ts'
import {
  checkKey,
  type ByteRange,
  type ListOptions,
  type ObjectStore,
  type StoredBytes,
} from './store.ts'

export interface S3Options {
  /** For stores other than AWS: `http://host:port`. */
  readonly endpoint?: string
  /** us-east-1 unless given here or by the environment (AWS_REGION). */
  readonly region?: string
  /** `endpoint/bucket/key` instead of `bucket.endpoint/key`; on by default when an endpoint is given. */
  readonly pathStyle?: boolean
  /** Both or none; without them the SDK's default chain looks for credentials. */
  readonly accessKeyId?: string
  readonly secretAccessKey?: string
  readonly pacing?: Pacing
}

const retries: RetryBounds = { attemptsMax: 6, baseMs: 100, capMs: 5000 }
const connectMs = 5000
/** Silence on the socket for this long ends an attempt. */
const silenceMs = 15_000
/** An attempt ends after this long whatever happens; a segment of 64 MiB at 2 MB/s takes 32 s. */
const attemptMs = 60_000
const socketsMax = 64
const removalsAtOnce = 16

export class S3Store implements ObjectStore {
  readonly url: string
  readonly #client: S3Client
  readonly #bucket: string
  readonly #prefix: string
  readonly #pacing: Pacing

  /** `prefix` without slashes at its ends; empty for the bucket's root. */
  constructor(bucket: string, prefix: string, options: S3Options) {
    this.#bucket = bucket
    this.#prefix = prefix === '' ? '' : `${prefix}/`
    this.url = `s3://${bucket}${prefix === '' ? '' : `/${prefix}`}`
    this.#pacing = options.pacing ?? realPacing
    this.#client = new S3Client(clientConfig(options))
  }

  async get(key: string, signal: AbortSignal, range?: ByteRange): Promise<StoredBytes | null> {
    checkKey(key)
    const input = { Bucket: this.#bucket, Key: this.#prefix + key }
    return this.#request(`GET ${key}`, signal, async (abortSignal) => {
      try {
        const command = new GetObjectCommand(
          range === undefined ? input : { ...input, Range: rangeHeader(range) },
        )
        const answer = await this.#client.send(command, { abortSignal })
        const bytes = (await answer.Body?.transformToByteArray()) ?? new Uint8Array(0)
        if (answer.ContentLength !== undefined && bytes.length !== answer.ContentLength) {
          throw new Error(`${bytes.length} of ${answer.ContentLength} bytes came`)
        }
        const total = /\/(\d+)$/.exec(answer.ContentRange ?? '')?.[1]
        return { bytes, size: total === undefined ? bytes.length : Number(total) }
      } catch (error) {
        const failure = classify(error)
        if (failure.kind === 'missing') return null
        // 416: the object ends before the range begins.
        if (failure.status !== 416) throw error
        const head = await this.#client.send(new HeadObjectCommand(input), { abortSignal })
        return { bytes: new Uint8Array(0), size: head.ContentLength ?? 0 }
      }
    })
  }

  async create(key: string, bytes: Uint8Array, signal: AbortSignal): Promise<'created' | 'exists'> {
    checkKey(key)
    const command = { Bucket: this.#bucket, Key: this.#prefix + key, Body: bytes, IfNoneMatch: '*' }
    return this.#request(`PUT ${key}`, signal, async (abortSignal) => {
      try {
        await this.#client.send(new PutObjectCommand(command), { abortSignal })
        return 'created'
      } catch (error) {
        if (classify(error).kind === 'exists') return 'exists'
        throw error
      }
    })
  }

  async put(key: string, bytes: Uint8Array, signal: AbortSignal): Promise<void> {
    checkKey(key)
    const command = { Bucket: this.#bucket, Key: this.#prefix + key, Body: bytes }
    await this.#request(`PUT ${key}`, signal, (abortSignal) =>
      this.#client.send(new PutObjectCommand(command), { abortSignal }),
    )
  }

  async list(prefix: string, options: ListOptions, signal: AbortSignal): Promise<string[]> {
    const keys: string[] = []
    let after = options.after
    while (keys.length < options.limit) {
      const startAfter = after
      const answer = await this.#request(`LIST ${prefix}`, signal, (abortSignal) =>
        this.#client.send(
          new ListObjectsV2Command({
            Bucket: this.#bucket,
            Prefix: this.#prefix + prefix,
            MaxKeys: Math.min(1000, options.limit - keys.length),
            ...(startAfter === undefined ? {} : { StartAfter: this.#prefix + startAfter }),
          }),
          { abortSignal },
        ),
      )
      for (const { Key } of answer.Contents ?? []) {
        if (Key !== undefined) keys.push(Key.slice(this.#prefix.length))
      }
      after = keys.at(-1)
      if (answer.IsTruncated !== true || after === undefined || after === startAfter) break
    }
    return keys
  }

  /** One DELETE a key: they cost nothing, and DeleteObjects wants checksums that look-alikes refuse. */
  async remove(keys: readonly string[], signal: AbortSignal): Promise<void> {
    for (let at = 0; at < keys.length; at += removalsAtOnce) {
      const some = keys.slice(at, at + removalsAtOnce)
      await Promise.all(some.map((key) => this.#removeOne(key, signal)))
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#client.destroy()
  }

  async #removeOne(key: string, signal: AbortSignal): Promise<void> {
    checkKey(key)
    const input = { Bucket: this.#bucket, Key: this.#prefix + key }
    await this.#request(`DELETE ${key}`, signal, async (abortSignal) => {
      try {
        await this.#client.send(new DeleteObjectCommand(input), { abortSignal })
      } catch (error) {
        if (classify(error).kind !== 'missing') throw error
      }
    })
  }

  async #request<T>(
    what: string,
    signal: AbortSignal,
    attempt: (abortSignal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const once = async (): Promise<T> => {
      const tooLong = new AbortController()
      const timer = setTimeout(() => tooLong.abort(), attemptMs)
      try {
        return await attempt(AbortSignal.any([signal, tooLong.signal]))
      } catch (error) {
        signal.throwIfAborted()
        const failure: S3Failure = classify(error)
        throw failure.toError(`${this.url}: ${what}`, error)
      } finally {
        clearTimeout(timer)
      }
    }
    return withRetries(once, retries, this.#pacing, signal)
  }
}

function clientConfig(options: S3Options): S3ClientConfig {
  const { endpoint, region, accessKeyId, secretAccessKey } = options
  const agent = { keepAlive: true, maxSockets: socketsMax }
  return {
    region: region ?? process.env['AWS_REGION'] ?? 'us-east-1',
    maxAttempts: 1,
    forcePathStyle: options.pathStyle ?? endpoint !== undefined,
    requestHandler: new NodeHttpHandler({
      connectionTimeout: connectMs,
      socketTimeout: silenceMs,
      httpAgent: new HttpAgent(agent),
      httpsAgent: new HttpsAgent(agent),
    }),
    ...(endpoint === undefined
      ? {}
      : {
          endpoint,
          requestChecksumCalculation: 'WHEN_REQUIRED',
          responseChecksumValidation: 'WHEN_REQUIRED',
        }),
    ...(accessKeyId === undefined || secretAccessKey === undefined
      ? {}
      : { credentials: { accessKeyId, secretAccessKey } }),
  }
}

function rangeHeader(range: ByteRange): string {
  return 'suffix' in range ? `bytes=-${range.suffix}` : `bytes=${range.start}-${range.end - 1}`
}

/** The log of a crash run in a bucket of a real S3 server. */
import type { S3Server } from '../services/s3.ts'
import type { StageOptions } from './stage.ts'

/** As the pipeline file names it and as the judge opens it. */
export function s3Log(server: S3Server, seed: number): NonNullable<StageOptions['s3']> {
  const { endpoint, accessKeyId, secretAccessKey } = server.options
  const url = `s3://${server.bucket}/crash-${seed}`
  const keys = `access_key_id: ${accessKeyId}, secret_access_key: ${secretAccessKey}`
  const yaml = `{ url: '${url}', endpoint: '${endpoint}', path_style: true, region: us-east-1, ${keys} }`
  return { url, yaml, options: { ...server.options } }
}

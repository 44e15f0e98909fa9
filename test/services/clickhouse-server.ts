/**
 * ClickHouse's HTTP interface in front of the real engine (chdb: ClickHouse as a library), enough for
 * an unmodified @clickhouse/client. A child process of clickhouse.ts: an abort of the engine must not
 * take the test with it, and one process owns a data folder.
 *
 * Every setting and parameter in the URL is applied to the engine, in a session of its own, so that
 * nothing leaks between requests and an unknown setting fails as it does on a server. Not there:
 * users (one password can be asked for, in front of the engine), HTTP sessions, KILL QUERY,
 * replicated tables, the native TCP port.
 *
 * Faults and the list of statements under /sluice-test/ are injected IN FRONT of the engine: what a
 * `refuse` answers, the engine has never seen.
 */
import { randomUUID } from 'node:crypto'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { brotliDecompress, gunzip, inflate, zstdDecompress } from 'node:zlib'
import { drainPending, Session } from 'chdb'
import type { ClickHouseFault } from './clickhouse-fault.ts'

const folder = process.env['SLUICE_CLICKHOUSE_DIR'] ?? ''
const port = Number(process.env['SLUICE_CLICKHOUSE_PORT'])
const password = process.env['SLUICE_CLICKHOUSE_PASSWORD']
const data = join(folder, 'data')
const spillFolder = join(folder, 'bodies')

/** What the HTTP interface itself reads from the URL; everything else is a setting or a parameter. */
const httpOnly = new Set(
  `query query_id database default_format user password role quota_key session_id session_timeout
   session_check wait_end_of_query buffer_size compress decompress enable_http_compression
   http_zlib_compression_level send_progress_in_http_headers http_headers_progress_interval_ms
   http_response_headers`.split(/\s+/),
)
/** HTTP status by error code, as ClickHouse's HTTPHandler answers; 500 for the rest. */
const statusOf: Readonly<Record<number, number>> = {
  36: 400, 43: 400, 47: 404, 60: 404, 62: 400, 81: 404, 115: 404, 159: 408, 164: 403, 202: 503,
  241: 507, 497: 403, 516: 403,
} // prettier-ignore
const decompressors = {
  gzip: promisify(gunzip),
  deflate: promisify(inflate),
  br: promisify(brotliDecompress),
  zstd: promisify(zstdDecompress),
} as const

mkdirSync(data, { recursive: true })
rmSync(spillFolder, { recursive: true, force: true })
mkdirSync(spillFolder)
// Held open: it owns the data folder for the life of this process.
const root = new Session(data)
root.query('CREATE DATABASE IF NOT EXISTS default')
const version = root.query('SELECT version()', 'TSV').trim()

const faults: { fault: ClickHouseFault; left: number }[] = []
const statements: string[] = []
let bodies = 0

interface Answer {
  readonly bytes: Uint8Array
  readonly summary: string
}

/** `INSERT … FORMAT x` up to where a server goes over from the statement to the data. */
const insertHead = /^\s*(INSERT\s+INTO\s[\s\S]*?)\s+FORMAT\s+(\w+)\s*;?[^\S\n]*(?:\n|$)/i

function literal(value: string): string {
  return `'${value.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`
}

/** The statement as the engine takes it: an INSERT's data goes through a file, the one way in for binary formats. */
function engineStatement(query: string, body: Buffer, spill: string): string {
  const text = query === '' ? body.subarray(0, 1 << 20).toString('latin1') : query
  const head = insertHead.exec(text)
  if (head === null) return query === '' ? body.toString() : `${query}\n${body.toString()}`
  const [whole, statement, format] = head
  const rows = query === '' ? body.subarray(whole.length) : body
  writeFileSync(spill, rows)
  const insert = query === '' ? Buffer.from(statement!, 'latin1').toString() : statement!
  return `${insert} FROM INFILE ${literal(spill)} COMPRESSION 'none' FORMAT ${format!}`
}

async function execute(params: URLSearchParams, query: string, body: Buffer): Promise<Answer> {
  const session = new Session(data)
  const spill = join(spillFolder, String(++bodies))
  try {
    const database = params.get('database')
    if (database !== null && database !== '') {
      session.query(`USE \`${database.replaceAll('\\', '\\\\').replaceAll('`', '\\`')}\``)
    }
    const settings: string[] = []
    for (const [name, value] of params) {
      if (!httpOnly.has(name)) settings.push(`${name} = ${literal(value)}`)
    }
    if (settings.length > 0) session.query(`SET ${settings.join(', ')}`)
    const format = params.get('default_format') ?? 'TabSeparated'
    const result = await session.queryAsync(engineStatement(query, body, spill), { format })
    const summary = JSON.stringify({
      read_rows: String(result.rowsRead),
      read_bytes: String(result.bytesRead),
      elapsed_ns: String(Math.round(result.elapsed * 1e9)),
    })
    return { bytes: result.bytes(), summary }
  } finally {
    rmSync(spill, { force: true })
    session.close()
  }
}

/** Tells a fault that fits this statement, and counts it down. */
function takeFault(statement: string): ClickHouseFault | null {
  const at = faults.findIndex(
    ({ fault, left }) => left > 0 && new RegExp(fault.match ?? '', 'i').test(statement),
  )
  if (at < 0) return null
  const entry = faults[at]!
  if (--entry.left === 0) faults.splice(at, 1)
  return entry.fault
}

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  const body = Buffer.concat(chunks)
  const encoding = request.headers['content-encoding']
  if (encoding === undefined) return body
  const decompress = decompressors[encoding as keyof typeof decompressors] as
    ((bytes: Buffer) => Promise<Buffer>) | undefined
  if (decompress === undefined) throw new Error(`Code: 1000. Content-Encoding ${encoding}`)
  return body.length === 0 ? body : decompress(body)
}

function authorised(request: IncomingMessage, params: URLSearchParams): boolean {
  if (password === undefined) return true
  const basic = /^Basic (.+)$/.exec(request.headers.authorization ?? '')?.[1]
  const given =
    basic === undefined
      ? (request.headers['x-clickhouse-key'] ?? params.get('password'))
      : Buffer.from(basic, 'base64').toString().split(':').slice(1).join(':')
  return given === password
}

function refuse(response: ServerResponse, text: string): void {
  const code = Number(/Code: (\d+)/.exec(text)?.[1] ?? 1002)
  response.writeHead(statusOf[code] ?? 500, { 'X-ClickHouse-Exception-Code': String(code) })
  response.end(`${text} (version ${version})\n`)
}

async function handleStatement(request: IncomingMessage, response: ServerResponse, url: URL) {
  const body = await bodyOf(request)
  const params = url.searchParams
  const query = params.get('query') ?? ''
  const statement = query === '' ? body.subarray(0, 1 << 16).toString() : query
  if (!authorised(request, params)) {
    return refuse(
      response,
      'Code: 516. DB::Exception: Authentication failed (AUTHENTICATION_FAILED)',
    )
  }
  const fault = takeFault(statement)
  if (fault?.kind === 'refuse') {
    return refuse(
      response,
      `Code: ${fault.code}. DB::Exception: injected (${fault.type ?? 'INJECTED'})`,
    )
  }
  if (fault?.kind === 'answer') return void response.end(fault.body)
  if (fault?.kind === 'reset') return void request.socket.destroy()
  if (fault?.kind === 'delay') await sleep(fault.ms)
  statements.push(statement)
  const { bytes, summary } = await execute(params, query, body)
  if (fault?.kind === 'drop-response') return void request.socket.destroy()
  response.writeHead(200, {
    'Content-Type': 'text/plain; charset=UTF-8',
    'X-ClickHouse-Summary': summary,
    'X-ClickHouse-Query-Id': params.get('query_id') ?? randomUUID(),
  })
  response.end(bytes)
}

async function handleTestHook(request: IncomingMessage, response: ServerResponse, path: string) {
  const body = await bodyOf(request)
  if (path === '/sluice-test/faults') {
    faults.length = 0
    for (const fault of JSON.parse(body.toString()) as ClickHouseFault[]) {
      faults.push({ fault, left: fault.times ?? 1 })
    }
    response.end()
  } else {
    response.end(JSON.stringify(statements.splice(0)))
  }
}

const server = createServer((request, response) => {
  const url = new URL(request.url ?? '/', 'http://localhost')
  const ping =
    url.pathname === '/ping' || (request.method === 'GET' && !url.searchParams.has('query'))
  const work = url.pathname.startsWith('/sluice-test/')
    ? handleTestHook(request, response, url.pathname)
    : ping
      ? Promise.resolve(void response.end('Ok.\n'))
      : handleStatement(request, response, url)
  work.catch((error: unknown) => {
    const text = error instanceof Error ? error.message : String(error)
    // The library's own words in front of the engine's text would not be there on a server.
    const engine = text.slice(Math.max(0, text.search(/Code: \d/))).trim()
    refuse(response, engine.startsWith('Code') ? engine : `Code: 1002. DB::Exception: ${engine}`)
  })
})
server.keepAliveTimeout = 10_000
server.listen(port, '127.0.0.1', () => process.send?.({ ready: true }))

async function stop(): Promise<void> {
  server.close()
  server.closeAllConnections()
  await drainPending()
  root.close()
  process.exit(0)
}
process.on('SIGTERM', () => void stop())
// The parent is gone, however it went: do not outlive it.
process.on('disconnect', () => void stop())

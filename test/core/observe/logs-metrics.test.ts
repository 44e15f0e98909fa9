/** Logs and metrics: shapes that tools can rely on, secrets kept, memory bounded; and the server. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Logger, Metrics } from '../../../core/connector/context.ts'
import { Secret } from '../../../core/connector/secret.ts'
import { createLogger, type LogFormat, type LogLevel } from '../../../core/observe/logger.ts'
import { MetricsRegistry } from '../../../core/observe/metrics.ts'
import { ObserveServer } from '../../../core/observe/server.ts'
import { StatusBoard } from '../../../core/observe/status.ts'
import { failsWith } from '../../support/fails-with.ts'

function logs(
  format: LogFormat,
  level: LogLevel,
): { readonly logger: Logger; readonly lines: string[] } {
  const lines: string[] = []
  const write = (line: string): void => void lines.push(line)
  return { logger: createLogger({ format, level, write }, 'ingest shop'), lines }
}

test('plain lines for people', () => {
  const { logger, lines } = logs('plain', 'info')
  logger.debug('not shown')
  logger.info('committed', { rows: 12, seq: 7, note: 'two words', none: null, gone: undefined })
  logger.error('line\nbreak')
  assert.equal(lines.length, 2)
  assert.match(
    lines[0]!,
    /^\d{4}-\d\d-\d\dT[\d:.]+Z {2}info {3}ingest shop {2}committed {2}rows=12 {2}seq=7 {2}note="two words" {2}none=null$/,
  )
  assert.ok(!lines[1]!.includes('\n'), 'a line stays a line')
})

test('JSON lines for collectors', () => {
  const { logger, lines } = logs('json', 'debug')
  logger.warn('slow', { ms: 5 })
  const parsed = JSON.parse(lines[0]!) as Record<string, unknown>
  assert.deepEqual(
    { ...parsed, time: '' },
    { level: 'warn', time: '', name: 'ingest shop', ms: 5, msg: 'slow' },
  )
})

test('secrets are redacted by type, and credentials in URLs on the way out', () => {
  const { logger, lines } = logs('plain', 'info')
  const fields = { url: 'postgres://me:hunter2@host/db', secret: new Secret('hunter2') }
  logger.info('cannot reach http://a:hunter2@b', fields as unknown as Record<string, string>)
  assert.ok(!lines[0]!.includes('hunter2'), lines[0])
  assert.match(lines[0]!, /postgres:\/\/me:\*\*\*@host\/db/)
})

test('metrics have prefix, labels and help; broken values are counted, not thrown', async () => {
  const registry = new MetricsRegistry()
  const metrics: Metrics = registry.forTask({ pipeline: 'shop', kind: 'ingest', name: 'pg' })
  metrics.count('rows_total', 5)
  metrics.count('rows_total', 2, { extra: 'is left out' })
  metrics.gauge('lag_seconds', 0.25)
  metrics.observe('commit_seconds', 0.02)
  metrics.gauge('lag_seconds', Number.NaN)
  metrics.count('rows_total', -1)
  metrics.count('lag_seconds', 1)
  const { text } = await registry.render()
  assert.match(text, /# HELP sluice_rows_total Rows that a task made durable or delivered\./)
  assert.match(text, /sluice_rows_total\{pipeline="shop",kind="ingest",name="pg"\} 7\n/)
  assert.match(text, /sluice_lag_seconds\{pipeline="shop",kind="ingest",name="pg"\} 0\.25\n/)
  assert.match(
    text,
    /sluice_commit_seconds_bucket\{le="0\.025",pipeline="shop",kind="ingest",name="pg"\} 1\n/,
  )
  assert.match(text, /sluice_metrics_dropped_total 3\n/)
})

test('a label that follows the data cannot fill memory', async () => {
  const registry = new MetricsRegistry()
  const metrics = registry.forTask({ name: 'pg' })
  for (let i = 0; i < 5000; i++) metrics.gauge('odd', i, { row: String(i) })
  const { text } = await registry.render()
  assert.ok(text.split('\n').filter((line) => line.startsWith('sluice_odd{')).length <= 2000)
})

test('the server answers machines on loopback', async () => {
  const board = new StatusBoard()
  const metrics = new MetricsRegistry()
  await using server = await ObserveServer.start({
    port: 0,
    metrics,
    notReady: () => board.notReady(),
    status: () => board,
  })
  const get = async (path: string, method = 'GET'): Promise<readonly [number, string]> => {
    const response = await fetch(`${server.url}${path}`, { method })
    return [response.status, await response.text()]
  }
  assert.match(server.url, /^http:\/\/127\.0\.0\.1:\d+$/)
  assert.deepEqual(await get('/healthz'), [200, 'ok\n'])
  assert.deepEqual(await get('/readyz'), [503, 'no task was started yet\n'])
  board.task({ kind: 'ingest', name: 'a' }).report({ state: 'running' })
  assert.deepEqual(await get('/readyz?x=1'), [200, 'ready\n'])
  assert.match((await get('/metrics'))[1], /process_cpu_seconds_total/)
  const [, status] = await get('/status')
  assert.equal((JSON.parse(status) as { tasks: unknown[] }).tasks.length, 1)
  assert.equal((await get('/nothing'))[0], 404)
  assert.equal((await get('/healthz', 'POST'))[0], 405)
  const port = Number(new URL(server.url).port)
  await assert.rejects(
    ObserveServer.start({ port, metrics, notReady: () => [], status: () => null }),
    failsWith('observe.port_unavailable'),
  )
})

/** Whether the server under `timers` is there and lets us in, for the preflight. */
import { postgresError, type PostgresErrors } from '../../core/connector/postgres-error.ts'
import type { Problem } from '../../core/connector/problem.ts'
import { RedisLink } from '../../core/connector/redis.ts'
import { SluiceError } from '../../core/errors/error.ts'
import { problem } from './target.ts'
import { timersPostgres, timeoutMs, timersKind, type TimersPlace } from './timers.ts'

const errors: PostgresErrors = {
  rules: [
    ['28', 'sink.webhook.timers_access'],
    ['3D000', 'sink.webhook.timers_access'],
    ['42501', 'sink.webhook.timers_access'],
  ],
  connection: 'sink.webhook.timers_down',
  tls: 'sink.webhook.timers_down',
  server: 'sink.webhook.timers_down',
}

/** A server that is away is a warning: the log has the times too, and events wait a little longer. */
export async function checkTimers(place: TimersPlace): Promise<readonly Problem[]> {
  const kind = timersKind(place)
  if (kind === null) {
    return [problem('sink.webhook.timers', '`timers` is not redis://, rediss:// or postgres://')]
  }
  try {
    return kind === 'redis' ? await checkRedis(place) : await checkPostgres(place)
  } catch (error) {
    if (!(error instanceof SluiceError)) throw error
    const { code, message, remedy, fault } = error
    const severity = fault === 'transient' ? 'warning' : 'error'
    return [{ code, severity, message: `Timers: ${message}`, remedy }]
  }
}

async function checkRedis({ url, ca }: TimersPlace): Promise<readonly Problem[]> {
  await using link = new RedisLink({ url, timeoutMs, ...(ca === undefined ? {} : { ca }) })
  await link.ready(AbortSignal.timeout(2 * timeoutMs))
  return []
}

async function checkPostgres(place: TimersPlace): Promise<readonly Problem[]> {
  const { Client } = (await import('pg')).default
  const client = new Client({ ...timersPostgres(place), query_timeout: timeoutMs })
  client.on('error', () => {})
  try {
    await client.connect()
    const { rows } = await client.query<{ may: boolean }>(
      `SELECT to_regnamespace('bullmq') IS NOT NULL
         OR has_database_privilege(current_database(), 'CREATE') AS may`,
    )
    if (rows[0]?.may === true) return []
    const message = 'the user of `timers` must not make the schema "bullmq"'
    return [problem('sink.webhook.timers_access', message)]
  } catch (error) {
    throw postgresError(errors, error, 'look at the PostgreSQL of `timers`')
  } finally {
    await client.end().catch(() => {})
  }
}

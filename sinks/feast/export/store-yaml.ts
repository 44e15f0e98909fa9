/**
 * feature_store.yaml: where the unmodified SDK finds what the sink writes. Passwords are not in it: Feast
 * puts environment variables in their places when it reads the file (feast 0.67, repo_config.py,
 * `os.path.expandvars`).
 */
import type { UrlTls } from '../../../core/connector/database-url.ts'
import { redisAddress } from '../../../core/connector/redis-address.ts'
import type { FeastConfig, RedisTargetConfig } from '../config.ts'
import { storeUrl } from '../postgres/connection.ts'
import type { PostgresTargetConfig } from '../postgres/target.ts'

export interface StoreFile {
  readonly text: string
  /** Environment variables that whoever reads it has to set, and what they are. */
  readonly variables: readonly (readonly [name: string, meaning: string])[]
}

type Variables = StoreFile['variables']

interface Section {
  readonly lines: readonly string[]
  readonly variables: Variables
}

export function storeFile({ project, target }: FeastConfig, origin: string): StoreFile {
  const { lines, variables } = onlineSection(target)
  const text = [
    `# Where Feast finds what ${origin} writes. Made by \`sluice features export\`.`,
    ...variables.map(([name, meaning]) => `# Set ${name}: ${meaning}.`),
    `project: ${yamlText(project)}`,
    'provider: local',
    'registry: registry.db',
    'online_store:',
    ...lines.map((line) => `  ${line}`),
    'offline_store:',
    '  type: file',
    'entity_key_serialization_version: 3',
    '',
  ].join('\n')
  return { text, variables }
}

function onlineSection(target: FeastConfig['target']): Section {
  switch (target.type) {
    case 'redis':
      return redisSection(target)
    case 'postgres':
      return postgresSection(target)
    case 'push':
      // The server's own; it is what is pushed to.
      return { lines: ['type: sqlite', 'path: online.db'], variables: [] }
  }
}

function redisSection(target: RedisTargetConfig): Section {
  const { cluster, sentinel, ca } = target
  const settings = { url: target.url, cluster, timeoutMs: target.timeout }
  const address = redisAddress({ ...settings, ...(sentinel === undefined ? {} : { sentinel }) })
  const variables: (readonly [string, string])[] = []
  const parts = address.hosts.map(({ host, port }) => `${host}:${port}`)
  if (address.database !== 0) parts.push(`db=${address.database}`)
  if (address.user !== null) parts.push(`username=${address.user}`)
  if (address.password !== null) {
    parts.push('password=${FEAST_REDIS_PASSWORD}')
    variables.push(['FEAST_REDIS_PASSWORD', 'the password of Redis'])
  }
  if (address.tls) parts.push('ssl=true')
  if (ca !== undefined) {
    parts.push('ssl_ca_certs=${FEAST_REDIS_CA}')
    variables.push(['FEAST_REDIS_CA', 'the path of the PEM file of its authority'])
  }
  const type = cluster ? 'redis_cluster' : sentinel === undefined ? 'redis' : 'redis_sentinel'
  const lines = [
    'type: redis',
    `redis_type: ${type}`,
    ...(sentinel === undefined ? [] : [`sentinel_master: ${yamlText(sentinel)}`]),
    `connection_string: ${yamlText(parts.join(','))}`,
  ]
  return { lines, variables }
}

function postgresSection({ url, schema }: PostgresTargetConfig): Section {
  const { host, port, user, password, database, tls, parameters } = storeUrl(url)
  const mode = sslModeOf(tls)
  const root = parameters.get('sslrootcert') ?? (mode.startsWith('verify') ? 'system' : null)
  const isSecret = password !== ''
  const optional: readonly (readonly [string, string | null])[] = [
    ['sslmode', mode],
    ['sslrootcert_path', root],
    ['sslcert_path', parameters.get('sslcert')],
    ['sslkey_path', parameters.get('sslkey')],
  ]
  return {
    lines: [
      'type: postgres',
      `host: ${yamlText(host)}`,
      `port: ${port}`,
      `database: ${yamlText(database)}`,
      `db_schema: ${yamlText(schema)}`,
      `user: ${yamlText(user)}`,
      `password: ${yamlText(isSecret ? '${FEAST_POSTGRES_PASSWORD}' : '')}`,
      ...optional.flatMap(([name, value]) =>
        value === null ? [] : [`${name}: ${yamlText(value)}`],
      ),
    ],
    variables: isSecret ? [['FEAST_POSTGRES_PASSWORD', 'the password of PostgreSQL']] : [],
  }
}

function sslModeOf(tls: UrlTls | null): string {
  if (tls === null) return 'disable'
  if (!tls.rejectUnauthorized) return 'require'
  return tls.verifyIdentity ? 'verify-full' : 'verify-ca'
}

/** In single quotes nothing means anything else but the quote itself. */
function yamlText(text: string): string {
  return /^[A-Za-z][A-Za-z0-9_-]*$/.test(text) ? text : `'${text.replaceAll("'", "''")}'`
}

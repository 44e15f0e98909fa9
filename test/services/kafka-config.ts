/** The server.properties of a broker in tests: its listeners, and settings under which it starts and fails fast. */
import { keyPassword, type KafkaCertificates } from './kafka-certificates.ts'
import type { KafkaVersion } from './kafka-install.ts'

/** One way in: `plain` no security, `tls` certificates, `mtls` the client's too, `sasl` passwords or tokens. */
export type KafkaListener = 'plain' | 'tls' | 'mtls' | 'sasl' | 'sasl_tls'

export interface KafkaUser {
  readonly name: string
  readonly password: string
}

export interface NodePlan {
  readonly version: KafkaVersion
  readonly id: number
  readonly folder: string
  /** By listener. */
  readonly ports: ReadonlyMap<KafkaListener, number>
  /** What clients are told, where it is not the same: `advertised.listeners`. */
  readonly advertised: ReadonlyMap<KafkaListener, string>
  readonly controllerPort: number
  /** The first node's, which is the only controller; or ZooKeeper's. */
  readonly quorumPort: number
  readonly nodes: number
  readonly users: readonly KafkaUser[]
  readonly certificates: KafkaCertificates | null
  readonly acls: boolean
  /** null = what the version takes. */
  readonly sessionMs: number | null
  readonly settings: Readonly<Record<string, string>>
}

const protocols: Readonly<Record<KafkaListener, string>> = {
  plain: 'PLAINTEXT',
  tls: 'SSL',
  mtls: 'SSL',
  sasl: 'SASL_PLAINTEXT',
  sasl_tls: 'SASL_SSL',
}

/** The user that may do everything where ACLs are on. */
export const superUser: KafkaUser = { name: 'admin', password: 'admin-secret' }

/** The default of old versions. */
export const zookeeperSessionMs = 6000

export function propertiesOf(plan: NodePlan): string {
  const settings = {
    ...common(plan),
    ...(plan.version === '4.3' ? kraft(plan) : zookeeper(plan)),
    ...security(plan),
    ...plan.settings,
  }
  return Object.entries(settings)
    .map(([name, value]) => `${name}=${value}\n`)
    .join('')
}

function common(plan: NodePlan): Record<string, string> {
  const copies = String(Math.min(plan.nodes, 3))
  const least = plan.nodes > 1 ? '2' : '1'
  const own = [...plan.ports].map(([name, port]) => `${nameOf(name)}://127.0.0.1:${port}`)
  const told = [...plan.ports].map(
    ([name, port]) => `${nameOf(name)}://${plan.advertised.get(name) ?? `127.0.0.1:${port}`}`,
  )
  const kinds = [...plan.ports.keys()].map((name) => `${nameOf(name)}:${protocols[name]}`)
  const controller = plan.version === '4.3'
  return {
    listeners: [
      ...own,
      ...(controller && plan.id === 1 ? [`CONTROLLER://127.0.0.1:${plan.controllerPort}`] : []),
    ].join(','),
    'advertised.listeners': told.join(','),
    'listener.security.protocol.map': [
      ...kinds,
      ...(controller ? ['CONTROLLER:PLAINTEXT'] : []),
    ].join(','),
    'inter.broker.listener.name': nameOf('plain'),
    'log.dirs': `${plan.folder}/data`,
    'num.partitions': '1',
    'auto.create.topics.enable': 'false',
    'delete.topic.enable': 'true',
    'offsets.topic.replication.factor': copies,
    'offsets.topic.num.partitions': '4',
    'transaction.state.log.replication.factor': copies,
    'transaction.state.log.min.isr': least,
    'transaction.state.log.num.partitions': '4',
    'group.initial.rebalance.delay.ms': '0',
    'log.cleaner.backoff.ms': '200',
    'log.cleaner.dedupe.buffer.size': '8388608',
    'log.retention.check.interval.ms': '500',
  }
}

function nameOf(listener: KafkaListener): string {
  return listener.toUpperCase()
}

function kraft(plan: NodePlan): Record<string, string> {
  return {
    'process.roles': plan.id === 1 ? 'broker,controller' : 'broker',
    'node.id': String(plan.id),
    'controller.quorum.voters': `1@127.0.0.1:${plan.quorumPort}`,
    'controller.listener.names': 'CONTROLLER',
    // After kill -9 a node may come back only once its old session has ended (9 s by default).
    ...(plan.sessionMs === null
      ? {}
      : {
          'broker.session.timeout.ms': String(plan.sessionMs),
          'broker.heartbeat.interval.ms': String(plan.sessionMs / 4),
        }),
    'share.coordinator.state.topic.replication.factor': '1',
    'share.coordinator.state.topic.min.isr': '1',
  }
}

function zookeeper(plan: NodePlan): Record<string, string> {
  return {
    'broker.id': String(plan.id),
    'zookeeper.connect': `127.0.0.1:${plan.quorumPort}`,
    'zookeeper.session.timeout.ms': String(plan.sessionMs ?? zookeeperSessionMs),
    'zookeeper.connection.timeout.ms': '15000',
  }
}

function security(plan: NodePlan): Record<string, string> {
  const settings: Record<string, string> = {}
  const { certificates } = plan
  if (certificates !== null) {
    settings['ssl.keystore.type'] = 'PEM'
    settings['ssl.keystore.location'] = certificates.serverKeystore
    settings['ssl.key.password'] = keyPassword
    settings['ssl.truststore.type'] = 'PEM'
    settings['ssl.truststore.location'] = certificates.ca
    settings['listener.name.mtls.ssl.client.auth'] = 'required'
  }
  for (const listener of ['sasl', 'sasl_tls'] as const) {
    if (plan.ports.has(listener)) Object.assign(settings, sasl(listener, plan.users))
  }
  if (plan.acls) {
    settings['authorizer.class.name'] =
      plan.version === '4.3'
        ? 'org.apache.kafka.metadata.authorizer.StandardAuthorizer'
        : 'kafka.security.authorizer.AclAuthorizer'
    settings['super.users'] = `User:ANONYMOUS;User:${superUser.name}`
  }
  return settings
}

/** Every mechanism at once; tokens are unsigned (`alg: none`), which only a broker under test accepts. */
function sasl(listener: KafkaListener, users: readonly KafkaUser[]): Record<string, string> {
  const base = `listener.name.${listener}`
  const plainModule = 'org.apache.kafka.common.security.plain.PlainLoginModule'
  const scramModule = 'org.apache.kafka.common.security.scram.ScramLoginModule'
  const tokenModule = 'org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule'
  const known = [superUser, ...users].map(({ name, password }) => `user_${name}="${password}"`)
  return {
    [`${base}.sasl.enabled.mechanisms`]: 'PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER',
    'sasl.enabled.mechanisms': 'PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER',
    [`${base}.plain.sasl.jaas.config`]: `${plainModule} required ${known.join(' ')};`,
    [`${base}.scram-sha-256.sasl.jaas.config`]: `${scramModule} required;`,
    [`${base}.scram-sha-512.sasl.jaas.config`]: `${scramModule} required;`,
    [`${base}.oauthbearer.sasl.jaas.config`]: `${tokenModule} required unsecuredLoginStringClaim_sub="${superUser.name}";`,
  }
}

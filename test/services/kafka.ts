/**
 * Real Kafka brokers for tests and benchmarks, from Maven Central: one or several, with any listeners, the newest
 * and old ones.
 *
 *   await using kafka = await startKafka({ version: '4.3', listeners: ['sasl_tls'], users: [{ name, password }] })
 *   await kafka.createTopic('orders', 3)
 *   await kafka.stop(1, 'SIGKILL'); await kafka.start(1)
 */
import { execFile } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import kafkajs, {
  type Admin,
  type ITopicConfig,
  type Kafka as KafkaClient,
  type Message,
  type Producer,
} from 'kafkajs'
import { freePort, waitFor } from '../support/env.ts'
import { mendTimer } from '../support/kafkajs-timer.ts'
import { makeCertificates, type KafkaCertificates } from './kafka-certificates.ts'
import {
  propertiesOf,
  superUser,
  zookeeperSessionMs,
  type KafkaListener,
  type KafkaUser,
} from './kafka-config.ts'
import { installKafka, kafkaRecipes, type KafkaVersion } from './kafka-install.ts'
import { ServerProcess } from './server-process.ts'

export type { KafkaListener, KafkaUser } from './kafka-config.ts'
export { kafkaVersions, newestAndOldest, type KafkaVersion } from './kafka-install.ts'

export interface KafkaOptions {
  /** 4.3 when absent. */
  readonly version?: KafkaVersion
  /** Number of brokers; 1 when absent. */
  readonly nodes?: number
  /** Beside `plain`, which is always there. All of SASL's mechanisms; TLS from 2.8 on. */
  readonly listeners?: readonly KafkaListener[]
  /** Users of SASL PLAIN and SCRAM, beside `admin`. */
  readonly users?: readonly KafkaUser[]
  /** Only what ACLs allow; nobody logged in (`plain`) and `admin` may do everything. */
  readonly acls?: boolean
  /**
   * For how long a broker that died counts as alive; in tests that kill one, short. One on a machine that stood
   * still for longer counts as dead: what its version takes when absent.
   */
  readonly sessionMs?: number
  /** Lines of server.properties; they win over the defaults. */
  readonly settings?: Readonly<Record<string, string>>
  /** `host:port` that the first broker tells its clients, by listener. */
  readonly advertised?: Partial<Record<KafkaListener, string>>
}

export interface KafkaCluster extends AsyncDisposable {
  readonly version: KafkaVersion
  /** `127.0.0.1:port` of every broker's listener; `plain` when not said. */
  brokers(listener?: KafkaListener): readonly string[]
  readonly certificates: KafkaCertificates | null
  /** kafkajs over `plain`, for what tests have to set up. */
  readonly client: KafkaClient
  readonly admin: Admin
  /** Creates a topic, with three copies where there are as many brokers, and waits until it has leaders. */
  createTopic(
    name: string,
    partitions?: number,
    config?: Readonly<Record<string, string>>,
  ): Promise<void>
  /** Creates topics, and waits until they have leaders. */
  createTopics(topics: readonly ITopicConfig[]): Promise<void>
  /** Deletes a topic, and creates one of its name with one partition as soon as there is room for it. */
  replaceTopic(name: string): Promise<void>
  /** Adds records to one partition, uncompressed; throws where no broker tells of that partition. */
  produce(topic: string, messages: readonly Message[], partition?: number): Promise<void>
  /** Ends a node, 1 when not said; `SIGKILL` as in a crash. */
  stop(node?: number, signal?: 'SIGKILL' | 'SIGTERM'): Promise<void>
  /** Starts it again on the same ports and data. */
  start(node?: number): Promise<void>
  /** Runs a class out of Kafka's jars; its standard output. */
  run(javaClass: string, ...args: readonly string[]): Promise<string>
}

/** Starts a cluster; throws when its programs cannot be had or it does not come up. */
export async function startKafka(options: KafkaOptions = {}): Promise<KafkaCluster> {
  const version = options.version ?? '4.3'
  const jars = await installKafka(version)
  const cluster = new Cluster(jars, version, options)
  try {
    await cluster.prepare()
    await cluster.startAll()
    return cluster
  } catch (error) {
    await cluster[Symbol.asyncDispose]()
    throw error
  }
}

interface Node {
  readonly id: number
  readonly folder: string
  readonly ports: ReadonlyMap<KafkaListener, number>
  readonly advertised: ReadonlyMap<KafkaListener, string>
  readonly controllerPort: number
  readonly process: ServerProcess
}

const clusterId = '5L6g3nShT-eMCtK--X86sw'
/** How often records are sent to a partition that the broker has not told of. */
const triesMax = 20
/** Ready sooner and smaller when idle, on few cores. */
const javaOptions = ['-Xms64m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1']

class Cluster implements KafkaCluster {
  readonly version: KafkaVersion
  certificates: KafkaCertificates | null = null
  readonly #jars: string
  readonly #options: KafkaOptions
  readonly #dir = mkdtempSync(join(tmpdir(), 'sluice-kafka-'))
  readonly #nodes: Node[] = []
  readonly #atExit = (): void => this.#dieWithUs()
  #zookeeper: ServerProcess | null = null
  #quorumPort = 0
  #client: KafkaClient | null = null
  #admin: Admin | null = null
  #producer: Producer | null = null

  constructor(jars: string, version: KafkaVersion, options: KafkaOptions) {
    this.#jars = jars
    this.version = version
    this.#options = options
    process.on('exit', this.#atExit)
  }

  get client(): KafkaClient {
    mendTimer()
    // Its partitioner and its logger warn on standard error otherwise.
    this.#client ??= new kafkajs.Kafka({
      brokers: [...this.brokers()],
      connectionTimeout: 15_000,
      logLevel: kafkajs.logLevel.NOTHING,
      retry: { retries: 20, initialRetryTime: 100, maxRetryTime: 500 },
    })
    return this.#client
  }

  get admin(): Admin {
    return this.#admin!
  }

  brokers(listener: KafkaListener = 'plain'): readonly string[] {
    return this.#nodes.map(({ ports }) => `127.0.0.1:${ports.get(listener)!}`)
  }

  async prepare(): Promise<void> {
    const { listeners = [], nodes = 1 } = this.#options
    if (listeners.some((name) => name !== 'plain' && name !== 'sasl')) {
      this.certificates = makeCertificates(this.#dir)
    }
    for (let id = 1; id <= nodes; id++) {
      const ports = new Map<KafkaListener, number>()
      for (const name of new Set<KafkaListener>(['plain', ...listeners])) {
        ports.set(name, await freePort())
      }
      const folder = join(this.#dir, `node-${id}`)
      mkdirSync(folder)
      const told = id === 1 ? Object.entries(this.#options.advertised ?? {}) : []
      const advertised = new Map(told as [KafkaListener, string][])
      const controllerPort = await freePort()
      const broker = new ServerProcess(`Kafka ${this.version}`, folder)
      this.#nodes.push({ id, folder, ports, advertised, controllerPort, process: broker })
    }
    const { zookeeper } = kafkaRecipes[this.version]
    this.#quorumPort = zookeeper ? await freePort() : this.#nodes[0]!.controllerPort
    for (const node of this.#nodes) this.#configure(node)
  }

  async startAll(): Promise<void> {
    const { zookeeper } = kafkaRecipes[this.version]
    if (zookeeper) await this.#startZookeeper()
    for (const node of this.#nodes) if (!zookeeper) await this.#format(node)
    if (zookeeper) await this.#addScramUsers()
    // Together: a broker without the controller waits for it.
    await Promise.all(this.#nodes.map(({ id }) => this.start(id)))
    this.#admin = this.client.admin()
    await this.#admin.connect()
    await waitFor('every broker to be known', async () => {
      const { brokers, controller } = await this.admin.describeCluster()
      return brokers.length === this.#nodes.length && controller !== null && controller >= 0
    })
  }

  async createTopic(
    name: string,
    partitions = 1,
    config: Readonly<Record<string, string>> = {},
  ): Promise<void> {
    const configEntries = Object.entries(config).map(([key, value]) => ({ name: key, value }))
    const replicationFactor = Math.min(3, this.#nodes.length)
    await this.createTopics([
      { topic: name, numPartitions: partitions, replicationFactor, configEntries },
    ])
  }

  async createTopics(topics: readonly ITopicConfig[]): Promise<void> {
    await this.#create(topics)
    for (const topic of topics) {
      await waitFor(`leaders of ${topic.topic}`, () => this.#hasLeaders(topic))
    }
  }

  async replaceTopic(name: string): Promise<void> {
    const topic = { topic: name, numPartitions: 1, replicationFactor: 1 }
    await this.admin.deleteTopics({ topics: [name], timeout: 60_000 })
    await waitFor(`${name} to be gone`, async () => !(await this.admin.listTopics()).includes(name))
    await waitFor(`${name} to be there again`, async () => {
      // Does nothing where it is there: the old one for a while, which has no leader any more, and then the new one.
      await this.#create([topic])
      return this.#hasLeaders(topic)
    })
  }

  async #create(topics: readonly ITopicConfig[]): Promise<void> {
    // kafkajs' own waiting gives up where a broker has not heard of the topic yet.
    const options = { waitForLeaders: false, timeout: 60_000 }
    await this.admin.createTopics({ topics: [...topics], ...options })
  }

  async #hasLeaders({ topic, numPartitions, replicaAssignment }: ITopicConfig): Promise<boolean> {
    const { topics } = await this.admin.fetchTopicMetadata({ topics: [topic] })
    const found = topics[0]?.partitions ?? []
    const partitions = replicaAssignment?.length ?? numPartitions
    return found.length === partitions && found.every(({ leader }) => leader >= 0)
  }

  async produce(topic: string, messages: readonly Message[], partition = 0): Promise<void> {
    if (messages.length === 0) return
    const placed = messages.map((message) => ({ ...message, partition }))
    for (let tries = 1; ; tries++) {
      this.#producer ??= await this.#newProducer()
      const sent = await this.#producer.send({ topic, messages: placed })
      if (sent.length > 0) return
      if (tries === triesMax) throw new Error(`kafkajs knows no partition ${partition} of ${topic}`)
      // It has dropped them without a word, and would not ask for the topic again for minutes.
      await this.#producer.disconnect()
      this.#producer = null
      await sleep(100)
    }
  }

  async #newProducer(): Promise<Producer> {
    const createPartitioner = kafkajs.Partitioners.DefaultPartitioner
    // Idempotent, so that its own retries double nothing; brokers know of that since 0.11.
    const once = this.version === '0.10' ? {} : { idempotent: true, maxInFlightRequests: 1 }
    const producer = this.client.producer({ createPartitioner, ...once })
    await producer.connect()
    return producer
  }

  async start(id = 1): Promise<void> {
    const node = this.#nodes[id - 1]!
    const words = ['-Xmx512m', 'kafka.Kafka', join(node.folder, 'server.properties')]
    const port = node.ports.get('plain')!
    // A broker opens its port once it is registered and can serve; an old one a moment before.
    const options = { cwd: node.folder, withinMs: 60_000, isReady: () => accepts(port) }
    // One that a standing machine kept from the controller for too long ends, and is well the next time.
    await node.process
      .start(this.#command(words), options)
      .catch(() => node.process.start(this.#command(words), options))
  }

  async stop(id = 1, signal: 'SIGKILL' | 'SIGTERM' = 'SIGTERM'): Promise<void> {
    await this.#nodes[id - 1]!.process.end(signal)
    // ZooKeeper takes it for alive until its session has ended, and one of its id does not start meanwhile.
    if (signal === 'SIGKILL' && kafkaRecipes[this.version].zookeeper) {
      await sleep((this.#options.sessionMs ?? zookeeperSessionMs) + 1000)
    }
  }

  async run(javaClass: string, ...args: readonly string[]): Promise<string> {
    const words = [...javaOptions, '-cp', join(this.#jars, '*'), javaClass, ...args]
    const { stdout } = await promisify(execFile)('java', words, { maxBuffer: 1 << 26 })
    return stdout
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // Neither answers when its broker is gone.
    await Promise.allSettled([this.#producer?.disconnect(), this.#admin?.disconnect()])
    await Promise.all(this.#nodes.map((node) => node.process.end('SIGKILL')))
    await this.#zookeeper?.end('SIGKILL')
    process.off('exit', this.#atExit)
    rmSync(this.#dir, { recursive: true, force: true, maxRetries: 5 })
  }

  #configure(node: Node): void {
    const text = propertiesOf({
      version: this.version,
      id: node.id,
      folder: node.folder,
      ports: node.ports,
      advertised: node.advertised,
      controllerPort: node.controllerPort,
      quorumPort: this.#quorumPort,
      nodes: this.#nodes.length,
      users: this.#options.users ?? [],
      certificates: this.certificates,
      acls: this.#options.acls ?? false,
      sessionMs: this.#options.sessionMs ?? null,
      settings: this.#options.settings ?? {},
    })
    writeFileSync(join(node.folder, 'server.properties'), text)
  }

  /** A KRaft node's folder has to be made beforehand, SCRAM's users with it. */
  async #format(node: Node): Promise<void> {
    if (existsSync(join(node.folder, 'data'))) return
    const scram = this.#scramUsers().flatMap(({ name, password }) =>
      ['SCRAM-SHA-256', 'SCRAM-SHA-512'].flatMap((kind) => [
        '--add-scram',
        `${kind}=[name=${name},password=${password}]`,
      ]),
    )
    const file = join(node.folder, 'server.properties')
    const place = ['format', '-t', clusterId, '-c', file]
    await this.run('kafka.tools.StorageTool', ...place, ...scram)
  }

  /** In ZooKeeper, where the brokers read them. */
  async #addScramUsers(): Promise<void> {
    for (const { name, password } of this.#scramUsers()) {
      const kinds = ['SCRAM-SHA-256', 'SCRAM-SHA-512']
      const config = kinds.map((kind) => `${kind}=[password=${password}]`).join(',')
      const place = ['--zookeeper', `127.0.0.1:${this.#quorumPort}`, '--alter']
      const entity = ['--entity-type', 'users', '--entity-name', name]
      await this.run('kafka.admin.ConfigCommand', ...place, ...entity, '--add-config', config)
    }
  }

  #scramUsers(): readonly KafkaUser[] {
    const { listeners = [], users = [] } = this.#options
    const wanted = listeners.some((name) => name === 'sasl' || name === 'sasl_tls')
    return wanted ? [superUser, ...users] : []
  }

  async #startZookeeper(): Promise<void> {
    const file = join(this.#dir, 'zookeeper.properties')
    const settings = [
      'tickTime=500',
      `dataDir=${join(this.#dir, 'zookeeper')}`,
      `clientPort=${this.#quorumPort}`,
      'clientPortAddress=127.0.0.1',
      'admin.enableServer=false',
      'maxClientCnxns=0',
    ]
    writeFileSync(file, `${settings.join('\n')}\n`)
    const main = 'org.apache.zookeeper.server.quorum.QuorumPeerMain'
    this.#zookeeper = new ServerProcess('ZooKeeper', this.#dir)
    const isReady = (): Promise<boolean> => accepts(this.#quorumPort)
    const command = this.#command(['-Xmx128m', main, file])
    await this.#zookeeper.start(command, { cwd: this.#dir, isReady })
  }

  #command(words: readonly string[]): readonly string[] {
    const place = ['-Dzookeeper.sasl.client=false', '-cp', join(this.#jars, '*')]
    const command = ['java', ...javaOptions, ...place, ...words]
    // On Linux the kernel kills the server when this process dies in whatever way.
    return process.platform === 'linux' ? ['setpriv', '--pdeathsig=KILL', ...command] : command
  }

  #dieWithUs(): void {
    for (const node of this.#nodes) node.process.signal('SIGKILL')
    this.#zookeeper?.signal('SIGKILL')
    rmSync(this.#dir, { recursive: true, force: true, maxRetries: 5 })
  }
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}

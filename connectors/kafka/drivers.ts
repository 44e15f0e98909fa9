/** The driver of a source: its library, its brokers, its login. Connects at the first call. */
import type { Context } from '../../core/connector/context.ts'
import { parseAddress, type Address } from './broker-address.ts'
import { KafkaClient } from './client.ts'
import { KafkajsTransport } from './driver-kafkajs.ts'
import { PlatformaticTransport } from './driver-platformatic.ts'
import type { Security } from './security-config.ts'
import { credentialsOf, userOf } from './security.ts'

export interface DriverOptions extends Security {
  readonly driver: 'kafkajs' | 'platformatic'
  /** `host:port`; the configuration has seen to that. */
  readonly brokers: readonly string[]
}

/** Throws `source.kafka.tls` where certificates cannot be read. */
export async function openDriver(
  options: DriverOptions,
  { clock }: Pick<Context, 'clock'>,
): Promise<KafkaClient> {
  const credentials = credentialsOf(options, () => clock.nowMs())
  const carrier =
    options.driver === 'kafkajs'
      ? new KafkajsTransport(credentials)
      : await PlatformaticTransport.load(credentials)
  return new KafkaClient({
    transport: {
      connect: (address) => carrier.connect(address),
      [Symbol.asyncDispose]: async () => credentials[Symbol.asyncDispose](),
    },
    bootstrap: options.brokers.map((text): Address => parseAddress(text)!),
    user: userOf(credentials),
    logsIn: credentials.sasl !== null,
  })
}

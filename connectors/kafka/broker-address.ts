/** `host:port` of a broker; an IPv6 address stands in brackets. */
import { isIP } from 'node:net'
import { z } from 'zod'

export interface Address {
  readonly host: string
  readonly port: number
}

/** null: it is none. */
export function parseAddress(text: string): Address | null {
  const match = /^(?:\[([0-9A-Fa-f:.]+)\]|([^\s:/[\]@,]+)):(\d{1,5})$/.exec(text)
  const host = match?.[1] ?? match?.[2]
  const port = Number(match?.[3])
  if (host === undefined || port < 1 || port > 65_535) return null
  return match?.[1] !== undefined && isIP(host) !== 6 ? null : { host, port }
}

export function addressOf({ host, port }: Address): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}

export const brokersConfig = z
  .array(
    z.string().superRefine((text, ctx) => {
      if (parseAddress(text) !== null) return
      ctx.addIssue({ code: 'custom', message: 'expected host:port, such as kafka-1:9092' })
    }),
  )
  .min(1)
  .meta({
    description:
      'Brokers to begin with, as host:port; they tell about the others. Two or three, so that one may be down.',
    examples: [['kafka-1:9092', 'kafka-2:9092']],
  })

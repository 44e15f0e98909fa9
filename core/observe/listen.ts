/** How the servers of this process begin to listen: `/metrics` and the like, and the door for webhooks. */
import { once } from 'node:events'
import { isIPv6, type Server } from 'node:net'
import { codes, type Code } from '../errors/codes.ts'
import { SluiceError } from '../errors/error.ts'

export interface ListenOptions {
  readonly host: string
  /** 0 = any free port. */
  readonly port: number
  /** Of the error where the port cannot be had. */
  readonly code: Code
}

/** Resolves with `host:port` as an address has it, of the port that was had. */
export async function listen(server: Server, { host, port, code }: ListenOptions): Promise<string> {
  const name = isIPv6(host) ? `[${host}]` : host
  const listening = once(server, 'listening')
  server.listen({ host, port })
  try {
    await listening
  } catch (error) {
    const why = (error as NodeJS.ErrnoException).code ?? 'unknown error'
    throw new SluiceError(code, {
      message: `cannot listen on ${name}:${port}: ${why}`,
      cause: error,
      // Another process may be about to end; an address that is not ours stays so.
      fault: why === 'EADDRINUSE' ? codes[code].fault : 'config',
    })
  }
  const address = server.address()
  return `${name}:${typeof address === 'object' && address !== null ? address.port : port}`
}

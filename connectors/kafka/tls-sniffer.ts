/**
 * A broker's TLS port answers plain bytes with an alert of TLS, which would be taken for the length of an answer of
 * 352 MB, and waited for. The first bytes tell.
 */
import type { Socket } from 'node:net'

/** Destroys the socket when the other side speaks TLS, and says so in `ended`. */
export function refuseTls(socket: Socket, ended: { error: Error | null }): void {
  socket.prependOnceListener('data', (bytes: Buffer) => {
    const error = tlsWanted(bytes)
    if (error === null) return
    ended.error = error
    socket.destroy(error)
  })
}

/** What is wrong where these, the first bytes of a broker, are TLS; null where they are not. */
export function tlsWanted(bytes: Uint8Array): Error | null {
  return isTlsRecord(bytes) ? new Error('the broker requires TLS on this port') : null
}

/** Kinds 20 to 23 of SSL 3.0 to TLS 1.3 (RFC 8446, 5.1). */
function isTlsRecord(bytes: Uint8Array): boolean {
  const [kind = 0, major = 0, minor = 255] = bytes
  return kind >= 20 && kind <= 23 && major === 3 && minor <= 4
}

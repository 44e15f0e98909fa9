/**
 * What Node's own error codes of a socket mean, whatever is spoken over it: a connection that could not
 * be made or was lost, or TLS that did not come about. The rest is the protocol's, and each connector's.
 */
const connectionCodes: ReadonlySet<string> = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ECONNABORTED',
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENETDOWN',
  'EAI_AGAIN',
  'ENOTFOUND',
  // A socket file that is not there.
  'ENOENT',
  'ERR_STREAM_WRITE_AFTER_END',
  'ERR_STREAM_DESTROYED',
])
const tlsCodes =
  /^(CERT_|ERR_TLS_|ERR_SSL_|EPROTO|DEPTH_ZERO_SELF_SIGNED_CERT|SELF_SIGNED_CERT|UNABLE_TO_)/

/** null: the code is none of these. */
export function socketFault(code: string): 'connection' | 'tls' | null {
  if (connectionCodes.has(code)) return 'connection'
  return tlsCodes.test(code) ? 'tls' : null
}

/**
 * X.509 certificates for tests of TLS: an authority, and certificates for names and addresses signed by
 * it. Made by hand, because Node has no maker of certificates and a program may be missing.
 *
 *   Certificate = SEQUENCE { tbs, algorithm, BIT STRING signature }                     (RFC 5280, §4.1)
 *   tbs = SEQUENCE { [0] version 3, serial, algorithm, issuer, validity, subject, key, [3] extensions }
 */
import { createPrivateKey, generateKeyPairSync, randomBytes, sign } from 'node:crypto'

export interface Certificate {
  /** PEM. */
  readonly cert: string
  readonly key: string
  readonly name: string
}

/** A certificate that may sign others. */
export function makeAuthority(name: string): Certificate {
  return make(name, null, [extension('551d13', true, sequence(der(0x01, Buffer.of(0xff))))])
}

/** A server's: `hosts` are DNS names, or IPv4 addresses. */
export function makeCertificate(hosts: readonly string[], authority: Certificate): Certificate {
  const names = hosts.map((host) =>
    /^[\d.]+$/.test(host)
      ? der(0x87, Buffer.from(host.split('.').map(Number)))
      : der(0x82, Buffer.from(host)),
  )
  return make('server', authority, [extension('551d11', false, sequence(...names))])
}

function make(
  name: string,
  authority: Certificate | null,
  extensions: readonly Buffer[],
): Certificate {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const algorithm = sequence(oid('2a8648ce3d040302'))
  const tbs = sequence(
    der(0xa0, der(0x02, Buffer.of(2))),
    der(0x02, Buffer.concat([Buffer.of(1), randomBytes(8)])),
    algorithm,
    distinguished(authority?.name ?? name),
    sequence(time(Date.now() - 86_400_000), time(Date.now() + 86_400_000)),
    distinguished(name),
    publicKey.export({ type: 'spki', format: 'der' }),
    der(0xa3, sequence(...extensions)),
  )
  const signer = authority === null ? privateKey : createPrivateKey(authority.key)
  const signature = der(0x03, Buffer.concat([Buffer.of(0), sign('sha256', tbs, signer)]))
  const bytes = sequence(tbs, algorithm, signature).toString('base64')
  const lines = bytes.match(/.{1,64}/g)!.join('\n')
  return {
    name,
    cert: `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`,
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  }
}

function der(tag: number, body: Buffer): Buffer {
  const { length } = body
  const size =
    length < 128
      ? Buffer.of(length)
      : length < 256
        ? Buffer.of(0x81, length)
        : Buffer.of(0x82, length >> 8, length & 0xff)
  return Buffer.concat([Buffer.of(tag), size, body])
}
function sequence(...parts: readonly Buffer[]): Buffer {
  return der(0x30, Buffer.concat(parts))
}
function oid(hex: string): Buffer {
  return der(0x06, Buffer.from(hex, 'hex'))
}
/** A name of one part, the common name. */
function distinguished(name: string): Buffer {
  return sequence(der(0x31, sequence(oid('550403'), der(0x0c, Buffer.from(name)))))
}
function extension(id: string, critical: boolean, value: Buffer): Buffer {
  const flag = critical ? [der(0x01, Buffer.of(0xff))] : []
  return sequence(oid(id), ...flag, der(0x04, value))
}
/** UTCTime: YYMMDDHHMMSSZ. */
function time(ms: number): Buffer {
  const text = new Date(ms).toISOString().replaceAll(/[-:T]/g, '').slice(2, 14)
  return der(0x17, Buffer.from(`${text}Z`))
}

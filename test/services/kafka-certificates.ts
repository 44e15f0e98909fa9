/** An authority of our own with a server's and a client's certificate, made by openssl; nothing else trusts it. */
import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

export interface KafkaCertificates {
  /** PEM files. The server's are for `localhost` and 127.0.0.1. */
  readonly ca: string
  /** The server's key and chain in one file, as Kafka reads it. */
  readonly serverKeystore: string
  readonly clientCertificate: string
  readonly clientKey: string
  /** Of another authority. */
  readonly otherCa: string
}

/** Of the server's key. */
export const keyPassword = 'sluice-test'

export function makeCertificates(folder: string): KafkaCertificates {
  const at = (name: string): string => join(folder, name)
  const openssl = (...words: readonly string[]): void => {
    execFileSync('openssl', words, { stdio: 'ignore' })
  }
  for (const name of ['ca', 'other']) {
    const names = ['-subj', `/CN=Sluice test ${name}`, '-days', '3650']
    const key = ['-newkey', 'rsa:2048', '-nodes', '-keyout', at(`${name}.key`)]
    openssl('req', '-x509', ...key, ...names, '-out', at(`${name}.pem`))
  }
  const extensions = at('server.ext')
  writeFileSync(extensions, 'subjectAltName=DNS:localhost,IP:127.0.0.1\n')
  for (const name of ['server', 'client']) {
    const key = ['-newkey', 'rsa:2048', '-nodes', '-keyout', at(`${name}.key`)]
    openssl('req', ...key, '-subj', `/CN=${name}`, '-out', at(`${name}.csr`))
    const signer = ['-CA', at('ca.pem'), '-CAkey', at('ca.key'), '-CAcreateserial']
    const names = name === 'server' ? ['-extfile', extensions] : []
    const out = ['-days', '3650', '-out', at(`${name}.pem`)]
    openssl('x509', '-req', '-in', at(`${name}.csr`), ...signer, ...names, ...out)
  }
  const read = (name: string): string => readFileSync(at(name), 'utf8')
  // Kafka before 3.0 takes no key without a password.
  const password = ['-v1', 'PBE-SHA1-3DES', '-passout', `pass:${keyPassword}`]
  openssl('pkcs8', '-topk8', '-in', at('server.key'), ...password, '-out', at('server.p8'))
  writeFileSync(at('keystore.pem'), read('server.p8') + read('server.pem') + read('ca.pem'))
  return {
    ca: at('ca.pem'),
    serverKeystore: at('keystore.pem'),
    clientCertificate: at('client.pem'),
    clientKey: at('client.key'),
    otherCa: at('other.pem'),
  }
}

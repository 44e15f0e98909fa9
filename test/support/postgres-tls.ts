/** A real PostgreSQL that shows a certificate from now on. */
import { chmodSync } from 'node:fs'
import { join } from 'node:path'
import type { PostgresServer } from '../services/postgres.ts'

/** The files are the server's: the key may be read by its user alone, who may be another than ours. */
export async function servePostgresTls(
  server: PostgresServer & { restart(): Promise<void> },
  { cert, key }: { readonly cert: string; readonly key: string },
): Promise<void> {
  await server.query('CREATE TABLE IF NOT EXISTS pem (text text)')
  for (const [file, text] of Object.entries({ 'server.crt': cert, 'server.key': key })) {
    const target = join(server.dir, 'data', file)
    await server.query('TRUNCATE pem')
    await server.query('INSERT INTO pem SELECT unnest(string_to_array($1, chr(10)))', [text])
    await server.query(`COPY pem TO '${target}'`)
    chmodSync(target, 0o600)
  }
  await server.query('ALTER SYSTEM SET ssl = on')
  await server.restart()
}

/** What the errors of a Postgres that is read mean (core/connector/postgres-error.ts). */
import {
  postgresError as errorBy,
  type PostgresErrors,
} from '../../core/connector/postgres-error.ts'
import type { SluiceError } from '../../core/errors/error.ts'

const errors: PostgresErrors = {
  rules: [
    ['55006', 'source.postgres.slot_active'],
    ['42704', 'source.postgres.publication_missing', /publication/],
    ['42704', 'source.postgres.slot_missing'],
    ['55000', 'source.postgres.wal_level', /wal_level/],
    // "can no longer get changes from" (14–17), "can no longer access" (18), "cannot read from".
    ['55000', 'source.postgres.slot_lost', /slot/],
    ['58P01', 'source.postgres.slot_lost', /WAL segment/],
    ['57P01', 'source.postgres.server_restarting'],
    ['57P02', 'source.postgres.server_restarting'],
    ['57P03', 'source.postgres.server_restarting'],
    ['57P05', 'source.postgres.connection'],
    ['57', 'source.postgres.busy'],
    ['53', 'source.postgres.busy'],
    ['40', 'source.postgres.busy'],
    ['55P03', 'source.postgres.busy'],
    ['42501', 'source.postgres.permission'],
    ['28', 'source.postgres.auth'],
    ['3D000', 'source.postgres.auth'],
    ['08', 'source.postgres.connection'],
  ],
  connection: 'source.postgres.connection',
  tls: 'source.postgres.tls',
  server: 'source.postgres.server',
}

/** Anything thrown while doing `what` ("read slot orders"), as a SluiceError. */
export function postgresError(thrown: unknown, what: string): SluiceError {
  return errorBy(errors, thrown, what)
}

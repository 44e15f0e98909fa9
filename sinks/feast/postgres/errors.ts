/** What the errors of an online store in Postgres mean (core/connector/postgres-error.ts). */
import {
  postgresError as errorBy,
  type PostgresErrors,
} from '../../../core/connector/postgres-error.ts'
import type { SluiceError } from '../../../core/errors/error.ts'

const errors: PostgresErrors = {
  rules: [
    ['53100', 'sink.feast.postgres_full'],
    // Of two processes that create a table at a time one is told that a name is taken.
    ['23505', 'sink.feast.postgres_busy'],
    ['42P07', 'sink.feast.postgres_busy'],
    ['53', 'sink.feast.postgres_busy'],
    ['55', 'sink.feast.postgres_busy'],
    ['40', 'sink.feast.postgres_busy'],
    ['57014', 'sink.feast.postgres_busy'],
    ['57', 'sink.feast.postgres_connection'],
    ['08', 'sink.feast.postgres_connection'],
    // A standby, until it takes over or the name leads elsewhere.
    ['25006', 'sink.feast.postgres_read_only'],
    ['28', 'sink.feast.postgres_access'],
    ['3D000', 'sink.feast.postgres_access'],
    ['42501', 'sink.feast.postgres_access'],
    ['42P01', 'sink.feast.postgres_table'],
    ['42703', 'sink.feast.postgres_table'],
    ['42P10', 'sink.feast.postgres_table'],
    ['42804', 'sink.feast.postgres_table'],
    ['3F000', 'sink.feast.postgres_table'],
  ],
  connection: 'sink.feast.postgres_connection',
  tls: 'sink.feast.postgres_tls',
  server: 'sink.feast.postgres_server',
}

/** Anything thrown while doing `what` ("write view users"), as a SluiceError. */
export function postgresError(thrown: unknown, what: string): SluiceError {
  return errorBy(errors, thrown, what)
}

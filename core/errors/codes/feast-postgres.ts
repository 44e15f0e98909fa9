import type { CodeTable } from './table.ts'

/** The feature store in PostgreSQL (sinks/feast/postgres). */
export const feastPostgresCodes = {
  'sink.feast.postgres_connection': {
    fault: 'transient',
    cause: 'The server of the online store cannot be reached, or the connection to it was lost.',
    remedy: 'Check that the server runs and that host and port are right.',
  },
  'sink.feast.postgres_busy': {
    fault: 'transient',
    cause: 'The server of the online store is short of connections, memory or locks.',
    remedy: 'Nothing, if it passes; else give the server more, or find what holds its locks.',
  },
  'sink.feast.postgres_full': {
    fault: 'transient',
    cause: 'The disk of the online store is full.',
    remedy: 'Make room. Nothing is lost: the rows wait in the log.',
  },
  'sink.feast.postgres_read_only': {
    fault: 'transient',
    cause: 'The server of the online store is a standby, or is set to read only.',
    remedy: 'Point `url` at the primary.',
  },
  'sink.feast.postgres_access': {
    fault: 'config',
    cause: 'The server of the online store refuses the user, the database or a statement.',
    remedy:
      'Check user, password and database in `url`. The user needs INSERT, UPDATE, DELETE and SELECT on the tables of the views, and CREATE on the schema unless `feast apply` has made them.',
  },
  'sink.feast.postgres_tls': {
    fault: 'config',
    cause: 'The encrypted connection to the online store did not come about.',
    remedy: 'Name its authority by `sslrootcert` in `url`, or set `sslmode`.',
  },
  'sink.feast.postgres_url': {
    fault: 'config',
    cause: 'The address of the online store cannot be used.',
    remedy: 'Write it as postgres://user:password@host:5432/database.',
  },
  'sink.feast.postgres_table': {
    fault: 'config',
    cause:
      'The table of a view is not there, or is not as Feast 0.67 makes it. It was dropped or altered, or belongs to something else.',
    remedy:
      'Rename or drop the table and let Sluice or `feast apply` make it; `sluice replay` fills it again.',
  },
  'sink.feast.postgres_server': {
    fault: 'config',
    cause: 'The server of the online store answered with an error that has no rule of its own.',
    remedy: 'Look the SQLSTATE up in PostgreSQL’s documentation, Appendix A.',
  },
} as const satisfies CodeTable

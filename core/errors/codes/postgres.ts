import type { CodeTable } from './table.ts'

/** Codes that begin with `source.postgres.`. */
export const postgresCodes = {
  'source.postgres.protocol': {
    fault: 'config',
    cause:
      'The server sent a replication message that does not follow the protocol this version of Sluice knows.',
    remedy:
      'Check that nothing between Sluice and the server rewrites the stream (a proxy, a pooler) and that the server version is supported; nothing was lost, the slot keeps the changes.',
  },
  'source.postgres.value': {
    fault: 'config',
    cause:
      'A value is not written as PostgreSQL writes that type under the session settings of Sluice.',
    remedy:
      'Check that nothing between Sluice and the server changes session settings such as DateStyle; nothing was lost, the slot keeps the changes.',
  },
  'source.postgres.connection': {
    fault: 'transient',
    cause: 'The connection to the server could not be made or was lost.',
    remedy: 'Check that the server is up and reachable; Sluice tries again by itself.',
  },
  'source.postgres.server_restarting': {
    fault: 'transient',
    cause:
      'The server is starting, stopping, or ended this connection on an administrator’s order.',
    remedy: 'Nothing to do while it restarts; Sluice tries again by itself.',
  },
  'source.postgres.busy': {
    fault: 'transient',
    cause:
      'The server has no free connection, WAL sender, memory or disk, or cancelled the statement.',
    remedy: 'Free or raise the named resource on the server; Sluice tries again by itself.',
  },
  'source.postgres.silent': {
    fault: 'transient',
    cause: 'The server sent nothing for twice its own wal_sender_timeout.',
    remedy: 'Check the network between Sluice and the server; Sluice connects again by itself.',
  },
  'source.postgres.slot_active': {
    fault: 'transient',
    cause: 'Another connection is reading from the replication slot.',
    remedy:
      'Stop the other reader, or give this pipeline its own `slot`; a stale connection goes away after wal_sender_timeout.',
  },
  'source.postgres.slot_missing': {
    fault: 'config',
    cause: 'The replication slot does not exist on the server.',
    remedy:
      'The changes since the last committed position are gone with it: take a new snapshot of the tables.',
  },
  'source.postgres.slot_lost': {
    fault: 'config',
    cause:
      'The server removed WAL that the replication slot still needed, or invalidated the slot.',
    remedy:
      'Raise max_slot_wal_keep_size (and idle_replication_slot_timeout), drop the slot, and take a new snapshot of the tables.',
  },
  'source.postgres.publication_missing': {
    fault: 'config',
    cause: 'The publication did not exist at the place in the WAL that is being decoded.',
    remedy:
      'Create the publication before the slot. Where it was dropped and created again later, drop the slot and take a new snapshot.',
  },
  'source.postgres.auth': {
    fault: 'config',
    cause: 'The server refused the user, the password, the database or this kind of connection.',
    remedy:
      'Check the url, pg_hba.conf, and that the user has LOGIN and REPLICATION and may connect to the database.',
  },
  'source.postgres.permission': {
    fault: 'config',
    cause: 'The user lacks a privilege.',
    remedy: 'Grant what the message names: REPLICATION to the user, SELECT on the tables.',
  },
  'source.postgres.wal_level': {
    fault: 'config',
    cause: 'The server does not write what logical decoding needs.',
    remedy: "Run ALTER SYSTEM SET wal_level = 'logical' and restart the server.",
  },
  'source.postgres.tls': {
    fault: 'config',
    cause: 'The TLS connection was refused or its certificate could not be verified.',
    remedy: 'Check sslmode and sslrootcert in the url, and the name in the server’s certificate.',
  },
  'source.postgres.server': {
    fault: 'config',
    cause: 'The server answered with an error that has no other entry here.',
    remedy: 'Look up the SQLSTATE in the message in PostgreSQL’s Appendix A, and the server’s log.',
  },
} as const satisfies CodeTable

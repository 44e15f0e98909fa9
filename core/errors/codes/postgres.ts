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
  'source.postgres.partition_truncated': {
    fault: 'config',
    cause:
      'A partition of a followed table was truncated by itself; the topic of the whole table cannot say which of its rows are gone.',
    remedy:
      'Drop the slot and take a new snapshot of the table. ALTER PUBLICATION … SET (publish_via_partition_root = true) makes the server treat all partitions as one table from then on.',
  },
  'source.postgres.server': {
    fault: 'config',
    cause: 'The server answered with an error that has no other entry here.',
    remedy: 'Look up the SQLSTATE in the message in PostgreSQL’s Appendix A, and the server’s log.',
  },
  // Preflight, publication, slot and first copy.
  'source.postgres.url': {
    fault: 'config',
    cause: 'The connection URL cannot be used as it is written.',
    remedy:
      'Write it as postgres://user:password@host:5432/database?sslmode=verify-full, with special characters percent-encoded.',
  },
  'source.postgres.version': {
    fault: 'config',
    cause:
      'The server is older than PostgreSQL 14, whose logical replication lacks what Sluice relies on.',
    remedy: 'Upgrade the server to PostgreSQL 14 or newer.',
  },
  'source.postgres.standby': {
    fault: 'config',
    cause: 'The server is a standby, which cannot say which transactions a snapshot contains.',
    remedy: 'Connect to the primary.',
  },
  'source.postgres.capacity': {
    fault: 'config',
    cause: 'All replication slots or WAL senders of the server are in use.',
    remedy:
      'Raise max_replication_slots or max_wal_senders and restart the server, or drop a slot that nobody reads.',
  },
  'source.postgres.table_missing': {
    fault: 'config',
    cause: 'A configured table does not exist, or is no table that logical replication can follow.',
    remedy: 'Correct the name in `tables`; names are spelled exactly as the server stores them.',
  },
  'source.postgres.no_key': {
    fault: 'config',
    cause:
      'A table has no replica identity. Once it is published, the server refuses every UPDATE and DELETE on it, also those of your application.',
    remedy: 'Add a primary key, or run ALTER TABLE … REPLICA IDENTITY FULL.',
  },
  'source.postgres.row_security': {
    fault: 'config',
    cause:
      'Row-level security would hide rows of a table from the snapshot, but not from the stream.',
    remedy: 'Give the user BYPASSRLS, or turn row-level security off for the table.',
  },
  'source.postgres.publication': {
    fault: 'config',
    cause: 'The publication does not send what the configuration asks for.',
    remedy: 'Run the statement in the message, or set create_publication: true.',
  },
  'source.postgres.slot_in_use': {
    fault: 'config',
    cause:
      'The replication slot belongs to something else: another plugin, another database, or a physical standby.',
    remedy: 'Set `slot` to a name that is free.',
  },
  'source.postgres.slot_ahead': {
    fault: 'config',
    cause:
      'The replication slot has let go of changes that are not in the log: somebody else read from it, or it was dropped and created again.',
    remedy:
      'These changes cannot be had any more. Drop the slot and start with an empty log, so that the tables are copied again.',
  },
  'source.postgres.slot_waits': {
    fault: 'transient',
    cause:
      'A replication slot or snapshot cannot be made while transactions that began earlier are open.',
    remedy: 'End the transactions that the message names, or wait for them.',
  },
  'source.postgres.slot_wal': {
    fault: 'config',
    cause: 'The server is about to remove WAL that the replication slot still needs.',
    remedy: 'Raise max_slot_wal_keep_size, or let Sluice catch up sooner.',
  },
  'source.postgres.position': {
    fault: 'config',
    cause:
      'The position in the log is not one of this source: the log belongs to another server or to another kind of source.',
    remedy: 'Point the pipeline at the server it was started with, or at an empty log.',
  },
  'source.postgres.table_changed': {
    fault: 'transient',
    cause: 'A table was changed or dropped while it was being copied.',
    remedy: 'Nothing to do; Sluice looks at the tables again and goes on.',
  },
} as const satisfies CodeTable

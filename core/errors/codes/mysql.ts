import type { CodeTable } from './table.ts'

/** Codes that begin with `source.mysql.`. */
export const mysqlCodes = {
  'source.mysql.protocol': {
    fault: 'config',
    cause:
      'The server sent a packet or binlog event that does not follow the format this version of Sluice knows.',
    remedy:
      'Check that nothing between Sluice and the server rewrites the stream (a proxy) and that the server version is supported; nothing was lost, the stream stops in front of that event.',
  },
  'source.mysql.url': {
    fault: 'config',
    cause: 'The connection URL cannot be used as it is written.',
    remedy:
      'Write it as mysql://user:password@host:3306?ssl-mode=verify-identity, with special characters percent-encoded; it needs no database.',
  },
  'source.mysql.connection': {
    fault: 'transient',
    cause: 'The connection to the server could not be made or was lost.',
    remedy: 'Check that the server is up and reachable; Sluice tries again by itself.',
  },
  'source.mysql.server_restarting': {
    fault: 'transient',
    cause:
      'The server is starting, stopping, or ended this connection on an administrator’s order.',
    remedy: 'Nothing to do while it restarts; Sluice tries again by itself.',
  },
  'source.mysql.busy': {
    fault: 'transient',
    cause:
      'The server has no free connection, memory or disk, a lock was not to be had in time, or it cancelled the statement.',
    remedy: 'Free or raise the named resource on the server; Sluice tries again by itself.',
  },
  'source.mysql.silent': {
    fault: 'transient',
    cause: 'The server sent nothing for twice the time after which it was to say that it is alive.',
    remedy: 'Check the network between Sluice and the server; Sluice connects again by itself.',
  },
  'source.mysql.tls': {
    fault: 'config',
    cause: 'The TLS connection was refused or its certificate could not be verified.',
    remedy:
      'In the url: ssl-ca=/path/to/ca.pem names who signed the server’s certificate, ssl-mode=required encrypts without checking it, ssl-mode=disabled is for servers without TLS. The host has to be a name of the certificate.',
  },
  'source.mysql.auth': {
    fault: 'config',
    cause: 'The server refused the user, the password, this host or this kind of connection.',
    remedy:
      'Check the url, that the account exists for the host Sluice connects from, that its password has not expired, and that it is not locked; an account with REQUIRE SSL needs ssl-mode=required in the url.',
  },
  'source.mysql.permission': {
    fault: 'config',
    cause: 'The user lacks a privilege for what Sluice has to do.',
    remedy:
      'GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* and SELECT on each table to the user of the url.',
  },
  'source.mysql.server_id_clash': {
    fault: 'transient',
    cause: 'Another reader of the binlog came with the same server id and took this one’s place.',
    remedy:
      'Sluice comes back with another id by itself, unless `server_id` is set: give each replica and each pipeline its own.',
  },
  'source.mysql.binlog_purged': {
    fault: 'config',
    cause: 'The server has removed binlogs whose changes are not in the log yet.',
    remedy:
      'Those changes are gone: set on_purged: resnapshot to copy the tables again, and raise binlog_expire_logs_seconds.',
  },
  'source.mysql.binlog_ahead': {
    fault: 'config',
    cause:
      'The log holds changes that the server does not have: it was restored from a backup, lost the end of its binlog in a crash, or is another server.',
    remedy:
      'Connect to the server that has them, or start with an empty log (another log.url or pipeline name), so that the tables are copied again as they are now.',
  },
  'source.mysql.binlog_off': {
    fault: 'config',
    cause: 'The server writes no binlog, or not under GTIDs any more.',
    remedy: 'Start it with log_bin; where the log was written under GTIDs, set gtid_mode=ON again.',
  },
  'source.mysql.binlog_unreadable': {
    fault: 'config',
    cause: 'The server cannot read its own binlog at the place asked for.',
    remedy:
      'See the server’s error log; if the binlog is damaged, its changes are lost: purge the damaged files and set on_purged: resnapshot to copy the tables again.',
  },
  'source.mysql.other_server': {
    fault: 'config',
    cause:
      'The url leads to another server than before, and without GTIDs a place in one server’s binlog means nothing on another.',
    remedy:
      'Connect to the server that was read before, or start with an empty log (another log.url or pipeline name). gtid_mode=ON makes servers interchangeable.',
  },
  'source.mysql.server': {
    fault: 'config',
    cause: 'The server answered with an error that has no other entry here.',
    remedy:
      'Look up the number in the message in the server’s error reference, and the server’s log.',
  },
  // Preflight and schemas.
  'source.mysql.version': {
    fault: 'config',
    cause: 'The server is none that Sluice can read from.',
    remedy: 'Use MySQL 8.0 or newer, or MariaDB 10.6 or newer.',
  },
  'source.mysql.server_id': {
    fault: 'config',
    cause: 'The server has no server_id, and lets nobody read its binlog without one.',
    remedy: 'SET GLOBAL server_id = 1; and put it into the server’s configuration.',
  },
  'source.mysql.binlog_format': {
    fault: 'config',
    cause: 'The server writes statements instead of rows into its binlog.',
    remedy:
      'SET GLOBAL binlog_format = ROW; put it into the server’s configuration, and restart the applications, whose open sessions keep the old format.',
  },
  'source.mysql.row_image': {
    fault: 'config',
    cause: 'The server leaves columns out of the rows in its binlog.',
    remedy:
      'Nothing has to be done: what is left out is taken from Sluice’s own state. binlog_row_image = FULL saves that work.',
  },
  'source.mysql.row_metadata': {
    fault: 'config',
    cause: 'The server does not describe tables in its binlog.',
    remedy:
      'SET GLOBAL binlog_row_metadata = FULL; until then schemas are read from the catalog and followed by the DDL in the binlog.',
  },
  'source.mysql.gtid': {
    fault: 'config',
    cause: 'The server’s transactions have no names that other servers know them by.',
    remedy: 'Turn gtid_mode on (MySQL), or gtid_strict_mode (MariaDB), to be able to fail over.',
  },
  'source.mysql.retention': {
    fault: 'config',
    cause: 'The server removes binlogs soon.',
    remedy:
      'Raise binlog_expire_logs_seconds, so that a pipeline that stands still for a while loses nothing.',
  },
  'source.mysql.table_missing': {
    fault: 'config',
    cause: 'A configured table does not exist, or is not to be seen.',
    remedy: 'Correct the name in `tables`; names are spelled exactly as the server stores them.',
  },
  'source.mysql.table_kind': {
    fault: 'config',
    cause:
      'A configured table is a view, a sequence or a system-versioned table, whose rows cannot be followed by the binlog.',
    remedy: 'Take it out of `tables`, and name the tables that its rows come from.',
  },
  'source.mysql.no_key': {
    fault: 'config',
    cause: 'A table has no key that tells its rows apart well.',
    remedy: 'Add a primary key.',
  },
  'source.mysql.engine': {
    fault: 'config',
    cause: 'A table’s engine has no transactions.',
    remedy: 'ALTER TABLE … ENGINE = InnoDB.',
  },
  'source.mysql.schema_unknown': {
    fault: 'config',
    cause:
      'Rows of a table cannot be read: the binlog does not describe its columns, and neither the DDL in the binlog nor the catalog tells what they were.',
    remedy:
      'Set on_purged: resnapshot for the table, so that it is copied again instead; SET GLOBAL binlog_row_metadata = FULL keeps it from happening. Nothing was lost: the stream stops in front of the rows.',
  },
  'source.mysql.value': {
    fault: 'config',
    cause:
      'A value is not written as the server writes that type under the session settings of Sluice, or is a text with bytes that its character set does not have.',
    remedy:
      'Check that nothing between Sluice and the server changes session settings such as sql_mode; correct texts that are none. Nothing was lost, Sluice stops in front of the value.',
  },
  'source.mysql.zero_date': {
    fault: 'config',
    cause:
      'A column holds a date that no calendar has: 0000-00-00, a month or day of 0, or a day beyond the month’s end.',
    remedy:
      'Say in the source what it is to become: `zero_dates: as_null` reads it as null, `zero_dates: text` makes such columns exact text. Nothing was lost, Sluice stops in front of the value.',
  },
  'source.mysql.type': {
    fault: 'config',
    cause: 'A column has a type that this version of Sluice cannot read from the binlog.',
    remedy:
      'Leave the table out, or set binlog_row_metadata=FULL on the server where sign or character set of a column are what is not known.',
  },
  'source.mysql.charset': {
    fault: 'config',
    cause: 'A column has a character set that this version of Sluice does not know.',
    remedy: 'Convert the column to utf8mb4, or leave the table out.',
  },
  'source.mysql.json_diff': {
    fault: 'config',
    cause:
      'The binlog holds a partial update of a JSON document, and it does not fit the document that Sluice knows from before.',
    remedy:
      'Snapshot the table again (`resnapshot`); with binlog_row_value_options empty the server sends whole documents.',
  },
  'source.mysql.checksum': {
    fault: 'transient',
    cause: 'A binlog event does not match its checksum: its bytes changed on their way.',
    remedy:
      'Sluice connects again and reads it anew. If it happens again at the same place, the binlog file is damaged on the server’s disk: verify it with `mysqlbinlog --verify-binlog-checksum`.',
  },
  'source.mysql.incident': {
    fault: 'config',
    cause:
      'The server wrote an incident into its binlog: changes happened that are missing from it.',
    remedy:
      'Read the server’s error log for what was lost, and set on_purged: resnapshot to copy the tables again.',
  },
  'source.mysql.unknown_event': {
    fault: 'config',
    cause:
      'The binlog has an event that this version of Sluice does not know and that must not be passed over.',
    remedy:
      'Update Sluice, or turn off the server feature that writes it; nothing was lost, the stream stops in front of that event.',
  },
  'source.mysql.statement_format': {
    fault: 'config',
    cause:
      'Rows of a followed table were changed by a statement that the binlog holds as text (binlog_format is STATEMENT or MIXED, or a session changed it), so that the rows are not known.',
    remedy:
      'SET GLOBAL binlog_format = ROW, see to it that no session changes it, and set on_purged: resnapshot for the table, so that it is copied again.',
  },
  'source.mysql.xa_unknown': {
    fault: 'config',
    cause:
      'An XA transaction was committed whose prepare was before the place where this source began to read: its rows are not known.',
    remedy:
      'Set on_purged: resnapshot, so that the tables are copied again from there on. GRANT XA_RECOVER_ADMIN (MySQL) lets a first start wait for such transactions.',
  },
  'source.mysql.xa_prepared': {
    fault: 'config',
    cause: 'XA transactions are prepared on the server, and a first start waits for their end.',
    remedy: 'XA RECOVER lists them; XA COMMIT or XA ROLLBACK those that nobody ends any more.',
  },
  'source.mysql.incomplete_image': {
    fault: 'config',
    cause:
      'A change of a row came without the columns that tell which row it was: the key the server logs by is another one than the catalog names.',
    remedy:
      'SET GLOBAL binlog_row_image = FULL, or give the table a primary key; then start with an empty log (another log.url or pipeline name), or purge the binlogs with such changes and set on_purged: resnapshot.',
  },
  'source.mysql.gtid_missing': {
    fault: 'config',
    cause:
      'A transaction has no GTID, though this source follows the server by GTIDs: gtid_mode was lowered.',
    remedy:
      'SET GLOBAL gtid_mode = ON again (in the steps that the server asks for); then purge the binlogs that have transactions without GTIDs, and set on_purged: resnapshot to copy the tables again.',
  },
} as const satisfies CodeTable

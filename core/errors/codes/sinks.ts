import type { CodeTable } from './table.ts'

/** Codes that begin with `sink.`. */
export const sinkCodes = {
  'sink.webhook.invalid_url': {
    fault: 'config',
    cause:
      'The address of a webhook sink is not an http or https URL, or holds a user and password.',
    remedy:
      'Set `url` to the address of the endpoint, as in https://example.com/hooks. Put credentials under `headers`.',
  },
  'sink.webhook.invalid_secret': {
    fault: 'config',
    cause: 'The signing key of a webhook sink is not of the Standard Webhooks form.',
    remedy:
      'Set `secret` to whsec_ followed by 24 to 64 bytes in base64: echo "whsec_$(openssl rand -base64 32)".',
  },
  'sink.webhook.invalid_header': {
    fault: 'config',
    cause:
      'A header of a webhook sink has a name or a value that HTTP does not allow, or one that Sluice sets itself.',
    remedy: 'Correct or remove the header under `headers`.',
  },
  'sink.webhook.invalid_tls': {
    fault: 'config',
    cause: 'The certificates or the key under `tls` of a webhook sink cannot be read.',
    remedy: 'Give PEM text, for example with ${file.ca.pem}, and `cert` and `key` together.',
  },
  'sink.webhook.http_refused': {
    fault: 'config',
    cause: 'The address of a webhook sink is http://, so that anyone on the way can read the rows.',
    remedy: 'Use an https:// address, or set `allow_http: true`.',
  },
  'sink.webhook.address_refused': {
    fault: 'config',
    cause:
      'The address of a webhook sink is, or resolves to, one that is not on the public network: loopback, private, link-local, a metadata service.',
    remedy: 'Correct `url`, or set `allow_private: true` if the endpoint is meant to be inside.',
  },
  'sink.webhook.moved': {
    fault: 'config',
    cause: 'The endpoint of a webhook sink answered that it has moved for good (301 or 308).',
    remedy: 'Redirects are never followed. Set `url` to the new address.',
  },
  'sink.webhook.gone': {
    fault: 'config',
    cause: 'The endpoint of a webhook sink answered 410 Gone: it wants no more events.',
    remedy:
      'Set `url` to an endpoint that takes the events, or remove the sink. Nothing was skipped: delivery goes on where it stopped.',
  },
  'sink.webhook.unreachable': {
    fault: 'transient',
    cause: 'No connection to the endpoint of a webhook sink could be made.',
    remedy: 'Check that the endpoint is running and that this machine can reach it.',
  },
  'sink.webhook.tls_failed': {
    fault: 'transient',
    cause:
      'The endpoint of a webhook sink could not be verified: its certificate is not valid here.',
    remedy:
      "Renew or correct the endpoint's certificate; set `tls.ca` where it comes from an authority of your own.",
  },
  'sink.webhook.throttled': {
    fault: 'transient',
    cause: 'The endpoint of a webhook sink asked for fewer requests (429, 502, 503 or 504).',
    remedy:
      'Nothing, if it goes away; otherwise give the endpoint more room or lower `max_in_flight`.',
  },
  'sink.webhook.failing': {
    fault: 'transient',
    cause:
      'The last requests of a webhook sink to its endpoint all failed, so that it is only probed now and then.',
    remedy: 'Look at the endpoint; the message says how it fails. Delivery goes on by itself.',
  },
  'sink.webhook.attempt_failed': {
    fault: 'transient',
    cause:
      'One request of a webhook sink failed: no answer in time, a lost connection, or a status other than 2xx.',
    remedy: 'Nothing: it is tried again. Look at the endpoint if it happens often.',
  },
  'sink.webhook.exhausted': {
    fault: 'row',
    cause: 'All attempts to deliver an event to the endpoint of a webhook sink failed.',
    remedy:
      'Look at what the endpoint does with this event. `retry.attempts` says how often an event is tried.',
  },
  'sink.webhook.rejected': {
    fault: 'row',
    cause: 'The endpoint of a webhook sink answered that it will never take this event.',
    remedy:
      'Look at what the endpoint finds wrong with it. `reject` lists the statuses that mean this.',
  },
  'sink.webhook.not_text': {
    fault: 'row',
    cause: 'A text in the row is not valid UTF-8, so that JSON cannot hold it.',
    remedy: 'Correct the value in the source, or select it as bytes in a transform.',
  },
  'sink.clickhouse.url': {
    fault: 'config',
    cause: 'The address of a ClickHouse sink is not an http or https URL.',
    remedy: 'Set `url` as in https://user:password@host:8443/database, without query parameters.',
  },
  'sink.clickhouse.unreachable': {
    fault: 'transient',
    cause: 'ClickHouse did not answer: refused, cut, timed out, or a proxy answered in its place.',
    remedy:
      'Sluice tries again until it answers. Check that `url` names the HTTP port (8123, or 8443 with TLS) and that this machine may reach it.',
  },
  'sink.clickhouse.certificate': {
    fault: 'config',
    cause:
      "The certificate of ClickHouse's server is expired, for another name, or from an unknown authority.",
    remedy:
      'Correct the certificate or the host name in `url`; name your own authority with NODE_EXTRA_CA_CERTS=ca.pem.',
  },
  'sink.clickhouse.busy': {
    fault: 'transient',
    cause: 'ClickHouse asks for fewer inserts: too many parts, too many queries or no memory left.',
    remedy:
      'Sluice waits longer between inserts and goes on by itself. Where it lasts: larger batches (`flush`), more memory, or fewer writers.',
  },
  'sink.clickhouse.disk_full': {
    fault: 'transient',
    cause: 'ClickHouse has no disk space left for what is inserted.',
    remedy:
      'Make room on the disk of the server (system.disks), or add one; Sluice tries again every 30 s and goes on by itself.',
  },
  'sink.clickhouse.server': {
    fault: 'transient',
    cause: 'ClickHouse answered with an error that is not known to need a change.',
    remedy: 'Sluice tries again. Where it lasts, look up the error number in system.errors.',
  },
  'sink.clickhouse.auth': {
    fault: 'config',
    cause: 'ClickHouse does not accept the user, the password, or the address it is called from.',
    remedy: 'Correct `user` and `password`, or the user’s HOST clause in ClickHouse.',
  },
  'sink.clickhouse.denied': {
    fault: 'config',
    cause: 'The user may not do what the sink has to do.',
    remedy:
      'Let an administrator run: GRANT SELECT, INSERT, CREATE TABLE, CREATE VIEW, DROP VIEW, ALTER ON database.* TO user.',
  },
  'sink.clickhouse.version': {
    fault: 'config',
    cause: 'The server is older than 24.8.',
    remedy: 'Upgrade ClickHouse to a supported release.',
  },
  'sink.clickhouse.database_missing': {
    fault: 'config',
    cause: 'The database of the tables does not exist. Sluice creates tables, never databases.',
    remedy: 'CREATE DATABASE it, or correct `database`.',
  },
  'sink.clickhouse.table_missing': {
    fault: 'config',
    cause: 'The table of a topic was dropped or renamed while the sink was running.',
    remedy:
      'Where it was renamed, name it back, and it goes on by itself. Else restart the sink, which makes the table again, and have `sluice resync` fill it from the log.',
  },
  'sink.clickhouse.table_shape': {
    fault: 'config',
    cause:
      'The table of a topic has another engine, sorting key or column type than its rows need, and no ALTER that keeps every value changes that.',
    remedy: 'Rename the table, so that a new one is made, or name another one under `tables`.',
  },
  'sink.clickhouse.values_lost': {
    fault: 'config',
    cause:
      'A column is to be made narrower (`narrow: apply`), and holds values that the narrower type does not: ClickHouse would change them without a word.',
    remedy:
      'Correct or delete the rows concerned, or keep the wider column: on_schema_change: { narrow: keep }.',
  },
  'sink.clickhouse.table_name': {
    fault: 'config',
    cause: 'Two topics, or a topic and something else in the database, need one name.',
    remedy: 'Name another table for one of them under `tables`.',
  },
  'sink.clickhouse.table_ahead': {
    fault: 'config',
    cause:
      'The table holds rows that this log has not delivered: the log or its cursor was set back, as it is for a sink that was given another name, or another pipeline writes the table. New rows would be taken for old ones.',
    remedy:
      'Give a renamed sink its old name again. Else TRUNCATE the table so that the topic fills it anew, or name another one under `tables`.',
  },
  'sink.clickhouse.ddl_needed': {
    fault: 'config',
    cause: 'A table or column is missing, and `create_tables: false` forbids the sink to make it.',
    remedy: 'Run the statement of the message, or allow `create_tables`.',
  },
  'sink.clickhouse.no_key': {
    fault: 'config',
    cause: 'mode: upsert replaces rows by key, and the topic has no key.',
    remedy:
      'Give the table a primary key or REPLICA IDENTITY USING INDEX, GROUP BY the key in SQL, or leave `mode` out: the topic is then appended.',
  },
  'sink.clickhouse.order_by': {
    fault: 'config',
    cause:
      'Sorting columns do not fit the mode: in upsert mode they must be the key’s columns, because a deletion carries only those and would miss its row.',
    remedy: 'List exactly the key columns, in any order, or take the topic out of `order_by`.',
  },
  'sink.clickhouse.column_name': {
    fault: 'config',
    cause: 'A column of the source begins with _sluice_, which Sluice keeps for its own.',
    remedy: 'Rename the column at the source, or under AS in a transform.',
  },
  'sink.clickhouse.refused': {
    fault: 'config',
    cause: 'ClickHouse does not accept a statement, whatever the rows are.',
    remedy:
      'The message names the error; often the server lacks a feature or a setting is forbidden.',
  },
  'sink.clickhouse.value_out_of_range': {
    fault: 'row',
    cause:
      'A value is one that its ClickHouse column cannot hold exactly: a date before 1900 or after 2299, an infinity, NaN in a decimal, too many digits, NULL in a key.',
    remedy:
      'The row is a dead letter, the rest goes on. For dates: `timestamps: string`; for numbers: `unbounded_numeric: string`, or a wider type at the source.',
  },
  'sink.clickhouse.row_refused': {
    fault: 'row',
    cause:
      'ClickHouse refused this row: a CHECK constraint, or a materialized view that cannot read it.',
    remedy:
      'The row is a dead letter, the rest goes on. Correct the constraint or the view, then send it again.',
  },
  'sink.clickhouse.too_many_refused': {
    fault: 'config',
    cause:
      'ClickHouse refused so many rows of one batch that the table cannot be meant for this topic.',
    remedy: 'Correct the CHECK constraint or the materialized view on the table.',
  },
} as const satisfies CodeTable

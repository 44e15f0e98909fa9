import type { CodeTable } from './table.ts'

/** Codes that begin with `config.` or `observe.`. */
export const configCodes = {
  'config.not_found': {
    fault: 'config',
    cause: 'The pipeline file does not exist at the path given.',
    remedy:
      'Check the path; `sluice schema` and config/examples/shop.yaml help to write a new one.',
  },
  'config.unreadable': {
    fault: 'config',
    cause: 'The pipeline file exists, but it is not a regular file or may not be read.',
    remedy: 'Give the path of a readable YAML file.',
  },
  'config.too_large': {
    fault: 'config',
    cause:
      'The pipeline file is larger, deeper or repeats itself by aliases more than any real one.',
    remedy: 'Check that this is the file you meant; split a real one into several pipelines.',
  },
  'config.not_utf8': {
    fault: 'config',
    cause: 'The pipeline file holds bytes that are not UTF-8 text.',
    remedy: 'Save the file as UTF-8.',
  },
  'config.empty': {
    fault: 'config',
    cause: 'The pipeline file holds no YAML mapping.',
    remedy: 'Start from config/examples/shop.yaml.',
  },
  'config.syntax': {
    fault: 'config',
    cause: 'The file is not valid YAML at the place shown.',
    remedy: 'Correct the YAML; texts with special characters need quotes.',
  },
  'config.tab': {
    fault: 'config',
    cause: 'YAML does not allow tabs as indentation.',
    remedy: 'Indent with spaces.',
  },
  'config.duplicate_key': {
    fault: 'config',
    cause: 'A mapping has the same key twice; one of them would be ignored.',
    remedy: 'Remove or rename one of the two.',
  },
  'config.unknown_key': {
    fault: 'config',
    cause: 'A key is not one that this part of the file understands.',
    remedy: 'Correct or remove it; docs/config.md lists every key.',
  },
  'config.missing_key': {
    fault: 'config',
    cause: 'A required key is absent.',
    remedy: 'Add it; docs/config.md says what it means.',
  },
  'config.wrong_type': {
    fault: 'config',
    cause: 'A value is of another kind (text, number, list, mapping) than the key takes.',
    remedy: 'Write the value as docs/config.md shows; numbers meant as text need quotes.',
  },
  'config.invalid_value': {
    fault: 'config',
    cause: 'A value is of the right kind, but not one that the key takes.',
    remedy: 'Use a value as docs/config.md describes.',
  },
  'config.invalid_name': {
    fault: 'config',
    cause: 'A name is not lower-case letters, digits and underscores, beginning with a letter.',
    remedy:
      'Rename it, for example to `orders_2024`: names become parts of topics, chains and SQL.',
  },
  'config.unknown_type': {
    fault: 'config',
    cause: 'No source, sink or part of one (the target of a feature store) of this type exists.',
    remedy: 'Use one of the types listed in the message.',
  },
  'config.connector_unavailable': {
    fault: 'config',
    cause: 'The code of this source or sink could not be loaded.',
    remedy: 'Install the package that the message names, or reinstall Sluice.',
  },
  'config.name_clash': {
    fault: 'config',
    cause: 'Two parts of the pipeline have the same name, so their topics cannot be told apart.',
    remedy: 'Rename one of them.',
  },
  'config.no_sources': {
    fault: 'config',
    cause: 'The pipeline has no source, so nothing would ever happen.',
    remedy: 'Add one under `sources`.',
  },
  'config.no_sinks': {
    fault: 'config',
    cause: 'The pipeline has no sink: rows are kept in the log and go nowhere.',
    remedy: 'Add one under `sinks`, or read the log with `sluice tap`.',
  },
  'config.unknown_topic': {
    fault: 'config',
    cause:
      'A sink or a query reads from something that no source or transform of this file provides.',
    remedy: 'Use the name of a transform, `source.*`, or a full topic name `source.schema.table`.',
  },
  'config.topic_not_received': {
    fault: 'config',
    cause:
      'A part of a sink (a feature view, a table, an order) names a topic that is not among those under its `from`.',
    remedy: 'Correct the name, or add the topic to `from`.',
  },
  'config.ambiguous_topic': {
    fault: 'config',
    cause:
      'A short name fits several topics, or a part of a sink names none where it receives several.',
    remedy: 'Write the full name of the one you mean.',
  },
  'config.transform_cycle': {
    fault: 'config',
    cause: 'Transforms read each other in a circle.',
    remedy: 'Break the circle: a transform can only read what exists without it.',
  },
  'config.schema_change_refused': {
    fault: 'config',
    cause:
      'Under `on_schema_change`, a sink is told to follow a change that its target cannot follow.',
    remedy: 'Write one of the other words; docs/schema-changes.md says what each sink can do.',
  },
  'config.unresolved': {
    fault: 'config',
    cause: 'A `${…}` reference names an environment variable or a file that is not there.',
    remedy: 'Set it, or give a default: `${env.NAME:-default}`.',
  },
  'config.bad_reference': {
    fault: 'config',
    cause: 'A `${…}` is not a reference that Sluice knows.',
    remedy:
      'Write `${env.NAME}`, `${env.NAME:-default}` or `${file.path}`; `$${` stands for a plain `${`.',
  },
  'observe.port_unavailable': {
    fault: 'config',
    cause: 'The port for /metrics and /healthz is taken or may not be used.',
    remedy: 'Give another one with `--port`, or `--port 0` to do without.',
  },
} as const satisfies CodeTable

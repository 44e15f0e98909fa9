/** Of schemas that records of Kafka are written by: the registry that keeps them, and what is in it. */
import type { CodeTable } from './table.ts'

export const kafkaRegistryCodes = {
  'source.kafka.registry_unreachable': {
    fault: 'transient',
    cause: 'The schema registry gave no answer, or said that it cannot answer now.',
    remedy: 'Check that the registry is up and reachable; Sluice asks again by itself.',
  },
  'source.kafka.registry_auth': {
    fault: 'config',
    cause: 'The schema registry refused the credentials, or this user may not read schemas.',
    remedy:
      'Check `username` and `password`, or `token`, under `registry`, and that this user may read subjects and schemas.',
  },
  'source.kafka.registry_tls': {
    fault: 'config',
    cause: 'The TLS connection to the schema registry was refused or could not be verified.',
    remedy:
      'Set `registry.ca` to the certificate of who signed the registry’s; the host of `registry.url` has to be a name of the certificate.',
  },
  'source.kafka.registry_answer': {
    fault: 'config',
    cause: 'What answers at the address of the schema registry does not speak Confluent’s API.',
    remedy:
      'Correct `registry.url`: it ends where /subjects and /schemas begin, as in http://host:8081, or http://host:8080/apis/ccompat/v7 of Apicurio.',
  },
  'source.kafka.schema_unknown': {
    fault: 'row',
    cause: 'A record names a schema that the registry does not have.',
    remedy:
      'Register the schema again under its id, or correct `registry.url`: ids of one registry mean nothing in another. Then retry the dead letters.',
  },
  'source.kafka.schema_invalid': {
    fault: 'row',
    cause: 'The schema that a record names, or one given in the pipeline file, cannot be read.',
    remedy:
      'Look at the schema in the registry, or at `avro_schema` or `proto`; `format` has to be that of the schema.',
  },
} as const satisfies CodeTable

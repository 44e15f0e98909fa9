import type { CodeTable } from './table.ts'

/** Codes that begin with `source.kafka.` and are about brokers: what they say, and what they send. */
export const kafkaCodes = {
  'source.kafka.unreachable': {
    fault: 'transient',
    cause:
      'A broker did not answer: its name is unknown, it refused, was cut, or gave no answer in time.',
    remedy:
      'Check that the host and port in the message can be reached from here. Where it is not one of `brokers`, it is what the cluster advertises: correct advertised.listeners on that broker.',
  },
  'source.kafka.advertised': {
    fault: 'config',
    cause:
      'The cluster answers at `brokers`, but tells its clients to go on at addresses that lead nowhere from here.',
    remedy:
      'Set advertised.listeners on the brokers to names that clients can reach, or point `brokers` at the listener that is meant for clients from here.',
  },
  'source.kafka.tls': {
    fault: 'config',
    cause:
      'TLS did not come about: one side speaks it and the other does not, or the broker’s certificate is expired, for another name, or of an authority that is not trusted.',
    remedy:
      'Set `tls: true`, or `tls: {ca: ${file.ca.pem}}` for an authority of your own, for a listener with TLS; leave `tls` out for one without. The host in `brokers` and the one in advertised.listeners have to be names of the certificate.',
  },
  'source.kafka.auth': {
    fault: 'config',
    cause:
      'The broker does not accept the user, the password, the token or the mechanism, or wants one.',
    remedy:
      'Correct `sasl`: the mechanism has to be one of the listener’s sasl.enabled.mechanisms, and a SCRAM user has to exist for just that mechanism.',
  },
  'source.kafka.token': {
    fault: 'config',
    cause: 'The token endpoint of `sasl` gave no token.',
    remedy: 'Correct token_url, client_id, client_secret and scope.',
  },
  'source.kafka.token_unreachable': {
    fault: 'transient',
    cause: 'The token endpoint of `sasl` did not answer.',
    remedy: 'Check token_url and the network; Sluice tries again by itself.',
  },
  'source.kafka.denied': {
    fault: 'config',
    cause: 'The user may not do on a topic, a group or the cluster what Sluice has to.',
    remedy:
      'kafka-acls --bootstrap-server <broker> --add --allow-principal User:<user> --operation Read --topic <topic>; Read allows Describe too.',
  },
  'source.kafka.version': {
    fault: 'config',
    cause: 'The broker is older than Kafka 0.10.1, or newer than this version of Sluice knows.',
    remedy: 'Upgrade the older of the two.',
  },
  'source.kafka.protocol': {
    fault: 'config',
    cause: 'A broker sent something that does not follow Kafka’s protocol.',
    remedy:
      'Check that what answers at `brokers` is Kafka, and that nothing between rewrites its bytes. Nothing was lost: Sluice stops in front of it.',
  },
  'source.kafka.corrupt': {
    fault: 'transient',
    cause: 'A batch of records does not match its checksum, or is not what its head says.',
    remedy:
      'Sluice asks for it again, which heals damage on the way. Where it stays, the broker’s copy is damaged: let another replica lead the partition (kafka-leader-election), or delete the records up to behind it (kafka-delete-records).',
  },
  'source.kafka.batch_size': {
    fault: 'config',
    cause: 'A compressed batch of records would take more memory than Sluice gives one batch.',
    remedy: 'Lower the producer’s batch.size, or remove the batch with kafka-delete-records.',
  },
  'source.kafka.busy': {
    fault: 'transient',
    cause:
      'A broker cannot answer at the moment: it is loading, moving what it keeps, out of disk, or the quota is used up.',
    remedy: 'Nothing: Sluice tries again by itself. Where it lasts, see the broker’s log.',
  },
  'source.kafka.group_in_use': {
    fault: 'transient',
    cause:
      'The group has members of its own: brokers let nobody else store offsets for it. Reading is not affected.',
    remedy: 'Set `group` to a name that no consumer uses.',
  },
  'source.kafka.retention': {
    fault: 'config',
    cause: 'The brokers remove records of a topic soon.',
    remedy:
      'Raise retention.ms of the topic, so that a pipeline that stands still for a while loses nothing.',
  },
  'source.kafka.server': {
    fault: 'transient',
    cause: 'A broker answered with an error that has no other entry here.',
    remedy: 'Look up its name in the message in Kafka’s protocol guide, and the broker’s log.',
  },
} as const satisfies CodeTable

import type { CodeTable } from './table.ts'

/** Codes of Redis and Valkey, whatever they are used for. */
export const redisCodes = {
  'redis.url': {
    fault: 'config',
    cause: 'The address of a Redis server is not a redis:// or rediss:// URL.',
    remedy: 'Set `url` as in redis://user:password@host:6379/0; rediss:// is the same over TLS.',
  },
  'redis.unreachable': {
    fault: 'transient',
    cause: 'Redis did not answer: refused, cut, or no answer in time.',
    remedy:
      'Sluice tries again until it answers. Check that `url` names the right host and port, and whether they speak TLS (rediss://).',
  },
  'redis.certificate': {
    fault: 'config',
    cause:
      "The certificate of the Redis server is expired, for another name, or from an unknown authority, or the server doesn't speak TLS.",
    remedy:
      'Correct the certificate or the host name in `url`, set `ca` for an authority of your own, or use redis:// where there is no TLS.',
  },
  'redis.auth': {
    fault: 'config',
    cause: 'Redis does not accept the user or the password, or wants one and got none.',
    remedy: 'Correct user and password in `url`: redis://user:password@host:6379.',
  },
  'redis.denied': {
    fault: 'config',
    cause: 'The user of Redis may not run a command, or not on these keys.',
    remedy: 'Let an administrator widen the user with ACL SETUSER; the message names the command.',
  },
  'redis.database': {
    fault: 'config',
    cause: 'The Redis server has no database of that number.',
    remedy: 'Correct the number at the end of `url`; a cluster has only database 0.',
  },
  'redis.version': {
    fault: 'config',
    cause: 'The Redis server is older than 7.0, or the Valkey server older than 7.2.',
    remedy: 'Upgrade the server.',
  },
  'redis.cluster': {
    fault: 'config',
    cause:
      'The Redis server is a cluster and the pipeline file says that it is none, or the reverse.',
    remedy: 'Set `cluster: true` for a cluster, and leave it out for a single server.',
  },
  'redis.cluster_down': {
    fault: 'transient',
    cause: 'The Redis cluster has no master for a part of the keys, or is moving it.',
    remedy: 'Sluice tries again until the cluster is well. Look at CLUSTER INFO where it lasts.',
  },
  'redis.loading': {
    fault: 'transient',
    cause: 'The Redis server is reading its data after a start, or is kept busy by a script.',
    remedy: 'Nothing: Sluice goes on when the server is ready.',
  },
  'redis.read_only': {
    fault: 'transient',
    cause:
      'The Redis server is a replica and takes no writes: a failover is under way, or `url` names the wrong server.',
    remedy:
      'Sluice connects anew until it finds a master. Where it lasts, set `url` to the master, or use `sentinel`.',
  },
  'redis.memory': {
    fault: 'transient',
    cause: 'Redis has used all the memory it may (maxmemory) and evicts nothing.',
    remedy:
      'Sluice waits and tries again; nothing is lost. Raise maxmemory, or let features go: a `ttl`, fewer views.',
  },
  'redis.disk': {
    fault: 'transient',
    cause: 'Redis takes no writes because it cannot save to its disk, or has too few replicas.',
    remedy: 'Free its disk or bring its replicas back; Sluice goes on by itself.',
  },
  'redis.replicas': {
    fault: 'transient',
    cause:
      'Fewer replicas than `wait_replicas` confirmed in time that they have a batch, or its master changed meanwhile. It does not count as delivered.',
    remedy:
      'Sluice sends it again until they have it; rows that are there already are the same rows. Bring the replicas back (INFO replication), raise `wait_timeout`, or lower `wait_replicas`.',
  },
  'redis.wrong_type': {
    fault: 'row',
    cause: 'A key that Sluice has to write holds something else, written by another program.',
    remedy:
      'The row is a dead letter, the rest goes on. Remove the other key, or use another database or project.',
  },
  'redis.evicts': {
    fault: 'config',
    cause:
      'The Redis server may evict any key when its memory is full (maxmemory-policy allkeys-…).',
    remedy: 'CONFIG SET maxmemory-policy noeviction, or accept that values may be missing.',
  },
  'redis.no_persistence': {
    fault: 'config',
    cause:
      'The Redis server keeps no log on disk: a restart takes away what came since its last snapshot, or everything where it makes none.',
    remedy: 'CONFIG SET appendonly yes, unless replicas keep the data.',
  },
  'redis.server': {
    fault: 'transient',
    cause: 'Redis answered with an error that is not known to need a change.',
    remedy: 'Sluice tries again. The message has the first word of the answer.',
  },
} as const satisfies CodeTable

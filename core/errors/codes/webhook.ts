/** Of the webhook sink: templates, events that wait, endpoints that are given up, timers. */
import type { CodeTable } from './table.ts'

export const webhookCodes = {
  'sink.webhook.invalid_body': {
    fault: 'config',
    cause:
      'The template of the body of a webhook sink cannot be filled to a body of its media type.',
    remedy:
      'Correct `body`: {column} stands for a value of the row, with its quotes in JSON; {{ is a brace. `content_type` says what it is.',
  },
  'sink.webhook.unknown_column': {
    fault: 'config',
    cause: 'A template of a webhook sink names a column that the rows of a topic do not have.',
    remedy: 'Correct the name in `url`, `headers` or `body`, or leave the topic out of `from`.',
  },
  'sink.webhook.unfillable': {
    fault: 'row',
    cause:
      'A template of a webhook sink needs a value that the row does not have, or one that cannot stand there: NULL, an empty part of a path, a host that `allow_hosts` does not name.',
    remedy:
      'Mend the row with `sluice dlq edit`, or the template. Of a deleted row only the key is known where the topic does not keep old rows.',
  },
  'sink.webhook.disabled': {
    fault: 'config',
    cause:
      'An endpoint of a webhook sink said that it is gone, or failed for as long as `disable_after` says without one success.',
    remedy:
      'Look at the endpoint; `sluice deliveries` shows its answers. After the next start it is tried again, and `sluice dlq retry` sends what was set aside.',
  },
  'sink.webhook.busy': {
    fault: 'row',
    cause:
      'An event of a webhook sink waits for its turn: its endpoint has as many requests under way as `concurrency` and `rate` allow, or is slow.',
    remedy:
      'Nothing: it is sent as soon as there is room. Where that takes too long, raise `concurrency`, `rate` or `max_in_flight`.',
  },
  'sink.webhook.behind': {
    fault: 'row',
    cause: 'An event of a webhook sink waits because an earlier event of its key does.',
    remedy: 'Nothing: it is sent as soon as that one is over.',
  },
  'sink.webhook.waiting_full': {
    fault: 'transient',
    cause:
      'As many events of a topic wait for their next attempt as may; the topic waits with them.',
    remedy:
      'Look at the endpoints with `sluice deliveries`; a shorter `retry.schedule` or `disable_after` gives up sooner.',
  },
  'sink.webhook.timers': {
    fault: 'config',
    cause: 'The address under `timers` of a webhook sink is not one of Redis or PostgreSQL.',
    remedy: 'Set `timers` to redis://, rediss:// or postgres://, or leave it out.',
  },
  'sink.webhook.timers_down': {
    fault: 'transient',
    cause: 'The PostgreSQL under `timers` cannot be reached, or refuses for now.',
    remedy:
      'Start it, or correct the address or `timers_ca`. Until then events that wait are sent up to five seconds late.',
  },
  'sink.webhook.timers_access': {
    fault: 'config',
    cause:
      'The PostgreSQL under `timers` does not let its user in, or not make the schema `bullmq`.',
    remedy:
      'Correct user, password and database in `timers`, or GRANT CREATE ON DATABASE to the user.',
  },
} as const satisfies CodeTable

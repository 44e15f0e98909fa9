import type { CodeTable } from './table.ts'

/** `sluice features verify | export`. */
export const feastToolsCodes = {
  'sink.feast.no_offline': {
    fault: 'config',
    cause: 'The sink keeps no offline log, with which its online store could be compared.',
    remedy: 'Give the sink an offline log: `offline: { url: file://./features }`.',
  },
  'sink.feast.not_readable': {
    fault: 'config',
    cause: 'The online store of the sink is one that Sluice writes and does not read.',
    remedy: 'Features can be compared in targets of type redis and postgres.',
  },
  'sink.feast.no_topic_yet': {
    fault: 'config',
    cause: 'The log knows no columns yet of the topic whose rows a view takes.',
    remedy: 'Run the pipeline until the first row of the topic is in the log.',
  },
  'sink.feast.no_view': {
    fault: 'config',
    cause: 'The sink has no view of that name.',
    remedy: 'Name one that stands under `views`.',
  },
  'sink.feast.stale': {
    fault: 'transient',
    cause: 'Rows of a view wait in the log for longer than its `freshness_slo` allows.',
    remedy:
      'See whether the online store is slow or away; `sink_batch_seconds` and `retries_total` tell.',
  },
} as const satisfies CodeTable

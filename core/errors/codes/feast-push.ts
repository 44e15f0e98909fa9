import type { CodeTable } from './table.ts'

/** Feast's feature server (sinks/feast/push). */
export const feastPushCodes = {
  'sink.feast.push_connection': {
    fault: 'transient',
    cause: 'Feast’s feature server cannot be reached, or did not answer.',
    remedy: 'Check that `feast serve` runs at the address of `url`.',
  },
  'sink.feast.push_failed': {
    fault: 'transient',
    cause:
      'Feast’s feature server answered that it failed: its store is away, or its definition of the view does not fit the columns that were pushed.',
    remedy: 'Its log has the exception. `sluice features export` writes definitions that fit.',
  },
  'sink.feast.push_refused': {
    fault: 'config',
    cause: 'Feast’s feature server refused the request: most often it has no such push source.',
    remedy:
      'Add the push source to its repository (`sluice features export` writes it), or name the one it has under `target.source`.',
  },
  'sink.feast.push_access': {
    fault: 'config',
    cause: 'Feast’s feature server refused the caller.',
    remedy: 'Give it a token under `target.headers.authorization`.',
  },
  'sink.feast.push_tls': {
    fault: 'config',
    cause: 'The encrypted connection to Feast’s feature server did not come about.',
    remedy: 'Use a certificate that verifies.',
  },
  'sink.feast.push_url': {
    fault: 'config',
    cause: 'The address of Feast’s feature server cannot be used.',
    remedy: 'Write it as http://host:6566.',
  },
  'sink.feast.push_view': {
    fault: 'config',
    cause: 'Feast’s push API cannot do what the view asks for.',
    remedy: 'Change the view, or use a target of type redis or postgres.',
  },
  'sink.feast.push_value': {
    fault: 'row',
    cause:
      'A value would be changed on its way: NaN becomes null in Feast’s data frames, and times outside the years 1678 to 2261 have no place there. Or a row has no value at all in a view of lists and JSON alone, which Feast would pass over.',
    remedy:
      'The row is a dead letter, the rest goes on. Change the value in a transform, or use a target of type redis or postgres.',
  },
} as const satisfies CodeTable

import type { CodeTable } from './table.ts'

/** The offline log of the feature-store sink (sinks/feast/offline). */
export const feastOfflineCodes = {
  'sink.feast.offline_file_damaged': {
    fault: 'config',
    cause: 'A file of the offline feature log is not the Parquet file that was written there.',
    remedy:
      'Restore the file from a copy, or move it away: its rows are then missing from the offline log, and `sluice replay` writes those that the log still has.',
  },
  'sink.feast.offline_unsteady': {
    fault: 'transient',
    cause:
      'Files of the offline feature log kept vanishing while they were read. Another process merges files of the same folder.',
    remedy: 'Make sure that no two pipelines write the offline log of the same view to one folder.',
  },
  'sink.feast.offline_unfit': {
    fault: 'row',
    cause:
      'A feature has a value that its Parquet type cannot hold: a decimal that is NaN or infinite, or has more digits than its column says.',
    remedy:
      'Choose the type `string` for the feature (`types`), which holds every value as its digits.',
  },
  'sink.feast.offline_name_taken': {
    fault: 'config',
    cause: 'An entity or feature has a name that the offline log uses for a column of its own.',
    remedy:
      'Rename the column in a transform, or name it in `event_timestamp` if it is the event time.',
  },
} as const satisfies CodeTable

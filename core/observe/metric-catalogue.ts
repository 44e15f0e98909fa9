/**
 * The metrics that have a meaning of their own, so that dashboards and alerts can rely on them. Names
 * as the code gives them, without the prefix `sluice_`; units last. A metric that is not here is still
 * exported, with its name as help.
 */
export interface MetricEntry {
  readonly help: string
  /** Upper bounds, for histograms. */
  readonly buckets?: readonly number[]
}

const secondsBuckets = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60]
const rowsBuckets = [1, 10, 100, 1000, 10_000, 50_000, 100_000]

export const metricCatalogue: Readonly<Record<string, MetricEntry>> = {
  rows_total: { help: 'Rows that a task made durable or delivered.' },
  bytes_total: { help: 'Bytes of these rows, as columns in memory.' },
  lag_seconds: {
    help: 'How far a task is behind its source or the log: the age of the oldest row that waits for it; 0 when none does.',
  },
  backlog_bytes: { help: 'Bytes that wait for a task.' },
  errors_total: { help: 'Errors by code, including those that were retried.' },
  task_restarts_total: { help: 'Times a task was started again after an error.' },
  retries_total: { help: 'Attempts after a failed one.' },
  schema_changes_total: { help: 'Changes of topics’ shapes by kind and what was done about them.' },
  dead_letters_total: { help: 'Rows set aside with a reason.' },
  dead_letters_open: { help: 'Dead letters of a topic that wait for somebody.' },
  commits_total: { help: 'Commits written to the log.' },
  commit_seconds: { help: 'Time to write one commit.', buckets: secondsBuckets },
  commit_rows: { help: 'Rows of one commit.', buckets: rowsBuckets },
  source_retained_bytes: { help: 'Write-ahead log that the source keeps for this slot.' },
  http_requests_total: { help: 'Requests that were pushed to a source, by topic and status.' },
  http_poll_requests_total: { help: 'Requests of topics that are polled, by topic and status.' },
  http_poll_unchanged_rows_total: {
    help: 'Rows of polled topics that were in the log already as they came.',
  },
  http_idempotency_keys: { help: 'Idempotency keys of a topic that are remembered.' },
  sink_batch_seconds: { help: 'Time to deliver one batch.', buckets: secondsBuckets },
  sink_batch_rows: { help: 'Rows of one batch.', buckets: rowsBuckets },
  webhook_requests_total: { help: 'Requests to a webhook endpoint, by outcome.' },
  webhook_request_seconds: {
    help: 'Time for an endpoint to answer one request.',
    buckets: secondsBuckets,
  },
  feature_freshness_seconds: {
    help: 'Age of the newest event time that was written to a view. It grows while nothing happens.',
  },
  feature_freshness_slo_met: {
    help: '1 while the store has everything that the log held longer ago than freshness_slo, else 0.',
  },
  feature_write_delay_seconds: {
    help: 'From the event time to the answer of the stores, of up to 32 rows of each batch; not of first copies.',
    buckets: [...secondsBuckets, 300, 3600, 86_400],
  },
  state_bytes: { help: 'State that a transform keeps.' },
  e2e_latency_seconds: {
    help: 'From the commit at the source to the answer of the sink.',
    buckets: secondsBuckets,
  },
}

export const defaultBuckets: readonly number[] = secondsBuckets

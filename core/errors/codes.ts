import { clickhouseCodes } from './codes/clickhouse.ts'
import { configCodes } from './codes/config.ts'
import { deadLetterCodes } from './codes/dead-letters.ts'
import { feastCodes } from './codes/feast.ts'
import { feastOfflineCodes } from './codes/feast-offline.ts'
import { feastPostgresCodes } from './codes/feast-postgres.ts'
import { feastPushCodes } from './codes/feast-push.ts'
import { feastToolsCodes } from './codes/feast-tools.ts'
import { kafkaCodes } from './codes/kafka.ts'
import { kafkaRegistryCodes } from './codes/kafka-registry.ts'
import { httpCodes } from './codes/http.ts'
import { httpPollCodes } from './codes/http-poll.ts'
import { formatCodes } from './codes/format.ts'
import { kafkaSourceCodes } from './codes/kafka-source.ts'
import { logCodes } from './codes/log.ts'
import { mysqlCodes } from './codes/mysql.ts'
import { postgresCodes } from './codes/postgres.ts'
import { redisCodes } from './codes/redis.ts'
import { snapshotCodes } from './codes/snapshot.ts'
import { schemaCodes } from './codes/schema.ts'
import { sinkRedisCodes } from './codes/sink-redis.ts'
import { sinkCodes } from './codes/sinks.ts'
import { sqlCodes } from './codes/sql.ts'
import { taskCodes } from './codes/task.ts'
import { webhookCodes } from './codes/webhook.ts'
import type { CodeTable } from './codes/table.ts'

/** Every error code. docs/errors.md is generated from it (`npm run docs`). */
export const codes = {
  'internal.bug': {
    fault: 'bug',
    cause: 'Sluice reached a state that its own rules exclude.',
    remedy: 'Report it with the log lines above; the data in the log is as of the last commit.',
  },
  ...configCodes,
  ...logCodes,
  ...taskCodes,
  ...schemaCodes,
  ...deadLetterCodes,
  ...postgresCodes,
  ...mysqlCodes,
  ...kafkaCodes,
  ...kafkaSourceCodes,
  ...kafkaRegistryCodes,
  ...snapshotCodes,
  ...formatCodes,
  ...httpCodes,
  ...httpPollCodes,
  ...sqlCodes,
  ...sinkCodes,
  ...webhookCodes,
  ...clickhouseCodes,
  ...sinkRedisCodes,
  ...feastCodes,
  ...redisCodes,
  ...feastOfflineCodes,
  ...feastPostgresCodes,
  ...feastPushCodes,
  ...feastToolsCodes,
} as const satisfies CodeTable

export type Code = keyof typeof codes

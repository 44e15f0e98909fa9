/** `offline` under a sink of `type: feast`. */
import { z } from 'zod'
import { durationText } from '../../../core/connector/duration.ts'
import { secretText } from '../../../core/connector/secret.ts'

const compaction = z
  .strictObject({
    files: z.int().min(2).max(10_000).default(32).meta({
      description: 'A day with more small files than this is merged while it is written to.',
    }),
    quiet: durationText(
      'A day that is over is merged when nothing was written to it for so long.',
      { minMs: 0, maxMs: 7 * 86_400_000 },
    ).prefault('10m'),
  })
  .meta({ description: 'When the small files of a day are merged; `false` leaves them.' })

export const offlineConfig = z
  .strictObject({
    url: z.string().min(1).meta({
      description:
        'Folder or bucket: `file://./features` (relative to the pipeline file), `s3://bucket/prefix`.',
    }),
    endpoint: z.string().min(1).optional().meta({
      description: 'S3 stores other than AWS: `http://host:port`.',
    }),
    region: z.string().min(1).optional().meta({ description: 'Region of the bucket.' }),
    path_style: z.boolean().optional().meta({
      description:
        '`endpoint/bucket/key` instead of `bucket.endpoint/key`; on where there is an endpoint.',
    }),
    access_key_id: z.string().min(1).optional().meta({
      description: 'Together with the secret; the environment’s credentials when absent.',
    }),
    secret_access_key: secretText('Secret access key.').optional(),
    compaction: z.union([z.literal(false), compaction]).prefault({}),
  })
  .meta({
    description:
      'Every written row also as Parquet, by view and day, which Feast reads as a FileSource for point-in-time joins.',
  })

export type OfflineConfig = z.output<typeof offlineConfig>

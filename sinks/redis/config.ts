/**
 * What a pipeline file may say under a sink of `type: redis`. The docs and the JSON Schema are generated
 * from the descriptions here.
 */
import { z } from 'zod'
import { durationText } from '../../core/connector/duration.ts'
import { judgeRedisKeys, redisKeys } from '../../core/connector/redis-config.ts'
import { parseTemplate } from './key.ts'

const ttlMsMax = 100 * 366 * 86_400_000

export const redisConfig = z
  .strictObject({
    ...redisKeys,
    key: z
      .string()
      .default('{topic}:{key}')
      .superRefine((text, ctx) => {
        const parsed = parseTemplate(text)
        if (typeof parsed === 'string') ctx.addIssue({ code: 'custom', message: parsed })
      })
      .meta({
        description:
          'Redis key of a row: text with `{topic}`, `{key}` (the fields of the key, parted by `:`) and `{column}`s of the key. Rows without a key are keyed by their offset.',
      }),
    format: z.enum(['hash', 'json']).default('hash').meta({
      description:
        'hash: a hash with a field a column; a null column has none. json: a string, the row as JSON.',
    }),
    ttl: durationText('How long a row lives after it was last written; for ever when absent.', {
      minMs: 1000,
      maxMs: ttlMsMax,
    }).optional(),
    on_delete: z.enum(['remove', 'keep']).default('remove').meta({
      description: 'remove: the key of a deleted row goes. keep: it stays as it is.',
    }),
    tombstones: durationText(
      'How long a deletion is remembered, so that a replay of older rows does not bring the row back.',
      { minMs: 1000, maxMs: ttlMsMax },
    ).prefault('7d'),
  })
  .superRefine(judgeRedisKeys)

export type RedisConfig = z.output<typeof redisConfig>

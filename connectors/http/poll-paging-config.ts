/** `pagination` and `since` of a topic that is polled. */
import { z } from 'zod'
import { durationText } from '../../core/connector/duration.ts'
import { parseJsonPath } from './json-path.ts'

export const jsonPathText = z.string().superRefine((text, ctx) => {
  const parsed = parseJsonPath(text)
  if (!('mistake' in parsed)) return
  ctx.addIssue({ code: 'custom', message: `the path ${parsed.mistake}`, input: text })
})

const parameter = z.string().min(1)
const size = z.int().min(1).max(100_000).optional().meta({
  description:
    'Records a page, as `{{ size }}` and in `size_parameter`; a page with fewer is the last one.',
})
const sizeParameter = parameter.optional().meta({
  description: 'Parameter of the query for the size.',
  examples: ['per_page', 'limit'],
})
const more = jsonPathText.optional().meta({
  description: 'Path to what says whether there are more pages: there is none after false.',
  examples: ['$.has_more'],
})
const next = (what: string, example: string): z.ZodString =>
  jsonPathText.meta({
    description: `Path to ${what} in an answer; missing, null, false or empty: that was the last page.`,
    examples: [example],
  })

export const paginationSchema = z
  .discriminatedUnion('type', [
    z.strictObject({
      type: z.literal('cursor').meta({ description: 'Each answer has the cursor of the next.' }),
      next: next('the next cursor', '$.meta.next_cursor'),
      parameter: parameter.optional().meta({
        description: 'Parameter of the query for it; without it, `{{ cursor }}` takes it.',
      }),
      more,
    }),
    z.strictObject({
      type: z.literal('page').meta({ description: 'Pages have numbers.' }),
      parameter: parameter.optional().meta({
        description: 'Parameter of the query for it; without it, `{{ page }}` takes it.',
      }),
      first: z.int().min(0).default(1).meta({ description: 'Number of the first page.' }),
      size,
      size_parameter: sizeParameter,
      more,
    }),
    z.strictObject({
      type: z.literal('offset').meta({ description: 'Pages begin at the n-th record.' }),
      parameter: parameter.optional().meta({
        description: 'Parameter of the query for it; without it, `{{ offset }}` takes it.',
      }),
      size,
      size_parameter: sizeParameter,
      more,
    }),
    z.strictObject({
      type: z.literal('link').meta({ description: '`Link: <…>; rel="next"` (RFC 8288).' }),
    }),
    z.strictObject({
      type: z.literal('next_url').meta({ description: 'Each answer has the address of the next.' }),
      next: next('the next address', '$.next'),
    }),
  ])
  .meta({ description: 'How an answer leads to the next page; without it there is one.' })

export type PaginationConfig = z.output<typeof paginationSchema>

export const sinceSchema = z
  .strictObject({
    field: z
      .string()
      .min(1)
      .meta({
        description:
          'Column of `schema` that grows: a time, an integer or a text. The greatest value that was seen is asked for from then on.',
        examples: ['updated_at'],
      }),
    parameter: parameter.optional().meta({
      description: 'Parameter of the query for it; without it, `{{ since }}` takes it.',
    }),
    start: z
      .union([z.string().min(1), z.int()])
      .transform(String)
      .optional()
      .meta({
        description: 'Asked for the first time; default: it is left out.',
        examples: ['2026-01-01T00:00:00Z', 0],
      }),
    format: z.enum(['iso', 's', 'ms', 'us']).default('iso').meta({
      description: 'How a time is written: ISO 8601 in UTC, or counted since 1970.',
    }),
    overlap: z
      .union([
        durationText('Of a time.').transform((ms) => ({ ms })),
        z.int().min(0).max(Number.MAX_SAFE_INTEGER),
      ])
      .optional()
      .meta({
        description:
          'So much before the greatest value is asked for again (a duration, or a number where the field is one): for rows that become visible late. Rows that were there before make no second row.',
        examples: ['5m', 100],
      }),
  })
  .meta({
    description: 'Ask only for what is new, by a field that grows. A run that ends moves it on.',
  })

export type SinceConfig = z.output<typeof sinceSchema>

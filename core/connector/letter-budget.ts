/** How many rows of a topic a sink may set aside before the topic waits: `dead_letters` of any sink. */
import { z } from 'zod'

export interface LetterBudget {
  /** Open letters of one topic at which it waits. */
  readonly max: number
  /** Share of a topic's newest rows that may be refused, 0 to 1. */
  readonly rate: number
}

export const usualBudget: LetterBudget = { max: 10_000, rate: 0.5 }

const percent = z
  .string()
  .regex(/^(?:100|\d{1,2}(?:\.\d{1,4})?)%$/, 'expected a share such as 5% or 0.1%')
  // An editor's schema knows the text, the program the number.
  .transform((text) => Number(text.slice(0, -1)) / 100)

export const letterBudgetSchema = z
  .strictObject({
    max: z.number().int().min(1).max(1_000_000).default(usualBudget.max).meta({
      description:
        'Open dead letters of one topic at which the topic waits. Those that were retried or dropped do not count.',
    }),
    rate: percent.prefault('50%').meta({
      description:
        'Share of the newest rows of a topic (about 100,000) that may be refused; looked at from 100 letters on.',
    }),
  })
  .meta({
    description:
      'How many rows may be set aside before their topic waits for you instead of flooding; docs/dead-letters.md.',
    examples: [{ max: 1000, rate: '5%' }],
  })

import type { CodeTable } from './table.ts'

/** Codes of dead letters, retries and replays; they begin with `task.`. */
export const deadLetterCodes = {
  'task.dead_letter_budget': {
    fault: 'config',
    cause:
      'A topic of a sink, or a source of messages, set aside more rows than its budget (`dead_letters`) allows.',
    remedy:
      'See what is wrong with them: sluice dlq ls. Mend the target, the rows or the schema, then sluice dlq retry, edit or drop them; it goes on by itself once it is within its budget. To allow more, raise `dead_letters.max` or `dead_letters.rate` and restart.',
  },
  'task.letter_without_row': {
    fault: 'row',
    cause:
      'The row of a dead letter was not kept with it (letters of an older version), and the log does not hold it any more.',
    remedy: 'Drop the letter, and have the source send the row again by changing it there.',
  },
  'task.request_unwritten': {
    fault: 'transient',
    cause:
      'A request (retry, drop, replay) could not be written to the log, because other commands wrote theirs at the same time again and again.',
    remedy: 'Nothing was requested. Run the command again.',
  },
  'task.request_refused': {
    fault: 'config',
    cause: 'A request (retry, drop, replay) cannot be done as it was asked for.',
    remedy: 'The message says what is wrong; ask again.',
  },
} as const satisfies CodeTable

/**
 * What Sluice remembers of a table, in the table's own comment, because that goes with the table through
 * EXCHANGE TABLES and is there after any crash:
 *
 *   comment = text { "; " mark }
 *   mark    = "resync " id                      the table was, or is being, built by that request
 *           | "tombstones gone up to " version  deletions up to there may have been removed (cleanup.ts)
 */
const marks = { resync: 'resync ', gone: 'tombstones gone up to ' } as const

export interface TableMarks {
  readonly resync: string | null
  /** A version of `_sluice_version`; 0 = none was removed. */
  readonly gone: number
}

const made = 'Written by Sluice from '

export function tableComment(topic: string): string {
  // A topic with the separator in its name would be read as a mark.
  return `${made}${topic.replaceAll(';', ',')}`
}

/** Whether a table was made for another topic. */
export function isOfOther(topic: string, comment: string): boolean {
  const text = textOf(comment)
  return text.startsWith(made) && text !== tableComment(topic)
}

/** Whether two comments are the same but for their marks. */
export function isSameText(a: string, b: string): boolean {
  return textOf(a) === textOf(b)
}

function textOf(comment: string): string {
  return comment.split('; ')[0]!
}

export function withMark(
  comment: string,
  mark: keyof typeof marks,
  value: string | number,
): string {
  const others = comment.split('; ').filter((part) => !part.startsWith(marks[mark]))
  return [...others, `${marks[mark]}${value}`].join('; ')
}

export function marksOf(comment: string): TableMarks {
  const parts = comment.split('; ')
  const found = (mark: keyof typeof marks): string | null =>
    parts.find((part) => part.startsWith(marks[mark]))?.slice(marks[mark].length) ?? null
  const gone = Number(found('gone') ?? 0)
  return { resync: found('resync'), gone: Number.isSafeInteger(gone) ? gone : 0 }
}

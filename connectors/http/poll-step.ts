/** A step of a topic that is polled: what it asks for, and what comes of it. */
import type { RejectedRecords } from '../../core/connector/format/format.ts'
import type { TopicChange } from '../../core/connector/source.ts'
import type { PageRequest } from './poll-client.ts'
import type { PollSetup } from './poll-setup.ts'
import type { PageState, PollState } from './poll-state.ts'
import type { TemplateValues } from './poll-template.ts'

/** What may be committed together. */
export interface PollStep {
  readonly topic: string
  readonly changes: readonly TopicChange[]
  readonly rejected: readonly RejectedRecords[]
  /** null: the schema alone, before anything was asked. */
  readonly state: PollState | null
}

/** What a page asks for in this state. */
export function pageRequest(
  { pages, since }: Pick<PollSetup, 'pages' | 'since'>,
  state: PollState,
  page: PageState,
): PageRequest {
  const now = new Date(state.runMs ?? 0)
  const from = since?.asked(state) ?? null
  const values: TemplateValues = {
    since: from,
    cursor: page.cursor ?? null,
    page: page.page?.toString() ?? null,
    offset: page.offset?.toString() ?? null,
    size: pages.size,
    now: now.toISOString(),
    'now.date': now.toISOString().slice(0, 10),
    'now.unix': String(Math.floor(now.getTime() / 1000)),
    'now.unix_ms': String(now.getTime()),
  }
  const parameter = since?.parameter ?? null
  const parameters = {
    ...(parameter !== null && { [parameter]: from }),
    ...pages.parameters(page),
  }
  return { page, values, parameters, headers: {} }
}

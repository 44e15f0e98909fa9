/**
 * The requests that a deliver task has taken and not finished, and how far each is: plain data in the
 * notes of the task's own commits (invariants 2 and 6). Each request has one job a topic; the jobs of
 * a topic are done one after the other, in the order of the requests.
 */
import type { Log } from '../log/log.ts'
import { ChainReader } from '../log/reader.ts'
import type { Batch } from '../record/batch.ts'
import { editedIn, requestsIn, type Request, type RequestKind } from './requests.ts'

/** Rows that were decided before they were sent: sent exactly so again after a restart. */
export interface StepPlan {
  /** The job's place after them. */
  readonly to: number
  /** Batches, numbered from the job's `batch` on. */
  readonly batches: number
  /** CRC32C over all of them. */
  readonly hash: number
}

export interface JobNotes {
  /** Index of a letter in the request's list, or an offset in the topic; null before the first step. */
  readonly next: number | null
  /** Where it ends, once that is decided. */
  readonly end: number | null
  /** Number of the next batch in its ids. */
  readonly batch: number
  readonly plan: StepPlan | null
  /** Rows so far that a condition could not be decided for; absent when there was none. */
  readonly undecided?: number
}

export interface Counts {
  /** Rows that the sink took, that it refused, and letters that were over before. */
  readonly sent: number
  readonly refused: number
  readonly skipped: number
}

export interface ActiveRequest extends Counts {
  readonly kind: RequestKind
  readonly by: string
  /** When it was asked; absent in notes of earlier versions. */
  readonly atUs?: number
  /** The commit of the requests' chain that holds it. */
  readonly seq: number
  /** By topic; those that are over are not in it. */
  readonly jobs: Readonly<Record<string, JobNotes>>
  /** Why a job of it could not go on; the others are done all the same. */
  readonly problem: string | null
}

export interface OverRequest extends Counts {
  readonly number: number
  readonly kind: RequestKind
  readonly by: string
  /** As of an active one. */
  readonly atUs?: number
  readonly how: 'done' | 'cancelled' | 'failed'
  readonly problem: string | null
}

/** What the notes of a sink's chain say of requests. */
export interface RequestNotes {
  /** The commit of the requests' chain to read next. */
  readonly next: number
  readonly active: Readonly<Record<string, ActiveRequest>>
  /** The last ones, newest last. */
  readonly over: readonly OverRequest[]
}

export interface Job {
  readonly request: Request
  readonly topic: string
  /** Letters of the request whose row was changed. */
  readonly edited: Batch | null
  readonly notes: JobNotes
  /** Aborted when the request is cancelled. */
  readonly signal: AbortSignal
}

export interface NewJobs {
  readonly topics: readonly string[]
  /** Letters of the request whose row was changed. */
  readonly edited: Batch | null
  /** What of it cannot be done; the rest is. */
  readonly problem: string | null
}

interface Content {
  readonly request: Request
  readonly edited: Batch | null
  readonly cancel: AbortController
}

const overMax = 50
const nothing: Counts = { sent: 0, refused: 0, skipped: 0 }
export const firstNotes: JobNotes = { next: null, end: null, batch: 0, plan: null }

export class RequestDesk {
  #notes: RequestNotes
  readonly #contents = new Map<number, Content>()
  /** By topic: called when a job may have come, or gone. */
  readonly #watchers = new Map<string, () => void>()

  constructor(notes: RequestNotes | undefined) {
    this.#notes = notes ?? { next: 1, active: {}, over: [] }
  }

  /** With the content of the requests that were under way, which only their own chain holds. */
  static async load(
    log: Log,
    chain: string,
    notes: RequestNotes | undefined,
    signal: AbortSignal,
  ): Promise<RequestDesk> {
    const desk = new RequestDesk(notes)
    const seqs = new Set(Object.values(desk.#notes.active).map(({ seq }) => seq))
    for (const seq of seqs) {
      await using reader = ChainReader.open(log, chain, seq)
      const commit = await reader.next(signal)
      const edited = await editedIn(reader, commit, signal)
      for (const request of await requestsIn(reader, commit, signal)) {
        if (desk.#notes.active[request.number] !== undefined) desk.#keep(request, edited)
      }
    }
    return desk
  }

  /** undefined while nobody ever asked for anything. */
  get notes(): RequestNotes | undefined {
    const { next, active, over } = this.#notes
    return next === 1 && over.length === 0 && Object.keys(active).length === 0
      ? undefined
      : this.#notes
  }

  get next(): number {
    return this.#notes.next
  }

  /** The requests' chain is needed from here on. */
  get cursor(): number {
    const seqs = Object.values(this.#notes.active).map(({ seq }) => seq)
    return Math.min(this.#notes.next, ...seqs)
  }

  /** Everything before this commit of the requests' chain was taken. */
  passed(next: number): void {
    this.#notes = { ...this.#notes, next }
  }

  /** A request with a job for each of the topics; without any it is over at once. */
  start(request: Request, { topics, edited, problem }: NewJobs): void {
    const { number, seq, by, atUs, body } = request
    const jobs = Object.fromEntries(topics.map((topic) => [topic, firstNotes]))
    const entry = { ...nothing, kind: body.kind, by, atUs, seq, jobs, problem }
    this.#set(number, entry)
    this.#keep(request, edited)
    this.#settle(number)
    for (const topic of topics) this.wake(topic)
  }

  /** A request that is over in the commit that takes it. */
  finish(request: Request, outcome: Partial<OverRequest>): void {
    const { number, by, atUs, body } = request
    const over = { ...nothing, number, kind: body.kind, by, atUs, problem: null }
    this.#over({ ...over, how: 'done', ...outcome })
  }

  /** Ends a request at once; false when it is over already, or never was. */
  cancel(number: number): boolean {
    const entry = this.#notes.active[number]
    if (entry === undefined) return false
    this.#set(number, { ...entry, jobs: {} })
    this.#contents.get(number)?.cancel.abort()
    this.#settle(number, 'cancelled')
    for (const topic of Object.keys(entry.jobs)) this.wake(topic)
    return true
  }

  /** The topic's next piece of work; null when there is none. */
  job(topic: string): Job | null {
    for (const [text, { jobs }] of Object.entries(this.#notes.active)) {
      const notes = jobs[topic]
      const content = this.#contents.get(Number(text))
      if (notes === undefined || content === undefined) continue
      const { request, edited, cancel } = content
      return { request, topic, edited, notes, signal: cancel.signal }
    }
    return null
  }

  /** Letters whose rows are being sent. */
  planned(): ReadonlySet<number> {
    const letters = new Set<number>()
    for (const [text, { jobs }] of Object.entries(this.#notes.active)) {
      const body = this.#contents.get(Number(text))?.request.body
      if (body?.kind !== 'retry') continue
      for (const [topic, { next, plan }] of Object.entries(jobs)) {
        const list = plan === null ? [] : (body.letters[topic] ?? []).slice(next ?? 0, plan.to)
        for (const [letter] of list) letters.add(letter)
      }
    }
    return letters
  }

  /** `wake` is called whenever there may be work for the topic, or less of it. One a topic. */
  watch(topic: string, wake: () => void): void {
    this.#watchers.set(topic, wake)
  }

  /** Something that a topic may be waiting for has happened. */
  wake(topic: string): void {
    this.#watchers.get(topic)?.()
  }

  /** How far the job is, and what came of its last step. A job whose request is over changes nothing. */
  progress(job: Job, notes: JobNotes, counts: Counts): void {
    const entry = this.#notes.active[job.request.number]
    if (entry?.jobs[job.topic] === undefined) return
    const jobs = { ...entry.jobs, [job.topic]: notes }
    this.#set(job.request.number, { ...entry, ...sum(entry, counts), jobs })
  }

  /** The job is over; so is its request when it was the last one. */
  end(job: Job, problem: string | null): void {
    const { number } = job.request
    const entry = this.#notes.active[number]
    if (entry === undefined) return
    const jobs = Object.fromEntries(
      Object.entries(entry.jobs).filter(([topic]) => topic !== job.topic),
    )
    this.#set(number, { ...entry, jobs, problem: problem ?? entry.problem })
    this.#settle(number)
  }

  #settle(number: number, how?: 'cancelled'): void {
    const entry = this.#notes.active[number]
    if (entry === undefined || Object.keys(entry.jobs).length > 0) return
    const { jobs: _jobs, seq: _seq, ...rest } = entry
    const { [String(number)]: _, ...active } = this.#notes.active
    this.#notes = { ...this.#notes, active }
    this.#contents.delete(number)
    const ended = how ?? (rest.problem === null ? 'done' : 'failed')
    this.#over({ ...rest, number, how: ended })
  }

  #over(request: OverRequest): void {
    this.#notes = { ...this.#notes, over: [...this.#notes.over, request].slice(-overMax) }
  }

  #set(number: number, entry: ActiveRequest): void {
    this.#notes = { ...this.#notes, active: { ...this.#notes.active, [number]: entry } }
  }

  #keep(request: Request, edited: Batch | null): void {
    this.#contents.set(request.number, { request, edited, cancel: new AbortController() })
  }
}

function sum(a: Counts, b: Counts): Counts {
  return { sent: a.sent + b.sent, refused: a.refused + b.refused, skipped: a.skipped + b.skipped }
}

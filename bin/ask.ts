/** Asking a task for something, and watching what becomes of it. */
import { hostname } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { readHead } from '../core/log/head.ts'
import type { LetterRow } from '../core/task/dead-letters.ts'
import type { DeliveryNotes } from '../core/task/delivery-log.ts'
import { chainName, type TaskKind } from '../core/task/names.ts'
import type { Counts, OverRequest, RequestNotes } from '../core/task/request-desk.ts'
import { requestChain, type Request, type RequestBody } from '../core/task/requests.ts'
import { writeRequest } from '../core/task/request-writer.ts'
import { count, exitCode, print, printError, type ExitCode } from './output.ts'
import type { OpenedLog } from './pipeline-log.ts'

export interface Asked {
  readonly task: { readonly kind: TaskKind; readonly name: string }
  readonly request: Request
}

export async function ask(
  { log, name, signal }: OpenedLog,
  task: Asked['task'],
  body: RequestBody,
  edited: readonly LetterRow[] = [],
): Promise<Asked> {
  const chain = requestChain(chainName(name, task.kind, task.name))
  const by = `${hostname()}/${process.pid}`
  return { task, request: await writeRequest(log, { chain, body, edited, by }, signal) }
}

/** What a task says of its requests; null while it took none. */
export async function requestNotes(
  { log, name, signal }: OpenedLog,
  task: Asked['task'],
): Promise<RequestNotes | null> {
  const head = await readHead(log, chainName(name, task.kind, task.name), signal)
  return (head?.notes as DeliveryNotes | null | undefined)?.requests ?? null
}

const lookMs = 250
const hintMs = 10_000

/** Prints how far the requests are until all are over. */
export async function followAll(opened: OpenedLog, asked: readonly Asked[]): Promise<ExitCode> {
  let code: ExitCode = exitCode.ok
  for (const one of asked) {
    const over = await followOne(opened, one)
    if (over.how !== 'done' || over.refused > 0) code = exitCode.runtime
  }
  return code
}

async function followOne(opened: OpenedLog, { task, request }: Asked): Promise<OverRequest> {
  const startedMs = Date.now()
  let said = ''
  for (;;) {
    const notes = await requestNotes(opened, task)
    const over = notes?.over.find(({ number }) => number === request.number)
    if (over !== undefined) {
      print(`${task.name}, request ${request.number}: ${outcomeText(over)}`)
      return over
    }
    const active = notes?.active[request.number]
    const now = active === undefined ? '' : countsText(active)
    if (now !== said) printError(`request ${request.number}: ${now}`)
    if (active === undefined && said === '' && Date.now() - startedMs > hintMs) {
      printError(`nothing has taken the request yet: is \`sluice run ${opened.file}\` running?`)
      said = ' '
    } else if (now !== '') said = now
    await sleep(lookMs, null, { signal: opened.signal })
  }
}

export function outcomeText(over: OverRequest): string {
  const why = over.problem === null ? '' : `: ${over.problem}`
  return `${over.how}${why} (${over.kind === 'drop' ? `${over.sent} dropped` : countsText(over)})`
}

export function countsText({ sent, refused, skipped }: Counts): string {
  const parts = [`${count(sent, 'row')} sent`]
  if (refused > 0) parts.push(`${refused} refused again`)
  if (skipped > 0) parts.push(`${skipped} over before`)
  return parts.join(', ')
}

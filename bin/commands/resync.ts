/**
 * `sluice resync`: builds a sink's target of one topic anew from the log, beside the one in use, and
 * puts it into its place (core/task/resync.ts). The sink's task does it, and goes on where it was after
 * any restart.
 */
import { ask, followAll } from '../ask.ts'
import { tasksOf, WrongArgument } from '../letter-filter.ts'
import { exitCode, print, printError, type ExitCode } from '../output.ts'
import { topicsOf, type OpenedLog } from '../pipeline-log.ts'
import { onLetters } from './dlq.ts'
import { cancel, delivered, offsetOf, placeOf } from './replay.ts'

export interface ResyncOptions {
  readonly sink: string
  readonly topic?: string
  readonly from?: string
  readonly follow: boolean
  readonly cancel?: number
}

export function resync(file: string, options: ResyncOptions): Promise<ExitCode> {
  return onLetters(file, async (opened) => {
    tasksOf(opened, { sink: options.sink })
    if (options.cancel !== undefined) return cancel(opened, options, options.cancel)
    refuseUnable(opened, options)
    const topics = await topicsOf(opened)
    const [topic, ...others] = await delivered(opened, options, topics)
    if (topic === undefined || others.length > 0) {
      printError(`name one topic with --topic: ${[topic, ...others].join(', ')}`)
      return exitCode.invalid
    }
    const from =
      options.from === undefined
        ? null
        : await offsetOf(opened, topic, topics.get(topic)!.chain, placeOf(options.from, '--from'))
    const body = { kind: 'resync', topic, from } as const
    const asked = await ask(opened, { kind: 'deliver', name: options.sink }, body)
    print(`${options.sink}: request ${asked.request.number} to build ${topic} anew`)
    if (options.follow) return followAll(opened, [asked])
    printError(
      `a running pipeline does it, one that is not at its next start; see \`sluice dlq requests ${file}\`, end it with --cancel`,
    )
    return exitCode.ok
  })
}

/** Of a sink whose type is not known the task will say it. */
function refuseUnable({ file, outline }: OpenedLog, { sink, topic }: ResyncOptions): void {
  const known = outline.knownSinks.find(({ name }) => name === sink)
  if (known === undefined || known.connector.resyncs === true) return
  const words = topic === undefined ? '' : ` --topic ${topic}`
  throw new WrongArgument(
    `sink ${sink} (${known.kind}) has no table that could be built anew; have it get the rows once more: sluice replay ${file} --sink ${sink}${words} --from start`,
  )
}

/** A task's own chain, taken over for writing. */
import { toSluiceError } from '../errors/error.ts'
import { ChainWriter } from '../log/writer.ts'
import type { TaskContext } from './context.ts'
import { chainName, type TaskKind } from './names.ts'

/** Throws what `ChainWriter.open` throws. */
export function openOwnChain(
  { log, logger, pipeline, name, writer }: TaskContext,
  kind: TaskKind,
  signal: AbortSignal,
): Promise<ChainWriter> {
  const chain = chainName(pipeline, kind, name)
  const onSnapshotProblem = (problem: unknown): void => {
    const { code, message, remedy } = toSluiceError(problem)
    logger.warn('snapshot not written', { chain, code, reason: message, remedy })
  }
  return ChainWriter.open(log, chain, { writer, signal, onSnapshotProblem })
}

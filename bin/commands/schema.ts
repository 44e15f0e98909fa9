/** `sluice schema`: the JSON Schema of a pipeline file, for completion and hints in editors. */
import { sources } from '../../connectors/index.ts'
import { sinks } from '../../sinks/index.ts'
import { pipelineJsonSchema } from '../../config/schema.ts'
import { exitCode, print, type ExitCode } from '../output.ts'

export async function schema(): Promise<ExitCode> {
  print(JSON.stringify(await pipelineJsonSchema({ sources, sinks }), null, 2))
  return exitCode.ok
}

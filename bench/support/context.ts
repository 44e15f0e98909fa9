/** The context of a source or sink that a bench runs by itself, with jitter as it is in a hub; nobody hears what it says. */
import type { SinkContext } from '../../core/connector/context.ts'
import { quietContext } from '../../test/support/context.ts'

export function benchContext(given: Partial<SinkContext> = {}): SinkContext {
  return quietContext({ pipeline: 'bench', name: 'measured', random: Math.random, ...given })
}

/**
 * A process that delivers until a failpoint kills it; see again.ts.
 *
 *   node test/crash/again-child.ts <log folder> <ClickHouse url> <table>
 */
import { testLog } from '../support/task-context.ts'
import { deliver } from './again.ts'

const [folder = '', url = '', table = ''] = process.argv.slice(2)
await deliver(await testLog(`file://${folder}`), { url, table }, new AbortController().signal)

/**
 * A process that delivers until a failpoint kills it, or SIGTERM; see again.ts.
 *
 *   node test/crash/again-child.ts <log folder> <ClickHouse url> <table>
 */
import { testLog } from '../support/task-context.ts'
import { deliver } from './again.ts'

const [folder = '', url = '', table = ''] = process.argv.slice(2)
const stop = new AbortController()
process.once('SIGTERM', () => stop.abort())
await deliver(await testLog(`file://${folder}`), { url, table }, stop.signal)

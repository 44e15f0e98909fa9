/** A process that delivers until a failpoint kills it, or SIGTERM: `node waiting-child.ts <place as JSON>`. */
import { deliver, type Place } from './waiting.ts'

const stop = new AbortController()
process.once('SIGTERM', () => stop.abort())
await deliver(JSON.parse(process.argv[2] ?? '') as Place, stop.signal)

/** Answers of a server behind a proxy that are lost or stalled, as the harnesses of sinks have to be able to. */
import type { SinkHarness } from '../conformance/sink.ts'
import type { TcpProxy } from '../services/tcp-proxy.ts'

export type AnswerFaults = Pick<SinkHarness, 'loseNextAnswer' | 'stallNextAnswer'>

export function answerFaults(proxy: TcpProxy): AnswerFaults {
  return {
    loseNextAnswer: async () => {
      proxy.passBytes = 0
      const before = proxy.withheldBytes
      let seen = before
      // Once an answer has come and there is no more of it: a cut before the write would be no loss.
      const cutting = setInterval(() => {
        const isOver = seen > before && seen === proxy.withheldBytes
        seen = proxy.withheldBytes
        if (!isOver) return
        clearInterval(cutting)
        proxy.cut()
        proxy.passBytes = Infinity
      }, 150).unref()
    },
    stallNextAnswer: async () => {
      proxy.stall()
      return { release: async () => proxy.resume() }
    },
  }
}

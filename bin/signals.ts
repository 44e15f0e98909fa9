/**
 * SIGINT and SIGTERM: the first asks everything to finish its open commit and end, the second ends the
 * process at once. Ending at once is safe at any moment (what is not committed is read again); it only
 * costs the work of the open commit.
 */
export interface StopSignal extends Disposable {
  readonly signal: AbortSignal
}

export function stopOnSignals(onFirst: (name: NodeJS.Signals) => void): StopSignal {
  const controller = new AbortController()
  const handle = (name: NodeJS.Signals): void => {
    // 128 + number of the signal, as a shell reports a process that a signal ended.
    if (controller.signal.aborted) process.exit(name === 'SIGINT' ? 130 : 143)
    controller.abort()
    onFirst(name)
  }
  process.on('SIGINT', handle)
  process.on('SIGTERM', handle)
  return {
    signal: controller.signal,
    [Symbol.dispose]: () => {
      process.off('SIGINT', handle)
      process.off('SIGTERM', handle)
    },
  }
}

/**
 * What the promise comes to, or the signal's reason first, where the work itself knows nothing of the signal.
 * `late` gets what comes of it after that, such as a connection to be given back; a late failure is nobody's.
 */
export function abortable<T>(
  promise: Promise<T>,
  signal: AbortSignal,
  late: (value: T) => void = () => {},
): Promise<T> {
  return new Promise((resolve, reject) => {
    const stop = (): void => {
      promise.then(late, () => {})
      reject(signal.reason as Error)
    }
    if (signal.aborted) return stop()
    signal.addEventListener('abort', stop, { once: true })
    const settle = <V>(finish: (value: V) => void) => {
      return (value: V): void => {
        signal.removeEventListener('abort', stop)
        finish(value)
      }
    }
    promise.then(settle(resolve), settle(reject))
  })
}

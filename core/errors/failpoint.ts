/**
 * Failpoints: named places where a crash test kills this process, one at each durable step.
 *
 *   SLUICE_FAILPOINTS='log.commit.before_create=3,ingest.after_commit=1'
 *
 * kills the process (SIGKILL: nothing is flushed, nothing is said) when that place is passed for the
 * third, or first, time. Unset, `failpoint` is an empty function.
 */
const remaining = new Map<string, number>()
for (const entry of (process.env['SLUICE_FAILPOINTS'] ?? '').split(',')) {
  const [name, count] = entry.split('=')
  if (name !== undefined && name !== '') remaining.set(name, Number(count ?? 1))
}

function hit(name: string): void {
  const left = remaining.get(name)
  if (left === undefined) return
  remaining.set(name, left - 1)
  if (left === 1) process.kill(process.pid, 'SIGKILL')
}

export const failpoint: (name: string) => void = remaining.size === 0 ? (): void => {} : hit

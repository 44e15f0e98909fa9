/** What `assert.rejects` and `assert.throws` look at an error with: it is ours, and says what it should. */
import assert from 'node:assert/strict'
import type { Code } from '../../core/errors/codes.ts'
import { SluiceError, type Fault } from '../../core/errors/error.ts'

/** `looks`: its fault, and what stands in its message or remedy. Where it is not so, what it is instead is said. */
export function failsWith(
  code: Code,
  ...looks: readonly (Fault | RegExp)[]
): (error: unknown) => error is SluiceError {
  return (error): error is SluiceError => {
    assert.ok(error instanceof SluiceError, String(error))
    assert.equal(error.code, code, error.message)
    for (const look of looks) {
      if (typeof look === 'string') assert.equal(error.fault, look, error.message)
      else assert.match(`${error.message} ${error.remedy}`, look)
    }
    return true
  }
}

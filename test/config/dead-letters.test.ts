/** `dead_letters` of every sink: how many rows may be set aside, and what is wrong with it, at its line. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { usualBudget } from '../../core/connector/letter-budget.ts'
import { brief, good, load } from './support.ts'

/** The good file with this in its sink, which stands on line 15, from column 37 on. */
function withBudget(text: string): string {
  return good.replace('type: toybox,', `type: toybox, dead_letters: ${text},`)
}

test('a budget, half of one, and none', async () => {
  const budget = async (text: string): Promise<unknown> => {
    const { pipeline, problems } = await load(withBudget(text))
    assert.deepEqual(brief(problems), [])
    return pipeline?.sinks[0]?.deadLetters
  }
  const { pipeline } = await load(good)
  assert.deepEqual(pipeline?.sinks[0]?.deadLetters, usualBudget)
  assert.deepEqual(await budget('{ max: 1000, rate: 5% }'), { max: 1000, rate: 0.05 })
  assert.deepEqual(await budget('{ max: 1 }'), { ...usualBudget, max: 1 })
  assert.deepEqual(await budget('{ rate: 0.1% }'), { ...usualBudget, rate: 0.001 })
})

test('what is wrong is shown where it stands', async () => {
  const problems = async (text: string): Promise<readonly string[]> => {
    const { problems } = await load(withBudget(text))
    return problems.map(({ line, col, code }) => `${line}:${col} ${code}`)
  }
  assert.deepEqual(await problems('{ max: 0 }'), ['15:45 config.invalid_value'])
  assert.deepEqual(await problems('{ rate: 5 }'), ['15:46 config.wrong_type'])
  assert.deepEqual(await problems('{ rate: 200% }'), ['15:46 config.invalid_value'])
  assert.deepEqual(await problems('{ limit: 5 }'), ['15:40 config.unknown_key'])
})

/** A key that takes a word or one of several kinds of mappings: what is said where neither was written. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { http } from '../../connectors/http/connector.ts'
import type { ConfigProblem } from '../../config/problem.ts'
import { load } from './support.ts'
import { toyRegisters } from './toy.ts'

async function problemsOf(source: string): Promise<readonly ConfigProblem[]> {
  const sources = { ...toyRegisters.sources, http: () => Promise.resolve(http) }
  const { problems } = await load(
    `version: 1\nname: web\nlog: { url: 'file://./log' }\nsources:\n  web:\n${source}`,
    { registers: { ...toyRegisters, sources } },
  )
  return problems.filter(({ severity }) => severity === 'error')
}

const said = ({ path, message, suggestion }: ConfigProblem): string =>
  `${path}: ${message}; ${suggestion ?? ''}`

test('a word where a mapping of that kind is meant', async () => {
  const [problem] = await problemsOf(
    '    { type: http, push: { a: { path: /a, auth: hmac, schema: { id: int64 } } } }',
  )
  assert.equal(
    said(problem!),
    'sources.web.push.a.auth: expected "none" or a mapping; write { scheme: hmac, … }',
  )
  const [misspelt] = await problemsOf(
    '    { type: http, push: { a: { path: /a, auth: nonne, schema: { id: int64 } } } }',
  )
  assert.match(said(misspelt!), /or a mapping; did you mean "none"\?$/)
})

test('a missing key is told as its own kind has it', async () => {
  const [problem] = await problemsOf(
    '    { type: http, push: { a: { path: /a, auth: { scheme: github }, schema: { id: int64 } } } }',
  )
  assert.match(said(problem!), /^sources\.web\.push\.a\.auth\.secret: "secret" is missing: Signing/)
})

test('a source of neither kind, and a text where a list stands', async () => {
  const problems = await problemsOf('    { type: http, url: x }')
  assert.ok(problems.map(said).includes('sources.web: it has no topic: say `push` or `poll`; '))
  const [list] = await problemsOf(
    '    { type: http, push: { a: { path: /a, auth: none, schema: { id: int64 }, allow_ips: 10.0.0.0/8 } } }',
  )
  assert.equal(
    said(list!),
    'sources.web.push.a.allow_ips: expected a list, not text; put it in [ ]',
  )
})

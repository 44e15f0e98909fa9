/** OAuth's client credentials: what is asked, and what an answer means. Attacks invariant 8 (every retry has an end). */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { tokenAnswer, tokenRequest } from '../../../core/connector/oauth.ts'
import { Secret } from '../../../core/connector/secret.ts'

test('the secret stands in the header or in the form, encoded as each wants it', () => {
  const credentials = { id: 'a:b', secret: new Secret('c d%'), scope: 'x y' }
  const inHeader = tokenRequest({ ...credentials, place: 'header' })
  // By hand: a%3Ab:c%20d%25
  assert.equal(inHeader.headers['authorization'], `Basic ${btoa('a%3Ab:c%20d%25')}`)
  assert.equal(inHeader.body, 'grant_type=client_credentials&scope=x+y')
  const inBody = tokenRequest({ ...credentials, audience: 'api', place: 'body' })
  assert.equal(inBody.headers['authorization'], undefined)
  assert.equal(
    inBody.body,
    'grant_type=client_credentials&scope=x+y&audience=api&client_id=a%3Ab&client_secret=c+d%25',
  )
})

test('an answer is a token, a refusal for good, or to be asked for later', () => {
  const answer = (status: number, said: unknown): unknown =>
    tokenAnswer(status, typeof said === 'string' ? said : JSON.stringify(said), 1000)
  const token = { access_token: 't' }
  assert.deepEqual(answer(200, { ...token, expires_in: 10 }), {
    kind: 'token',
    token: 't',
    renewMs: 9000,
  })
  for (const expires of [undefined, 'soon', -1, 0, null]) {
    const said = answer(200, { ...token, expires_in: expires })
    assert.deepEqual(said, { kind: 'token', token: 't', renewMs: 241_000 }, String(expires))
  }
  for (const said of [
    '',
    '[]',
    'null',
    { access_token: '' },
    { access_token: 'a\r\nb: c' },
    { access_token: 5 },
  ]) {
    assert.deepEqual(answer(200, said), { kind: 'refused', why: 'answered without access_token' })
  }
  assert.deepEqual(answer(401, { error: 'invalid_client' }), {
    kind: 'refused',
    why: 'answered 401: invalid_client',
  })
  assert.deepEqual(answer(404, '<html>'), { kind: 'refused', why: 'answered 404' })
  for (const status of [408, 429, 500, 503]) {
    assert.deepEqual(answer(status, ''), { kind: 'later', why: `answered ${status}` })
  }
})

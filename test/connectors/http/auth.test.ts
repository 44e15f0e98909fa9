/**
 * Who may push: each scheme against published test vectors or what the vendor's own library made
 * (stripe 23, @octokit/webhooks-methods 6, @shopify/shopify-api 15; of @slack/bolt 5 what it accepts), and
 * against everything that is nearly right.
 */
import assert from 'node:assert/strict'
import { createHmac, generateKeyPairSync, sign } from 'node:crypto'
import { describe, test } from 'node:test'
import { Webhook } from 'standardwebhooks'
import { authSchema, type SchemeConfig } from '../../../connectors/http/auth-config.ts'
import { authenticator } from '../../../connectors/http/auth.ts'

const body = '{"id":"evt_1","amount":"12.50","note":"grüße"}'
const nowS = 1_767_268_800

type Headers = Record<string, string>

function refusal(
  config: unknown,
  headers: Headers,
  { text = body, atS = nowS, query = '' } = {},
): string | null {
  const auth = authenticator(authSchema.parse(config) as SchemeConfig)
  const head = { headers, query: new URLSearchParams(query) }
  return auth.head(head) ?? auth.body(head, Buffer.from(text), atS * 1000)
}

interface Vector {
  readonly name: string
  readonly config: Record<string, unknown>
  readonly headers: Headers
  readonly text?: string
  /** Header that carries the signature. */
  readonly header: string
  /** null: nothing is signed that says when. */
  readonly atS: number | null
}

const standardSecret = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'
const standardAt = 1_614_265_330

const vectors: readonly Vector[] = [
  {
    // The example of the specification, and of its libraries.
    name: 'standard_webhooks',
    config: { scheme: 'standard_webhooks', secret: standardSecret },
    headers: {
      'webhook-id': 'msg_p5jXN8AQM9LWM0D4loKWxJek',
      'webhook-timestamp': String(standardAt),
      'webhook-signature': 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
    },
    text: '{"test": 2432232314}',
    header: 'webhook-signature',
    atS: standardAt,
  },
  {
    // https://docs.github.com/webhooks/using-webhooks/validating-webhook-deliveries
    name: 'github, from its documentation',
    config: { scheme: 'github', secret: "It's a Secret to Everybody" },
    headers: {
      'x-hub-signature-256':
        'sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17',
    },
    text: 'Hello, World!',
    header: 'x-hub-signature-256',
    atS: null,
  },
  {
    name: 'github, by its library',
    config: { scheme: 'github', secret: 'judge secret' },
    headers: {
      'x-hub-signature-256':
        'sha256=bb08d51448758b8b5a86920d123cab89aa28d3db70ace6846ac735f1bc0418f4',
    },
    header: 'x-hub-signature-256',
    atS: null,
  },
  {
    name: 'stripe, by its library',
    config: { scheme: 'stripe', secret: 'whsec_judge' },
    headers: {
      'stripe-signature':
        't=1767268800,v1=788958ce9b14593d4e29758e6acadfa3c88323324a599ea345b5dc5c0b463d30',
    },
    header: 'stripe-signature',
    atS: nowS,
  },
  {
    name: 'shopify, by its library',
    config: { scheme: 'shopify', secret: 'judge' },
    headers: { 'x-shopify-hmac-sha256': 'nfVLDmGdoOL87bCyNP/UKM8I0EuBOmO2dbQnW7vndKU=' },
    header: 'x-shopify-hmac-sha256',
    atS: null,
  },
  {
    name: 'slack, as its library takes it',
    config: { scheme: 'slack', secret: 'judge' },
    headers: {
      'x-slack-signature': 'v0=332f44d040fbc47eaf83b4c0141255df41122ae7c7a0780259deccece60c5119',
      'x-slack-request-timestamp': '1767268800',
    },
    header: 'x-slack-signature',
    atS: nowS,
  },
  {
    // RFC 4231, §4.3: the key "Jefe".
    name: 'hmac with SHA-512, from RFC 4231',
    config: { scheme: 'hmac', secret: 'Jefe', header: 'X-Sig', algorithm: 'sha512', prefix: 'v=' },
    headers: {
      'x-sig':
        'v=164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea2505549758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737',
    },
    text: 'what do ya want for nothing?',
    header: 'x-sig',
    atS: null,
  },
  {
    name: 'hmac with a time, in base64',
    config: {
      scheme: 'hmac',
      secret: 'judge',
      header: 'x-sig',
      encoding: 'base64',
      timestamp_header: 'x-time',
      signed: '{timestamp}:{body}:end',
    },
    headers: {
      'x-sig': createHmac('sha256', 'judge').update(`${nowS}000:${body}:end`).digest('base64'),
      'x-time': `${nowS}000`,
    },
    header: 'x-sig',
    atS: nowS,
  },
]

for (const { name, config, headers, text = body, header, atS } of vectors) {
  describe(name, () => {
    const at = { text, atS: atS ?? nowS }
    test('what its sender signs is let in', () => {
      assert.equal(refusal(config, headers, at), null)
    })
    test('another body, secret or signature is not', () => {
      assert.match(refusal(config, headers, { ...at, text: `${text} ` }) ?? '', /does not fit/)
      const other =
        name === 'standard_webhooks' ? 'whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA' : 'other'
      assert.match(refusal({ ...config, secret: other }, headers, at) ?? '', /does not fit/)
      // Not the last digit: in base64 it may stand for bits that are not there.
      const said = headers[header]!
      const at12 = said.length - 12
      const other12 = said[at12] === '0' ? '1' : '0'
      const changed = `${said.slice(0, at12)}${other12}${said.slice(at12 + 1)}`
      assert.notEqual(refusal(config, { ...headers, [header]: changed }, at), null)
    })
    test('without its headers it is not', () => {
      for (const missing of Object.keys(headers)) {
        const { [missing]: _, ...rest } = headers
        assert.match(refusal(config, rest, at) ?? '', /missing or malformed/, missing)
        assert.notEqual(refusal(config, { ...headers, [missing]: '' }, at), null)
      }
      for (const text of ['v1,', 'sha256=', 'sha256=zz', 't=1', 'v0=', '🙂', 'a'.repeat(10_000)]) {
        assert.notEqual(refusal(config, { ...headers, [header]: text }, at), null, text)
      }
    })
    test('while a secret is exchanged, both are good', () => {
      const spare = name === 'standard_webhooks' ? 'whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA' : 'new'
      const secrets = [spare, config['secret']]
      assert.equal(refusal({ ...config, secret: secrets }, headers, at), null)
      assert.equal(refusal({ ...config, secret: secrets.toReversed() }, headers, at), null)
      assert.notEqual(refusal({ ...config, secret: [spare, spare] }, headers, at), null)
    })
    test('what was recorded is refused when it is old', () => {
      if (atS === null) return
      assert.equal(refusal(config, headers, { text, atS: atS + 299 }), null)
      assert.match(refusal(config, headers, { text, atS: atS + 301 }) ?? '', /too old/)
      assert.match(refusal(config, headers, { text, atS: atS - 301 }) ?? '', /future/)
      const patient = { ...config, tolerance: '10m' }
      assert.equal(refusal(patient, headers, { text, atS: atS + 301 }), null)
    })
  })
}

test('what Standard Webhooks’ own library signs, several signatures at a time', () => {
  const sender = new Webhook(standardSecret)
  const now = new Date(nowS * 1000)
  const headers = {
    'webhook-id': 'msg_1',
    'webhook-timestamp': String(nowS),
    'webhook-signature': `v1,AAAA v2,x ${sender.sign('msg_1', now, body)}`,
  }
  const config = { scheme: 'standard_webhooks', secret: standardSecret }
  assert.equal(refusal(config, headers), null)
  assert.notEqual(refusal(config, { ...headers, 'webhook-id': 'msg_2' }), null)
})

test('Standard Webhooks by Ed25519', () => {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519')
  const raw = publicKey.export({ type: 'spki', format: 'der' }).subarray(-32).toString('base64')
  const signature = sign(null, Buffer.from(`msg_1.${nowS}.${body}`), privateKey).toString('base64')
  const headers = {
    'webhook-id': 'msg_1',
    'webhook-timestamp': String(nowS),
    'webhook-signature': `v1a,${signature}`,
  }
  const config = { scheme: 'standard_webhooks', secret: [standardSecret, `whpk_${raw}`] }
  assert.equal(refusal(config, headers), null)
  assert.notEqual(refusal(config, headers, { text: `${body}x` }), null)
  // An HMAC under the public key, which everybody knows, is no signature.
  const forged = createHmac('sha256', Buffer.from(raw, 'base64'))
    .update(`msg_1.${nowS}.${body}`)
    .digest('base64')
  const forger = { ...headers, 'webhook-signature': `v1,${forged} v1a,${forged}` }
  assert.notEqual(refusal({ scheme: 'standard_webhooks', secret: `whpk_${raw}` }, forger), null)
})

test('Stripe’s signatures of test events are none', () => {
  const [, digest = ''] = vectors[3]!.headers['stripe-signature']!.split('v1=')
  const headers = { 'stripe-signature': `t=${nowS},v0=${digest}` }
  assert.notEqual(refusal({ scheme: 'stripe', secret: 'whsec_judge' }, headers), null)
  const both = { 'stripe-signature': `t=${nowS},v1=${'0'.repeat(64)},v1=${digest},v0=x` }
  assert.equal(refusal({ scheme: 'stripe', secret: 'whsec_judge' }, both), null)
})

test('credentials: user and password, token, key', () => {
  const basic = { scheme: 'basic', username: 'me', password: ['new', 'o:ld'] }
  const of = (text: string): Headers => ({
    authorization: `Basic ${Buffer.from(text).toString('base64')}`,
  })
  for (const good of ['me:new', 'me:o:ld']) assert.equal(refusal(basic, of(good)), null, good)
  for (const bad of ['me:', 'me:ne', 'me:newer', 'you:new', 'me', ':new', 'ME:new', 'me:o', '']) {
    assert.notEqual(refusal(basic, of(bad)), null, bad)
  }
  const bearer = { scheme: 'bearer', token: 'abc.def' }
  assert.equal(refusal(bearer, { authorization: 'Bearer abc.def' }), null)
  assert.equal(refusal(bearer, { authorization: 'bearer abc.def' }), null)
  for (const bad of ['Bearer abc', 'Bearer', 'Basic abc.def', 'abc.def', 'Bearer abc.def x']) {
    assert.notEqual(refusal(bearer, { authorization: bad }), null, bad)
  }
  const key = { scheme: 'api_key', key: 'k1', header: 'X-Key', query: 'key' }
  assert.equal(refusal(key, { 'x-key': 'k1' }), null)
  assert.equal(refusal(key, {}, { query: 'a=b&key=k1' }), null)
  assert.match(refusal(key, {}) ?? '', /missing/)
  assert.match(refusal(key, { 'x-key': 'k2' }, { query: 'key=k1' }) ?? '', /wrong/)
})

test('a secret that cannot be one of its scheme is a config error', () => {
  const scheme = 'standard_webhooks'
  for (const secret of ['whsec_', 'whpk_AAAA', 'whsec_ä', 'whsk_AAAA']) {
    assert.throws(() => refusal({ scheme, secret }, {}), { code: 'http.invalid_config' }, secret)
  }
})

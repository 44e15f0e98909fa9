/** Who calls, behind proxies: what a client writes itself is never believed. */
import assert from 'node:assert/strict'
import type { Socket } from 'node:net'
import { test } from 'node:test'
import fc from 'fast-check'
import { IpRanges, plainAddress } from '../../../core/connector/ip-range.ts'
import { ClientAddresses } from '../../../core/hub/client-address.ts'

function of(trusted: readonly string[], socket: string, forwarded?: string): string {
  const headers = forwarded === undefined ? {} : { 'x-forwarded-for': forwarded }
  return new ClientAddresses(trusted).of({ headers, socket: { remoteAddress: socket } as Socket })
}

test('without trusted proxies the header is not looked at', () => {
  assert.equal(of([], '203.0.113.9', '10.0.0.1'), '203.0.113.9')
  assert.equal(of(['10.0.0.0/8'], '203.0.113.9', '198.51.100.1'), '203.0.113.9')
})

test('behind proxies the last address that is not theirs counts', () => {
  const trusted = ['10.0.0.0/8', '2001:db8::/32']
  for (const [socket, forwarded, client] of [
    ['10.0.0.1', '198.51.100.1', '198.51.100.1'],
    ['10.0.0.1', '127.0.0.1, 198.51.100.1', '198.51.100.1'],
    ['10.0.0.1', 'spoofed, 198.51.100.1, 10.2.2.2', '198.51.100.1'],
    ['::ffff:10.0.0.1', '198.51.100.1:4711', '198.51.100.1'],
    ['2001:db8::1', '[2001:4860::1]:99', '2001:4860::1'],
    ['10.0.0.1', '', '10.0.0.1'],
    ['10.0.0.1', 'unknown', '10.0.0.1'],
    // All are proxies: the one furthest off.
    ['10.0.0.1', '10.0.0.3, 10.0.0.2', '10.0.0.3'],
  ] as const) {
    assert.equal(of(trusted, socket, forwarded), client, `${socket} with ${forwarded}`)
  }
})

test('whatever a client puts in front changes nothing', () => {
  fc.assert(
    fc.property(fc.array(fc.oneof(fc.ipV4(), fc.ipV6(), fc.string())), (spoofed) => {
      const header = [...spoofed, '198.51.100.7'].join(', ')
      assert.equal(of(['10.0.0.0/8'], '10.0.0.1', header), '198.51.100.7')
    }),
  )
})

test('ranges hold both families, and mapped addresses as what they are', () => {
  const ranges = new IpRanges([
    '192.0.2.0/24',
    '2001:db8::/32',
    '203.0.113.5',
    '::ffff:198.51.100.0/120',
  ])
  const inside = ['192.0.2.1', '2001:db8::5', '203.0.113.5', '::ffff:192.0.2.9', '198.51.100.3']
  const outside = ['192.0.3.1', '2001:db9::5', '203.0.113.6', '::1', '', 'nonsense']
  for (const address of inside) assert.ok(ranges.has(plainAddress(address)), address)
  for (const address of outside) assert.ok(!ranges.has(plainAddress(address)), address)
})

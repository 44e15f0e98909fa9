/**
 * Bytes that Feast's own code writes (feast 0.67), taken down once: keys, field names, values, times.
 * The test with the real SDK (redis.it.test.ts) reads what the whole sink wrote; these tell which byte
 * is wrong.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { LogicalType } from '../../../../core/record/types.ts'
import { BytesOut } from '../../../../sinks/feast/bytes-out.ts'
import {
  compareNames,
  entityKeyPrefix,
  writeEntityValue,
  type EntityType,
} from '../../../../sinks/feast/layout/entity-key.ts'
import { featureField, murmur3 } from '../../../../sinks/feast/layout/murmur3.ts'
import { writeTimestamp } from '../../../../sinks/feast/layout/timestamp.ts'
import { writeValues } from '../../../../sinks/feast/layout/value.ts'
import { feastTypeOf, type ScalarName } from '../../../../sinks/feast/types.ts'
import { makeSchema } from '../../../../core/record/schema.ts'
import { batchOf, type Value } from '../../../conformance/rows.ts'

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}

function columnOf(type: LogicalType, value: Value) {
  const schema = makeSchema([{ name: 'v', type, nullable: true }], [], 'append')
  return batchOf(schema, [{ values: { v: value } }]).columns[0]!
}

function entityKey(entities: readonly [string, EntityType, LogicalType, Value][]): string {
  const out = new BytesOut(8)
  const sorted = [...entities].sort(([a], [b]) => compareNames(a, b))
  const prefix = entityKeyPrefix(sorted.map(([name]) => name))
  out.ensure(prefix.length)
  out.copy(prefix, 0, prefix.length)
  for (const [name, type, logical, value] of sorted) {
    writeEntityValue(out, { name, index: 0, logical, type }, columnOf(logical, value), 0)
  }
  return hex(out.bytes.subarray(0, out.end))
}

function valueOf(type: LogicalType, scalar: ScalarName, value: Value): string {
  const out = new BytesOut(1)
  const column = columnOf(type, value)
  const values = { column, logical: type, type: feastTypeOf(type, scalar) }
  writeValues(out, values, Int32Array.of(0), new Int32Array(2))
  return hex(out.bytes.subarray(0, out.end))
}

function timestamp(seconds: number, nanos: number): string {
  const out = new BytesOut(32)
  writeTimestamp(out, seconds, nanos)
  return hex(out.bytes.subarray(0, out.end))
}

test('murmur3, seed 0', () => {
  assert.equal(murmur3(Buffer.from('hello')), 0x248bfa47)
  assert.equal(murmur3(Buffer.from('')), 0)
  assert.equal(hex(featureField('driver_hourly_stats', 'conv_rate')), '6160e3da')
})

test('entity keys', () => {
  assert.equal(
    entityKey([['driver_id', 'int64', { kind: 'int64' }, 1001n]]),
    '0100000002000000090000006472697665725f69640400000008000000e903000000000000',
  )
})

test('times', () => {
  assert.equal(timestamp(1_704_067_200, 500_000_000), '088081c8ac061080cab5ee01')
  assert.equal(timestamp(0, 0), '')
  assert.equal(timestamp(-1, 0), '08ffffffffffffffffff01')
})

test('values', () => {
  assert.equal(valueOf({ kind: 'int64' }, 'int64', 5n), '2005')
  assert.equal(valueOf({ kind: 'float32' }, 'float', 0.9273980259895325), '35f5696d3f')
  assert.equal(valueOf({ kind: 'int64' }, 'int64', null), '')
})

/**
 * Default values: JSON in the schema → the bytes that a record would hold (Apache Avro 1.12, table
 * "field default values"), so that a missing field is read by the same reader as one that is there.
 * bytes and fixed are written as text of the code points 0–255.
 */
import type { AvroField, AvroType } from './types.ts'

const depthMax = 64

/** null: there is none, or it does not fit the field's type. */
export function defaultBytes(field: AvroField): Uint8Array | null {
  if (!('default' in field)) return null
  const out: number[] = []
  return write(out, field.type, field.default, 0) ? Uint8Array.from(out) : null
}

function write(out: number[], type: AvroType, value: unknown, depth: number): boolean {
  if (depth > depthMax) return false
  switch (type.kind) {
    case 'union':
      return writeBranch(out, type.branches, value, depth)
    case 'record':
      return writeFields(out, type.fields, value, depth)
    case 'array':
      return Array.isArray(value) && writeArray(out, type.items, value, depth)
    case 'map':
      return isObject(value) && writeMap(out, type.values, value, depth)
    default:
      return writeScalar(out, type, value)
  }
}

/** Older versions of the specification want the first branch; any that fits is right since 1.12. */
function writeBranch(
  out: number[],
  branches: readonly AvroType[],
  value: unknown,
  depth: number,
): boolean {
  return branches.some((branch, index) => {
    const own: number[] = []
    writeLong(own, BigInt(index))
    if (!write(own, branch, value, depth + 1)) return false
    out.push(...own)
    return true
  })
}

function writeFields(
  out: number[],
  fields: readonly AvroField[],
  value: unknown,
  depth: number,
): boolean {
  if (!isObject(value)) return false
  return fields.every((field) => {
    if (field.name in value) return write(out, field.type, value[field.name], depth + 1)
    return 'default' in field && write(out, field.type, field.default, depth + 1)
  })
}

function writeArray(
  out: number[],
  items: AvroType,
  values: readonly unknown[],
  depth: number,
): boolean {
  if (values.length > 0) writeLong(out, BigInt(values.length))
  const fits = values.every((value) => write(out, items, value, depth + 1))
  out.push(0)
  return fits
}

function writeMap(
  out: number[],
  values: AvroType,
  entries: Readonly<Record<string, unknown>>,
  depth: number,
): boolean {
  const names = Object.keys(entries)
  if (names.length > 0) writeLong(out, BigInt(names.length))
  const fits = names.every((name) => {
    writeBytes(out, Buffer.from(name))
    return write(out, values, entries[name], depth + 1)
  })
  out.push(0)
  return fits
}

function writeScalar(out: number[], type: AvroType, value: unknown): boolean {
  switch (type.kind) {
    case 'null':
      return value === null
    case 'boolean':
      if (typeof value !== 'boolean') return false
      out.push(value ? 1 : 0)
      return true
    case 'int':
    case 'long':
      return writeInteger(out, type.kind, value)
    case 'float':
    case 'double':
      return writeFloat(out, type.kind, value)
    case 'string':
      if (typeof value !== 'string') return false
      writeBytes(out, Buffer.from(value))
      return true
    case 'enum': {
      const index = type.symbols.findIndex((symbol) => symbol === value)
      if (index >= 0) writeLong(out, BigInt(index))
      return index >= 0
    }
    case 'bytes':
      return writeRaw(out, null, value)
    case 'decimal':
    case 'fixed':
      return writeRaw(out, type.size, value)
    default:
      return false
  }
}

function writeInteger(out: number[], kind: 'int' | 'long', value: unknown): boolean {
  const isWhole = typeof value === 'bigint' || Number.isSafeInteger(value)
  if (!isWhole) return false
  const integer = BigInt(value as number | bigint)
  if (integer !== BigInt.asIntN(kind === 'int' ? 32 : 64, integer)) return false
  writeLong(out, integer)
  return true
}

function writeFloat(out: number[], kind: 'float' | 'double', value: unknown): boolean {
  const special = value === 'NaN' || value === 'Infinity' || value === '-Infinity'
  if (typeof value !== 'number' && typeof value !== 'bigint' && !special) return false
  const bytes = Buffer.alloc(kind === 'float' ? 4 : 8)
  if (kind === 'float') bytes.writeFloatLE(Number(value))
  else bytes.writeDoubleLE(Number(value))
  out.push(...bytes)
  return true
}

function writeRaw(out: number[], size: number | null, value: unknown): boolean {
  if (typeof value !== 'string') return false
  const bytes = Buffer.from(value, 'latin1')
  if (bytes.toString('latin1') !== value) return false
  if (size !== null && bytes.length !== size) return false
  if (size === null) writeLong(out, BigInt(bytes.length))
  for (const byte of bytes) out.push(byte)
  return true
}

function writeBytes(out: number[], bytes: Uint8Array): void {
  writeLong(out, BigInt(bytes.length))
  for (const byte of bytes) out.push(byte)
}

/** Zigzag, 7 bits a byte. */
function writeLong(out: number[], value: bigint): void {
  let bits = BigInt.asUintN(64, (value << 1n) ^ (value >> 63n))
  for (; bits >= 0x80n; bits >>= 7n) out.push(Number(bits & 0x7fn) | 0x80)
  out.push(Number(bits))
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Passes over a value that nobody wants, checking no more than where it ends. For envelopes. */
import type { AvroInput } from './input.ts'
import type { AvroType } from './types.ts'

const depthMax = 64

export function skipValue(input: AvroInput, type: AvroType, depth = 0): void {
  if (depth > depthMax) {
    input.fail(`a value is nested deeper than ${depthMax} levels`)
    return
  }
  switch (type.kind) {
    case 'null':
      return
    case 'boolean':
      input.fixed(1)
      return
    case 'float':
      input.fixed(4)
      return
    case 'double':
      input.fixed(8)
      return
    case 'int':
    case 'long':
    case 'enum':
      input.long()
      return
    case 'bytes':
    case 'string':
      input.sized()
      return
    case 'fixed':
      input.fixed(type.size)
      return
    case 'decimal':
      if (type.size === null) input.sized()
      else input.fixed(type.size)
      return
    case 'record':
      for (let i = 0; i < type.fields.length && input.fault === null; i++)
        skipValue(input, type.fields[i]!.type, depth + 1)
      return
    case 'union':
      return skipBranch(input, type.branches, depth)
    case 'array':
    case 'map':
      return skipItems(input, type, depth)
  }
}

function skipBranch(input: AvroInput, branches: readonly AvroType[], depth: number): void {
  const branch = branches[input.long()]
  if (branch === undefined) input.fail('a union has no such branch')
  else if (input.fault === null) skipValue(input, branch, depth + 1)
}

function skipItems(
  input: AvroInput,
  type: AvroType & { readonly kind: 'array' | 'map' },
  depth: number,
): void {
  const item = type.kind === 'map' ? type.values : type.items
  for (let left = input.block(); left > 0; left = input.block()) {
    for (; left > 0 && input.fault === null; left--) {
      if (type.kind === 'map') input.sized()
      skipValue(input, item, depth + 1)
    }
  }
}

/**
 * Walks encoded bytes against their schema before avsc sees them: lengths and counts within what is
 * left, no negative block sizes, longs within the safe range, canonical booleans. So a hostile or
 * damaged frame costs no more than its own length. Pure.
 */
export type AvroType =
  | 'null'
  | 'boolean'
  | 'int'
  | 'long'
  | 'float'
  | 'double'
  | 'bytes'
  | 'string'
  | 'id64'
  | { readonly type: 'array'; readonly items: AvroType }
  | { readonly type: 'fixed'; readonly name: string; readonly size: number }
  | readonly ['null', AvroType]
  | RecordSchema

export interface RecordSchema {
  readonly type: 'record'
  readonly name: string
  readonly fields: readonly {
    readonly name: string
    readonly type: AvroType
    readonly default?: unknown
  }[]
}

export class CodecError extends Error {
  constructor(sentence: string) {
    super(sentence)
    this.name = 'CodecError'
  }
}

/** Returns where the value that starts at `at` ends; throws a CodecError when it is not one. */
export type Guard = (source: Uint8Array, at: number, end: number) => number

const longBytesMax = 8
const safeZigzagMax = 9007199254740990 * 2

export function compileGuard(type: AvroType): Guard {
  return compile(type, new Map([['id64', fixedGuard(8)]]))
}

function compile(type: AvroType, named: Map<string, Guard>): Guard {
  if (typeof type === 'string') return primitives[type] ?? reference(type, named)
  if (isUnion(type)) return nullableGuard(compile(type[1], named))
  if (type.type === 'array') return arrayGuard(compile(type.items, named))
  const guard = type.type === 'fixed' ? fixedGuard(type.size) : recordGuard(type, named)
  named.set(type.name, guard)
  return guard
}

function isUnion(type: AvroType): type is readonly ['null', AvroType] {
  return Array.isArray(type)
}

function reference(name: string, named: Map<string, Guard>): Guard {
  const guard = named.get(name)
  if (guard === undefined) throw new CodecError(`schema refers to an unknown type ${name}`)
  return guard
}

const primitives: Readonly<Record<string, Guard>> = {
  null: (_source, at) => at,
  boolean(source, at, end) {
    if (at >= end || source[at]! > 1) throw new CodecError('not a boolean')
    return at + 1
  },
  int(source, at, end) {
    const next = varint(source, at, end)
    if (varintValue > 4294967295) throw new CodecError('int out of range')
    return next
  },
  long(source, at, end) {
    const next = varint(source, at, end)
    // avsc reads odd zigzags above 2^53 (negatives below -2^52) back wrong.
    if (varintValue > 9007199254740992 && varintOdd) throw new CodecError('long out of range')
    return next
  },
  float: fixedGuard(4),
  double: fixedGuard(8),
  bytes: lengthGuard,
  string: lengthGuard,
}

function lengthGuard(source: Uint8Array, at: number, end: number): number {
  const next = varint(source, at, end)
  const length = varintValue / 2
  if (varintOdd || length > end - next) throw new CodecError('length beyond the end')
  return next + length
}

function fixedGuard(size: number): Guard {
  return (_source, at, end) => {
    if (size > end - at) throw new CodecError('fixed beyond the end')
    return at + size
  }
}

function nullableGuard(item: Guard): Guard {
  return (source, at, end) => {
    const next = varint(source, at, end)
    if (varintValue === 0) return next
    if (varintValue !== 2) throw new CodecError('unknown branch of a union')
    return item(source, next, end)
  }
}

function arrayGuard(item: Guard): Guard {
  return (source, at, end) => {
    let next = at
    for (;;) {
      next = varint(source, next, end)
      if (varintValue === 0) return next
      const count = varintValue / 2
      if (varintOdd || count > end - next) throw new CodecError('count beyond the end')
      for (let index = 0; index < count; index++) next = item(source, next, end)
    }
  }
}

function recordGuard(schema: RecordSchema, named: Map<string, Guard>): Guard {
  const fields = schema.fields.map(field => compile(field.type, named))
  const count = fields.length
  return (source, at, end) => {
    let next = at
    for (let index = 0; index < count; index++) next = fields[index]!(source, next, end)
    return next
  }
}

/** The zigzag value that `varint` has just read: twice the number, odd when it is negative. */
let varintValue = 0
let varintOdd = false

function varint(source: Uint8Array, at: number, end: number): number {
  let value = 0
  let scale = 1
  const last = Math.min(end, at + longBytesMax)
  for (let next = at; next < last; next++) {
    const byte = source[next]!
    value += (byte & 0x7f) * scale
    if (byte < 0x80) {
      if (value > safeZigzagMax) throw new CodecError('number out of range')
      varintValue = value
      varintOdd = (source[at]! & 1) === 1
      return next + 1
    }
    scale *= 128
  }
  throw new CodecError('number without an end')
}

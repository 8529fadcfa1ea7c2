/**
 * Avro, and the only importer of avsc. A codec writes one record into a buffer that the caller owns
 * and reads it back through a guard: avsc trusts counts and lengths, so the bytes are walked once
 * against the writer's schema before it sees them (codec-guard.ts). `bytes` accepts any Uint8Array,
 * `id64` is a signed 64-bit bigint in eight bytes, `long` keeps to what avsc encodes right.
 */
import avro from 'avsc'
import { takeRecyclable } from './buffer-pool.ts'
import { CodecError, compileGuard, type Guard, type RecordSchema } from './codec-guard.ts'

export { CodecError, type AvroType, type RecordSchema } from './codec-guard.ts'

export interface Codec {
  /** Parsing canonical form's MD5 in hex: equal on both sides means the same bytes. */
  readonly fingerprint: string
  /** The schema as JSON, to check in or to send. */
  readonly json: string
  /** Writes at `at`; returns the end, or, when there is no room, minus the number of missing bytes. */
  encode(value: object, target: Buffer, at: number): number
  /**
   * Reads exactly `start` … `end`, or throws a CodecError. Bytes are copied, except those that make
   * up most of a source that is given away (`owned`).
   */
  decode(source: Buffer, start: number, end: number, owned?: boolean): object
  /** A decoder for bytes that were written with an older schema, or an error that says why not. */
  resolve(writerJson: string): Decoder
}

export interface Decoder {
  decode(source: Buffer, start: number, end: number): object
}

export function createCodec(schema: RecordSchema): Codec {
  const type = parse(schema)
  return {
    fingerprint: type.fingerprint().toString('hex'),
    json: JSON.stringify(schema),
    encode: (value, target, at) => type.encode(value, target, at),
    decode: decoder(type, compileGuard(schema), undefined),
    resolve(writerJson) {
      const writer = JSON.parse(writerJson) as RecordSchema
      const writerType = parse(writer)
      return { decode: decoder(type, compileGuard(writer), type.createResolver(writerType)) }
    },
  }
}

function decoder(type: avro.Type, guard: Guard, resolver: Resolver | undefined): Decoder['decode'] {
  return (source, start, end, owned = false) => {
    // A view keeps all of its source alive: only for the bulk of it, and only one.
    viewBytesMin = owned ? Math.max(16_384, source.length / 2 + 1) : Number.POSITIVE_INFINITY
    if (guard(source, start, end) !== end) throw new CodecError('bytes follow the record')
    const { value, offset } =
      resolver === undefined ? type.decode(source, start) : type.decode(source, start, resolver)
    if (offset !== end) throw new CodecError('the record ends elsewhere')
    return value as object
  }
}

type Resolver = ReturnType<avro.Type['createResolver']>

function parse(schema: RecordSchema): avro.Type {
  const options = { omitRecordMethods: true, registry: registry(), wrapUnions: false }
  return avro.Type.forSchema(schema as avro.Schema, options)
}

/** What avsc's own types call on its cursor; version 5.7.9, pinned. */
interface Tap {
  buf: Buffer
  pos: number
  readLong(): number
  writeLong(value: number): void
}
type Internal = new (schema?: unknown) => avro.Type & { _write(tap: Tap, value: unknown): void }
const { BytesType, LongType, FixedType } = avro.types as unknown as {
  BytesType: Internal
  LongType: Internal
  FixedType: Internal
}

let viewBytesMin = Number.POSITIVE_INFINITY

class AnyBytes extends BytesType {
  _check(value: unknown): boolean {
    return value instanceof Uint8Array
  }

  /** No Buffer: whoever keeps a part of a message calls `slice`, and of a Buffer that is a view. */
  _read(tap: Tap): Uint8Array {
    const { buf } = tap
    const length = tap.readLong()
    const at = tap.pos
    tap.pos += length
    const view = new Uint8Array(buf.buffer, buf.byteOffset + at, length)
    if (length >= viewBytesMin) return view
    const copy = takeRecyclable(length)
    copy.set(view)
    return copy
  }

  override _write(tap: Tap, value: unknown): void {
    if (!(value instanceof Uint8Array)) throw new CodecError('bytes field is not a Uint8Array')
    tap.writeLong(value.length)
    const at = tap.pos
    tap.pos += value.length
    if (tap.pos <= tap.buf.length) tap.buf.set(value, at)
  }
}

class SafeLong extends LongType {
  override _write(tap: Tap, value: unknown): void {
    if (!isSafeLong(value)) {
      throw new CodecError(`long outside the safe range: ${String(value)}`)
    }
    tap.writeLong(value as number)
  }
}

/** avsc refuses 2^53 - 1, and reads negative numbers below -2^52 back wrong. */
function isSafeLong(value: unknown): boolean {
  if (!Number.isSafeInteger(value)) return false
  return (value as number) >= -4503599627370496 && (value as number) < 9007199254740991
}

class Id64 extends FixedType {
  constructor() {
    super({ type: 'fixed', name: 'id64', size: 8 })
  }

  _check(value: unknown): boolean {
    return typeof value === 'bigint'
  }

  _read(tap: Tap): bigint {
    const at = tap.pos
    tap.pos += 8
    return tap.pos <= tap.buf.length ? tap.buf.readBigInt64LE(at) : 0n
  }

  override _write(tap: Tap, value: unknown): void {
    const at = tap.pos
    tap.pos += 8
    if (tap.pos <= tap.buf.length) tap.buf.writeBigInt64LE(BigInt.asIntN(64, value as bigint), at)
  }
}

function registry(): Record<string, avro.Type> {
  return { bytes: new AnyBytes(), long: new SafeLong(), id64: new Id64() }
}

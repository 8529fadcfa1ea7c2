/**
 * How the messages of one actor are encoded where they cross threads or nodes: each kind of the
 * union is an Avro record without `kind`. The table is checked by the compiler against the union.
 *
 *     export const journalProtocol = defineProtocol<JournalMessage>('journal', {
 *       persist: { id: 'long', entries: 'bytes', … },
 *       compact: { position: 'long' },
 *     })
 */
import type { Message } from './actor.ts'
import { type AvroType, type Codec, createCodec, type Decoder, type RecordSchema } from './codec.ts'
import { invariant } from './invariant.ts'

export interface Protocol<M extends Message> {
  readonly name: string
  /** In the order of definition. */
  readonly kinds: readonly KindCodec[]
  kindOf(kind: M['kind']): KindCodec
  kindById(id: number): KindCodec | undefined
}

export interface KindCodec {
  readonly kind: string
  /** What names the kind in an envelope: a hash of `protocol.kind`, the same on every node and version. */
  readonly id: number
  /** `protocol.kind`. */
  readonly name: string
  /** May use the reserved room of a link: completions, supervision, link-down. */
  readonly reserved: boolean
  readonly codec: Codec
}

/** How a field of type T is declared. */
export type Field<T> = [T] extends [Uint8Array]
  ? 'bytes'
  : [T] extends [number]
    ? 'int' | 'long' | 'double' | 'float'
    : [T] extends [string]
      ? 'string'
      : [T] extends [boolean]
        ? 'boolean'
        : [T] extends [bigint]
          ? 'id64'
          : [T] extends [readonly (infer Item)[]]
            ? { readonly array: Field<Item> }
            : null extends T
              ? { readonly nullable: Nullable<Exclude<T, null>> }
              : [T] extends [object]
                ? {
                    readonly record: string
                    readonly fields: {
                      readonly [Name in Exclude<keyof T, 'kind'>]-?: Field<T[Name]>
                    }
                  }
                : never

/** Bytes and bigints have a value for `nothing` of their own: empty, and zero. */
type Nullable<T> = [T] extends [Uint8Array | bigint] ? never : Field<T>

export type KindFields<M extends Message> = {
  readonly [Kind in M['kind']]: FieldsOf<Extract<M, { readonly kind: Kind }>>
}

type FieldsOf<Member> = {
  readonly [Name in Exclude<keyof Member, 'kind'>]-?: Field<Exclude<Member[Name], undefined>>
}

export function defineProtocol<M extends Message>(
  name: string,
  fields: KindFields<M>,
  options: { readonly reserved?: readonly M['kind'][] } = {},
): Protocol<M> {
  const reserved = new Set<string>(options.reserved)
  const kinds = Object.entries(fields).map(([kind, members]) =>
    kindCodec(name, kind, members as Record<string, FieldShape>, reserved.has(kind)),
  )
  const byKind = new Map(kinds.map(entry => [entry.kind, entry]))
  const byId = new Map(kinds.map(entry => [entry.id, entry]))
  invariant(byId.size === kinds.length, `two kinds of protocol ${name} have the same hash`)
  return {
    name,
    kinds,
    kindOf(kind) {
      const found = byKind.get(kind)
      invariant(found, `protocol ${name} has no kind ${kind}`)
      return found
    },
    kindById: id => byId.get(id),
  }
}

export interface MessageSchema {
  readonly name: string
  readonly id: number
  readonly fingerprint: string
  readonly json: string
}

/** What a handshake tells the other side, in a stable order. */
export function schemaTable(protocols: readonly Protocol<never>[]): MessageSchema[] {
  return protocols
    .flatMap(protocol => protocol.kinds)
    .map(({ name, id, codec }) => ({ name, id, fingerprint: codec.fingerprint, json: codec.json }))
    .sort((left, right) => (left.name < right.name ? -1 : 1))
}

/**
 * Decoders for what the other side writes, by kind id. `writers` maps a kind's name to the schema
 * that it uses; a kind that is missing there is never sent. Throws when a schema cannot be resolved.
 */
export function peerDecoders(
  protocols: readonly Protocol<never>[],
  writers: ReadonlyMap<string, string>,
): Map<number, PeerDecoder> {
  const decoders = new Map<number, PeerDecoder>()
  for (const { name, id, kind, codec } of protocols.flatMap(protocol => protocol.kinds)) {
    const writer = writers.get(name)
    if (writer === undefined) continue
    decoders.set(id, { kind, decoder: writer === codec.json ? codec : codec.resolve(writer) })
  }
  return decoders
}

export interface PeerDecoder {
  readonly kind: string
  readonly decoder: Decoder
}

/** Decoded records carry no `kind`: it is in the envelope. */
export function withKind(record: object, kind: string): Message {
  ;(record as { kind: string }).kind = kind
  return record as Message
}

/** FNV-1a, 32 bits: names of actors and kinds in envelopes. */
export function nameHash(name: string): number {
  let hash = 0x811c9dc5
  for (let index = 0; index < name.length; index++) {
    hash = Math.imul(hash ^ name.charCodeAt(index), 0x01000193)
  }
  return hash >>> 0
}

type FieldShape =
  | string
  | { readonly array: FieldShape }
  | { readonly nullable: FieldShape }
  | { readonly record: string; readonly fields: Readonly<Record<string, FieldShape>> }

function kindCodec(
  protocol: string,
  kind: string,
  members: Readonly<Record<string, FieldShape>>,
  reserved: boolean,
): KindCodec {
  const name = `${protocol}.${kind}`
  // Avro takes what precedes a dot for a namespace, which every nested name would then need.
  const codec = createCodec(recordSchema(name.replace('.', '_'), members, new Set()))
  return { kind, id: nameHash(name), name, reserved, codec }
}

function recordSchema(
  name: string,
  members: Readonly<Record<string, FieldShape>>,
  known: Set<string>,
): RecordSchema {
  const fields = Object.entries(members).map(([field, shape]) => ({
    name: field,
    type: avroType(shape, known),
  }))
  return { type: 'record', name, fields }
}

function avroType(shape: FieldShape, known: Set<string>): AvroType {
  if (typeof shape === 'string') return shape as AvroType
  if ('array' in shape) return { type: 'array', items: avroType(shape.array, known) }
  if ('nullable' in shape) return ['null', avroType(shape.nullable, known)]
  // Avro defines a name once and refers to it afterwards.
  if (known.has(shape.record)) return shape.record as AvroType
  known.add(shape.record)
  return recordSchema(shape.record, shape.fields, known)
}

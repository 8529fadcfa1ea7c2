/**
 * Which schemas a node reads and writes for the messages that cross nodes, and what to do when the
 * other side is older: read its schemas through resolvers, write its schemas instead of ours. A field
 * that one side does not know is left out and reads as its zero (0, '', no bytes, false, []).
 */
import type { Message } from '../../runtime/actor.ts'
import { type Codec, createCodec, type RecordSchema } from '../../runtime/codec.ts'
import { envelopeHeaderBytes, envelopeKind, writeEnvelope } from '../../runtime/envelope.ts'
import type { KindCodec, PeerDecoder } from '../../runtime/protocol.ts'
import { newestCommon, type SchemaLine } from './handshake.ts'

/** Schemas of an earlier version by `protocol.kind`, as checked in under schemas/. */
export type OlderSchemas = Readonly<Record<string, RecordSchema>>

/** What a link does with envelopes because of the peer's schemas. */
export interface Translation {
  /** For the router; nothing: the peer writes what we write. */
  readonly decoders: ReadonlyMap<number, PeerDecoder> | undefined
  /** The envelope as the peer reads it, valid until the next call; nothing: it does not know the kind. */
  outgoing(envelope: Uint8Array): Uint8Array | undefined
}

export class SchemaSet {
  readonly lines: readonly SchemaLine[]
  readonly #kinds: readonly KindCodec[]
  readonly #byFingerprint: ReadonlyMap<string, RecordSchema>

  /** `history`: newest first. */
  constructor(kinds: readonly KindCodec[], history: readonly OlderSchemas[]) {
    const byFingerprint = new Map<string, RecordSchema>()
    this.#kinds = kinds
    this.#byFingerprint = byFingerprint
    this.lines = kinds.map(({ name, codec }) => {
      const fingerprints = [codec.fingerprint]
      for (const older of history) {
        const schema = older[name]
        if (schema === undefined) continue
        const { fingerprint } = createCodec(schema)
        byFingerprint.set(fingerprint, schema)
        if (!fingerprints.includes(fingerprint)) fingerprints.push(fingerprint)
      }
      return { name, fingerprints }
    })
  }

  /** The handshake has found a common schema for each kind that both sides know. */
  translation(theirs: readonly SchemaLine[]): Translation {
    const outgoing = new Map<number, Outgoing>()
    const decoders = new Map<number, PeerDecoder>()
    this.#kinds.forEach((kind, index) => {
      const line = theirs.find(({ name }) => name === kind.name)
      const common = newestCommon(this.lines[index]!.fingerprints, line?.fingerprints ?? [])
      if (common === kind.codec.fingerprint) return
      const schema = common === undefined ? undefined : this.#byFingerprint.get(common)
      outgoing.set(kind.id, { kind, older: schema && olderKind(kind, schema) })
      if (schema === undefined) return
      const reader = createCodec(withDefaults(JSON.parse(kind.codec.json)))
      decoders.set(kind.id, { kind: kind.kind, decoder: reader.resolve(JSON.stringify(schema)) })
    })
    return outgoing.size === 0 ? sameSchemas : new Translator(outgoing, decoders)
  }
}

interface Outgoing {
  readonly kind: KindCodec
  readonly older: KindCodec | undefined
}

const sameSchemas: Translation = { decoders: undefined, outgoing: envelope => envelope }

class Translator implements Translation {
  readonly decoders: ReadonlyMap<number, PeerDecoder>
  readonly #outgoing: ReadonlyMap<number, Outgoing>
  #scratch = Buffer.alloc(0)

  constructor(outgoing: ReadonlyMap<number, Outgoing>, decoders: ReadonlyMap<number, PeerDecoder>) {
    this.#outgoing = outgoing
    this.decoders = decoders
  }

  outgoing(envelope: Uint8Array): Uint8Array | undefined {
    const source = Buffer.from(envelope.buffer, envelope.byteOffset, envelope.length)
    const found = this.#outgoing.get(envelopeKind(source, 0))
    if (found === undefined) return envelope
    if (found.older === undefined) return undefined
    const message = found.kind.codec.decode(source, envelopeHeaderBytes, source.length) as Message
    const actor = source.readUInt32LE(4)
    let end = writeEnvelope(this.#scratch, 0, actor, found.older, message)
    while (end < 0) {
      this.#scratch = Buffer.allocUnsafe(this.#scratch.length * 2 - end)
      end = writeEnvelope(this.#scratch, 0, actor, found.older, message)
    }
    return this.#scratch.subarray(0, end)
  }
}

function olderKind(kind: KindCodec, schema: RecordSchema): KindCodec {
  const codec: Codec = createCodec(withDefaults(schema))
  return { ...kind, codec }
}

type Field = RecordSchema['fields'][number]

function withDefaults(schema: RecordSchema): RecordSchema {
  return { ...schema, fields: schema.fields.map(withDefault) }
}

function withDefault(field: Field): Field {
  if ('default' in field) return field
  const { type } = field
  if (Array.isArray(type)) return { ...field, default: null }
  if (typeof type === 'string') {
    return type in zeros ? { ...field, default: zeros[type] } : field
  }
  if ('type' in type && type.type === 'array') return { ...field, default: [] }
  return field
}

const zeros: Readonly<Record<string, unknown>> = {
  boolean: false,
  int: 0,
  long: 0,
  float: 0,
  double: 0,
  bytes: '',
  string: '',
}

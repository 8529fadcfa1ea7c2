/**
 * Which schemas a node reads and writes for the messages that cross nodes, and what to do when the
 * other side is older: read its schemas through resolvers, write its schemas instead of ours. A field
 * that one side does not know is left out and reads as its zero (0, '', no bytes, false, []).
 */
import type { Message } from '../../runtime/actor.ts'
import { createCodec, type Decoder, type RecordSchema } from '../../runtime/codec.ts'
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
  /** By name of the kind and fingerprint. Built at the start: a schema that cannot be resolved fails there. */
  readonly #older = new Map<string, OlderKind>()

  /** `history`: newest first. */
  constructor(kinds: readonly KindCodec[], history: readonly OlderSchemas[]) {
    this.#kinds = kinds
    this.lines = kinds.map(kind => ({
      name: kind.name,
      fingerprints: this.#fingerprints(kind, history),
    }))
  }

  /** The handshake has found a common schema for each kind that both sides know. */
  translation(theirs: readonly SchemaLine[]): Translation {
    const outgoing = new Map<number, Outgoing>()
    const decoders = new Map<number, PeerDecoder>()
    this.#kinds.forEach((kind, index) => {
      const line = theirs.find(({ name }) => name === kind.name)
      const common = newestCommon(this.lines[index]!.fingerprints, line?.fingerprints ?? [])
      if (common === kind.codec.fingerprint) return
      const older = this.#older.get(`${kind.name} ${common}`)
      outgoing.set(kind.id, { kind, older: older?.writer })
      if (older !== undefined) decoders.set(kind.id, { kind: kind.kind, decoder: older.reader })
    })
    return outgoing.size === 0 ? sameSchemas : new Translator(outgoing, decoders)
  }

  #fingerprints(kind: KindCodec, history: readonly OlderSchemas[]): string[] {
    const fingerprints = [kind.codec.fingerprint]
    for (const schemas of history) {
      const schema = schemas[kind.name]
      if (schema === undefined) continue
      const codec = createCodec(withDefaults(schema))
      if (fingerprints.includes(codec.fingerprint)) continue
      fingerprints.push(codec.fingerprint)
      const reader = createCodec(withDefaults(JSON.parse(kind.codec.json)))
      this.#older.set(`${kind.name} ${codec.fingerprint}`, {
        writer: { ...kind, codec },
        reader: reader.resolve(JSON.stringify(schema)),
      })
    }
    return fingerprints
  }
}

interface OlderKind {
  readonly writer: KindCodec
  readonly reader: Decoder
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

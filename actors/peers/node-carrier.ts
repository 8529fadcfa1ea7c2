/**
 * Between the router and the links: envelopes for a node go into its link (in an older schema where
 * the node needs it), envelopes from a link go to the router. Only moves bytes and tells. Of a node that
 * is no member only consensus hears: it may be a leader whose membership is not known here yet.
 */
import { envelopeActor, envelopeEnd } from '../../runtime/envelope.ts'
import { nameHash } from '../../runtime/protocol.ts'
import type { NodeCarrier, NodeGate } from '../../runtime/router.ts'
import type { SchemaLine } from '../../transport/peers/handshake.ts'
import type { PeerLink } from '../../transport/peers/peer-link.ts'
import type { SchemaSet, Translation } from '../../transport/peers/schemas.ts'
import { directory } from '../directory.ts'

export class LinkCarrier implements NodeCarrier {
  readonly #gate: NodeGate
  readonly #schemas: SchemaSet
  readonly #isMember: (node: number) => boolean
  readonly #wake: () => void
  readonly #links = new Map<number, Route>()
  /** Written to since the last flush; the owner flushes at the end of the round. */
  #dirty: PeerLink[] = []

  /** `wake`: something waits to be flushed. */
  constructor(
    gate: NodeGate,
    schemas: SchemaSet,
    isMember: (node: number) => boolean,
    wake: () => void,
  ) {
    this.#gate = gate
    this.#schemas = schemas
    this.#isMember = isMember
    this.#wake = wake
    gate.attachNodes(this)
  }

  up(node: number, link: PeerLink, theirs: readonly SchemaLine[]): void {
    this.#links.set(node, { link, translation: this.#schemas.translation(theirs) })
  }

  down(node: number): void {
    if (this.#links.delete(node)) this.#gate.nodeLost(node)
  }

  /** The router's `reserved` messages are control: they overtake bulk and are never dropped. */
  send(node: number, envelope: Uint8Array, reserved: boolean): boolean {
    const route = this.#links.get(node)
    if (route === undefined) return false
    const { link, translation } = route
    const bytes = translation.outgoing(envelope)
    if (bytes === undefined) return false
    const room = link.reserve(bytes.length, reserved)
    if (room === undefined) return false
    room.set(bytes, link.reservedAt)
    link.commit(bytes.length)
    if (this.#dirty.length === 0) this.#wake()
    if (!this.#dirty.includes(link)) this.#dirty.push(link)
    return true
  }

  flush(): void {
    const dirty = this.#dirty
    this.#dirty = []
    for (const link of dirty) link.flush()
  }

  deliver(node: number, body: Uint8Array): void {
    const source = Buffer.from(body.buffer, body.byteOffset, body.length)
    const decoders = this.#links.get(node)?.translation.decoders
    const isMember = this.#isMember(node)
    for (let at = 0; at < source.length; ) {
      const end = isMember ? 0 : envelopeEnd(source, at, source.length)
      if (!isMember && envelopeActor(source, at) !== consensus) at = end
      else at = this.#gate.accept(node, source, at, source.length, decoders)
    }
  }
}

const consensus = nameHash(directory.consensus.name)

interface Route {
  readonly link: PeerLink
  readonly translation: Translation
}

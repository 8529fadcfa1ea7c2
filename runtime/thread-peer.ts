/**
 * Another thread of the process, through all its lives: the link to it, the watches on its actors,
 * and refs to them. Links speak a small protocol of their own beside the actors' messages.
 */
import type { Address, Message, Ref } from './actor.ts'
import { allowRecycling } from './buffer-pool.ts'
import type { Carrier } from './carrier.ts'
import type { Cell } from './cell.ts'
import { envelopeHeaderBytes, writeEnvelope } from './envelope.ts'
import { invariant } from './invariant.ts'
import { limits } from './limits.ts'
import { type LinkLimits, ThreadLink } from './link.ts'
import { defineProtocol, type KindCodec, nameHash, type Protocol } from './protocol.ts'
import type { System } from './system.ts'

export type LinkMessage =
  | { readonly kind: 'watch'; readonly id: number; readonly actor: string }
  | { readonly kind: 'died'; readonly id: number }
  | {
      readonly kind: 'forward'
      readonly node: number
      readonly reserved: boolean
      readonly envelope: Uint8Array
    }
  | { readonly kind: 'nodeLost'; readonly node: number }

export const linkProtocol = defineProtocol<LinkMessage>(
  'link',
  {
    watch: { id: 'int', actor: 'string' },
    died: { id: 'int' },
    forward: { node: 'int', reserved: 'boolean', envelope: 'bytes' },
    nodeLost: { node: 'int' },
  },
  // `forward` is as what it carries.
  { reserved: ['watch', 'died', 'nodeLost'] },
)
const { threadEnvelopeBytesMax: bytesMax } = limits
/** Addresses the router itself. */
export const linkActor = 0
/** Envelopes of a slab, from `start` on. */
type Receive = (peer: ThreadPeer, source: Buffer, start: number, owned: boolean) => void

/** Another thread, through all its lives. */
export class ThreadPeer {
  readonly thread: string
  link: ThreadLink | undefined = undefined
  readonly #receive: Receive
  readonly #system: System
  readonly #limits: LinkLimits
  readonly #watches = new Map<number, () => void>()
  readonly #touched: Cell[] = []
  #watchId = 0
  #isOpen = false

  constructor(receive: Receive, system: System, thread: string, linkLimits: LinkLimits) {
    this.#receive = receive
    this.#system = system
    this.thread = thread
    this.#limits = linkLimits
  }

  connect(carrier: Carrier): void {
    this.link?.close()
    this.#lost()
    const link: ThreadLink = new ThreadLink(
      carrier,
      {
        envelopes: (source, start, owned) => {
          if (owned) allowRecycling(source)
          this.#receive(this, source, start, owned)
        },
        lost: () => {
          if (this.link === link) this.#lost()
        },
        wake: () => this.#system.dispatcher.wake(),
      },
      this.#limits,
    )
    this.link = link
    if (this.#isOpen) link.open()
  }

  open(): void {
    this.#isOpen = true
    this.link?.open()
  }

  send(actor: number, kind: KindCodec, message: Message): boolean {
    const { link } = this
    if (link === undefined || !link.reserve(envelopeHeaderBytes, kind.reserved)) return false
    let end = writeEnvelope(link.buffer, link.at, actor, kind, message, bytesMax)
    while (end < 0) {
      link.reserve(link.buffer.length - link.at - end, kind.reserved)
      end = writeEnvelope(link.buffer, link.at, actor, kind, message, bytesMax)
    }
    link.commit(end)
    return true
  }

  pass(source: Buffer, start: number, end: number, reserved: boolean): void {
    const { link } = this
    const bytes = end - start
    if (link?.reserve(bytes, reserved)) {
      source.copy(link.buffer, link.at, start, end)
      link.commit(link.at + bytes)
    } else this.#system.lost(this.thread, 'envelope', 'no credit')
  }

  control(message: LinkMessage, reserved = true): void {
    const kind = linkProtocol.kindOf(message.kind)
    this.send(linkActor, reserved === kind.reserved ? kind : { ...kind, reserved }, message)
  }

  watch(actor: string, callback: () => void): void {
    if (this.link === undefined || this.link.isLost) {
      callback()
      return
    }
    const id = ++this.#watchId
    this.#watches.set(id, callback)
    this.control({ kind: 'watch', id, actor })
  }

  died(id: number): void {
    const callback = this.#watches.get(id)
    this.#watches.delete(id)
    callback?.()
  }

  lostMessage(actor: string, kind: string): void {
    this.#system.lost(actor, kind, this.link?.isLost === false ? 'no credit' : 'thread lost')
  }

  /** What was received since the last grant went to this actor. */
  touched(cell: Cell): void {
    const { length } = this.#touched
    if (length === 0 || (this.#touched[length - 1] !== cell && !this.#touched.includes(cell))) {
      this.#touched.push(cell)
    }
  }

  endTurn(): void {
    const { link } = this
    if (link === undefined) return
    const grant = this.#handled()
    if (grant) this.#touched.length = 0
    link.endTurn(grant)
  }

  #handled(): boolean {
    for (let index = 0; index < this.#touched.length; index++) {
      const cell = this.#touched[index]!
      if (cell.waiting > cell.messagesMax / 4) return false
    }
    return true
  }

  #lost(): void {
    this.#touched.length = 0
    const callbacks = [...this.#watches.values()]
    this.#watches.clear()
    for (const callback of callbacks) callback()
  }
}

export class ThreadRef implements Ref<Message> {
  readonly address: Address
  readonly peer: ThreadPeer
  readonly #actor: number
  readonly #protocol: Protocol<never> | undefined

  constructor(peer: ThreadPeer, actor: string, protocol: Protocol<never> | undefined) {
    this.address = { node: 0, actor }
    this.peer = peer
    this.#actor = nameHash(actor)
    this.#protocol = protocol
  }

  tell(message: Message): void {
    const kind = kindFor(this.address.actor, this.#protocol, message)
    if (!this.peer.send(this.#actor, kind, message))
      this.peer.lostMessage(this.address.actor, message.kind)
  }
}

/** How `message` is encoded for an actor elsewhere. */
export function kindFor(
  actor: string,
  protocol: Protocol<never> | undefined,
  message: Message,
): KindCodec {
  invariant(protocol, `actor ${actor} is on another thread or node and needs a protocol`)
  return protocol.kindOf(message.kind as never)
}

/**
 * Who the other nodes are: the members we may talk to, and what each process said of itself. Greets
 * with our own hello and judges theirs.
 */
import type { Greeter } from '../../transport/peers/greeting.ts'
import {
  type Acquaintance,
  type Hello,
  judgeHello,
  protocolVersion,
  type Refusal,
  type SchemaLine,
} from '../../transport/peers/handshake.ts'
import type { PeerMember } from './messages.ts'

export interface Identity {
  readonly node: number
  readonly cluster: string
  /** 32 hexadecimal digits each. */
  readonly storeId: string
  readonly process: string
  readonly incarnation: number
  readonly schemas: readonly SchemaLine[]
}

/** Nodes that are no members and whose stores are kept, for an operator who adds one. */
const strangersMax = 16

export class Acquaintances implements Greeter {
  readonly #own: Identity
  #members = new Map<number, PeerMember>()
  readonly #met = new Map<number, Acquaintance>()
  readonly #strangers = new Map<number, string>()

  constructor(own: Identity, members: readonly PeerMember[]) {
    this.#own = own
    this.setMembers(members)
  }

  setMembers(members: readonly PeerMember[]): void {
    this.#members = new Map(members.map(member => [member.node, member]))
  }

  member(node: number): PeerMember | undefined {
    return this.#members.get(node)
  }

  /** Where a member listens; nothing where its address is none: what is committed cannot be refused here. */
  addressOf(node: number): { readonly host: string; readonly port: number } | undefined {
    const member = this.#members.get(node)
    if (member === undefined || member.host === '') return undefined
    return member.port > 0 && member.port < 65536 ? member : undefined
  }

  /** All but ourselves. */
  others(): PeerMember[] {
    return [...this.#members.values()].filter(({ node }) => node !== this.#own.node)
  }

  hello(to: number, purpose: number): Hello {
    const { node, cluster, storeId, process, incarnation, schemas } = this.#own
    const from = node
    return {
      version: protocolVersion,
      purpose,
      from,
      to,
      storeId,
      incarnation,
      process,
      cluster,
      schemas,
    }
  }

  judge(hello: Hello, from: number): Refusal | undefined {
    const refusal = judgeHello(this.hello(0, hello.purpose), hello, from, this.#met.get(hello.from))
    if (refusal !== undefined) return refusal
    if (this.#members.has(hello.from)) return undefined
    this.#noteStranger(hello)
    const text = `node ${hello.from} is not a member of cluster "${hello.cluster}" as node ${this.#own.node} knows it`
    return { code: 'unknownNode', text }
  }

  /** Store ids of the nodes that were met or turned away, by node. */
  stores(): Record<string, string> {
    const own = [String(this.#own.node), this.#own.storeId] as const
    const met = [...this.#met].map(([node, { storeId }]) => [String(node), storeId] as const)
    const strangers = [...this.#strangers].map(([node, store]) => [String(node), store] as const)
    return Object.fromEntries([own, ...strangers, ...met])
  }

  /** The greeting succeeded: from now on an older process of that node is refused. */
  meet({ from, storeId, incarnation, process }: Hello): void {
    this.#met.set(from, { storeId, incarnation, process })
    this.#strangers.delete(from)
  }

  #noteStranger({ from, storeId }: Hello): void {
    // What it was as a member, before it was removed, says nothing about it now.
    this.#met.delete(from)
    this.#strangers.delete(from)
    this.#strangers.set(from, storeId)
    if (this.#strangers.size <= strangersMax) return
    const [oldest] = this.#strangers.keys()
    if (oldest !== undefined) this.#strangers.delete(oldest)
  }
}

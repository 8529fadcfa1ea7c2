/**
 * Who the other nodes are: the members, and what each process said of itself. Greets with our own
 * hello and judges theirs: a node of another formation is none of this cluster, and a member has the
 * store that it is bound to, unless it knows a newer membership than we do. Nodes that are no members
 * as far as is known here are talked to as well, a few of them: the log here may be behind, and one of
 * them may lead. What they say is for consensus to judge.
 */
import type { Socket, TlsFiles } from '../../runtime/host.ts'
import type { PeerAddress } from '../../transport/peers/address.ts'
import type { Greeter } from '../../transport/peers/greeting.ts'
import {
  type Acquaintance,
  type Hello,
  judgeFormation,
  judgeHello,
  protocolVersion,
  purpose as purposes,
  type Refusal,
  type SchemaLine,
} from '../../transport/peers/handshake.ts'
import { limits } from '../../transport/peers/limits.ts'
import { noSecret } from '../../transport/peers/proof.ts'
import type { BoundStore, PeerMember } from './messages.ts'

export interface Identity {
  readonly node: number
  readonly cluster: string
  /** 32 hexadecimal digits each. */
  readonly storeId: string
  readonly process: string
  readonly incarnation: number
  readonly schemas: readonly SchemaLine[]
}

/** What the configuration says of the others, and of how they prove that they are of this cluster. */
export interface Configured {
  readonly members: readonly PeerMember[]
  readonly secrets?: readonly string[]
  readonly tls?: TlsFiles
}

/** What consensus knows of the cluster by now. */
export interface Standing {
  readonly formation: string
  readonly position: number
  readonly bound: readonly BoundStore[]
}

/** The links that are up, by node. */
export interface Present {
  helloOf(node: number): Hello | undefined
  /** Those of them that are no members. */
  strangers(): number
  /** Whether the connection of an introduction is needed: this node cannot dial that one. */
  keepsIntroductionOf(node: number): boolean
}

const unformed: Standing = { formation: '', position: 0, bound: [] }

export class Acquaintances implements Greeter {
  readonly secrets: readonly string[]
  readonly #own: Identity
  readonly #tls: TlsFiles | undefined
  #members = new Map<number, PeerMember>()
  readonly #met = new Map<number, Acquaintance>()
  /** Stores of nodes that were turned away, for an operator who replaces or adds one. */
  readonly #turnedAway = new Map<number, string>()
  readonly #present: Present
  #standing = unformed

  constructor(own: Identity, { members, secrets = [noSecret], tls }: Configured, present: Present) {
    this.#own = own
    this.secrets = secrets
    this.#tls = tls
    this.#present = present
    this.setMembers(members)
  }

  setStanding(standing: Standing): void {
    this.#standing = standing
  }

  setMembers(members: readonly PeerMember[]): void {
    this.#members = new Map(members.map(member => [member.node, member]))
  }

  member(node: number): PeerMember | undefined {
    return this.#members.get(node)
  }

  /** Where a member listens; nothing where its address is none: what is committed cannot be refused here. */
  addressOf(node: number): PeerAddress | undefined {
    const member = this.#members.get(node)
    if (member === undefined || member.host === '') return undefined
    const { host, port } = member
    if (!(port > 0 && port < 65536)) return undefined
    return this.#tls === undefined ? { host, port } : { host, port, tls: this.#tls }
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
      formation: this.#standing.formation,
      position: this.#standing.position,
      schemas,
    }
  }

  welcome({ from, purpose: asked }: Hello): Hello {
    const keeps = asked === purposes.introduction && this.#present.keepsIntroductionOf(from)
    return this.hello(from, keeps ? purposes.messages : asked)
  }

  judge(hello: Hello, from: number, socket: Socket): Refusal | undefined {
    const refusal =
      judgeHello(this.hello(0, hello.purpose), hello, from, this.#met.get(hello.from)) ??
      this.#judgeCertificate(hello.from, socket)
    if (refusal !== undefined) return refusal
    const ill = this.#judgeStore(hello) ?? this.#judgePresence(hello) ?? this.#judgeRoom(hello)
    if (ill !== undefined) this.#noteTurnedAway(hello)
    return ill
  }

  /** A link that is up, after what has been learnt since. */
  judgeAgain(hello: Hello): Refusal | undefined {
    return judgeFormation(this.hello(hello.from, hello.purpose), hello) ?? this.#judgeStore(hello)
  }

  #judgeStore({ from, storeId, position }: Hello): Refusal | undefined {
    const bound = this.#standing.bound.filter(({ node }) => node === from)
    // Who knows a newer membership may be bound by that one.
    if (bound.length === 0 || position > this.#standing.position) return undefined
    if (bound.some(({ store }) => store === storeId)) return undefined
    const text =
      `node ${from} is a member with the store ${bound[0]?.store}, and this one has ${storeId}: ` +
      `quorate member replace ${from} binds it, if the data of the other one is lost`
    return { code: 'otherStore', text }
  }

  /** Two processes that call themselves one node do not take turns: the one that is bound stays, or the first. */
  #judgePresence({ from, storeId }: Hello): Refusal | undefined {
    const present = this.#present.helloOf(from)
    if (present === undefined || present.storeId === storeId) return undefined
    const { bound } = this.#standing
    if (bound.some(({ node, store }) => node === from && store === storeId)) return undefined
    const text =
      `node ${from} is linked here with the store ${present.storeId}: ` +
      `another process calls itself node ${from}, with the store ${storeId}`
    return { code: 'otherStore', text }
  }

  #judgeRoom({ from, cluster }: Hello): Refusal | undefined {
    if (this.#members.has(from) || this.#present.helloOf(from) !== undefined) return undefined
    if (this.#present.strangers() < limits.strangersMax) return undefined
    const text =
      `node ${from} is not a member of cluster "${cluster}" as node ${this.#own.node} knows it, ` +
      `and ${limits.strangersMax} others that are none are linked already`
    return { code: 'unknownNode', text }
  }

  /** The dialler has checked the host that it dialled; a caller has to be at the address that we know. */
  #judgeCertificate(node: number, socket: Socket): Refusal | undefined {
    const name = this.#tls?.name ?? this.#members.get(node)?.host
    if (this.#tls === undefined || name === undefined) return undefined
    if (socket.certificateNames?.(name) === true) return undefined
    const text = `the certificate of node ${node} does not name ${name}`
    return { code: 'wrongCertificate', text }
  }

  /** Store ids of the nodes that were met or turned away, by node. */
  stores(): Record<string, string> {
    const own = [String(this.#own.node), this.#own.storeId] as const
    const met = [...this.#met].map(([node, { storeId }]) => [String(node), storeId] as const)
    const others = [...this.#turnedAway].map(([node, store]) => [String(node), store] as const)
    return Object.fromEntries([own, ...met, ...others])
  }

  /** The greeting succeeded: from now on an older process of that node is refused. */
  meet({ from, storeId, incarnation, process }: Hello): void {
    this.#met.set(from, { storeId, incarnation, process })
    this.#turnedAway.delete(from)
  }

  #noteTurnedAway({ from, storeId }: Hello): void {
    this.#turnedAway.delete(from)
    this.#turnedAway.set(from, storeId)
    if (this.#turnedAway.size <= limits.strangersMax) return
    const [oldest] = this.#turnedAway.keys()
    if (oldest !== undefined) this.#turnedAway.delete(oldest)
  }
}

/**
 * Consensus actors of several nodes on one clock, each in the test kit. What they tell is carried by
 * hand: peer messages through their encoding, the journal and the state machine are played here.
 */
import {
  consensusActor,
  type ConsensusSetup,
} from '../../../../actors/consensus/shell/consensus-actor.ts'
import { entryHeaderBytes } from '../../../../actors/consensus/entry.ts'
import type { ConsensusMessage } from '../../../../actors/consensus/messages.ts'
import { consensusProtocol } from '../../../../actors/consensus/protocol.ts'
import type { Message } from '../../../../runtime/actor.ts'
import { createLogger } from '../../../../runtime/log.ts'
import { withKind } from '../../../../runtime/protocol.ts'
import { manualHost, type TestActor, testActor, type Told } from '../../../../runtime/testkit.ts'
import { storedOf } from '../cluster.ts'

export interface ShellNode {
  readonly id: number
  readonly actor: TestActor<ConsensusMessage>
  up: boolean
  /** What the journal would have after a crash: batches as they were persisted. */
  readonly persisted: { first: number; count: number; entries: Uint8Array; truncateFrom: number }[]
  hardState: Uint8Array
  readonly committed: { position: number; bytes: Uint8Array }[]
  /** Told to anybody but peers, the journal and the state machine, in order. */
  readonly notices: { to: string; message: Message & Record<string, unknown> }[]
  readonly logs: string[]
  journalStalled: boolean
  readonly stalled: Told[]
  stateStalled: boolean
}

const noBytes = new Uint8Array(0)

export class Shells {
  readonly host = manualHost({ seed: 7 })
  readonly nodes: ShellNode[] = []
  /** Links that carry nothing, as `from-to`. */
  readonly cut = new Set<string>()

  readonly #damage: string

  constructor(count: number, setup: Partial<ConsensusSetup> = {}, damage = '') {
    this.#damage = damage
    const initialMembers = Array.from({ length: count }, (_, index) => {
      return { node: index + 1, address: `127.0.0.1:${7101 + index}` }
    })
    for (const { node } of initialMembers) this.#addNode({ node, initialMembers, ...setup })
    for (const node of this.nodes) this.#begin(node)
    for (const node of this.nodes) this.linkUp(node.id)
    this.settle()
  }

  node(id: number): ShellNode {
    return this.nodes[id - 1]!
  }

  get leader(): number {
    const leading = this.nodes.filter(node => node.up && this.status(node.id)['role'] === 'leader')
    return leading.length === 1 ? leading[0]!.id : 0
  }

  tell(id: number, ...messages: ConsensusMessage[]): void {
    const node = this.node(id)
    if (node.up) node.actor.round(...messages)
    this.settle()
  }

  status(id: number): Record<string, unknown> {
    const { actor } = this.node(id)
    actor.handle({ kind: 'status', replyTo: 'asker', id: 1 })
    const [answer] = actor.takeTold<{ kind: 'statusAnswer'; json: string }>('asker')
    return JSON.parse(answer!.json)
  }

  /** Carries until nothing is told any more. */
  settle(): void {
    for (let guard = 0; guard < 10_000; guard++) {
      const told = this.nodes.flatMap(node => node.actor.told.splice(0).map(one => ({ node, one })))
      if (told.length === 0) return
      for (const { node, one } of told) if (node.up) this.#carry(node, one)
    }
    throw new Error('the shells do not come to rest')
  }

  advance(millis: number): void {
    for (let passed = 0; passed < millis; passed += 5) {
      this.host.advance(5)
      this.settle()
    }
  }

  advanceUntil(millisMax: number, reached: () => boolean): number {
    for (let passed = 0; passed <= millisMax; passed += 5) {
      if (reached()) return passed
      this.advance(5)
    }
    throw new Error(`not reached within ${millisMax} ms`)
  }

  kill(id: number, closed = true): void {
    this.node(id).up = false
    this.node(id).actor.stop()
    for (const other of this.nodes) {
      if (other.up) other.actor.round({ kind: 'linkDown', node: id, closed })
    }
    this.settle()
  }

  linkUp(id: number): void {
    for (const other of this.nodes) {
      if (other.id === id || !other.up) continue
      this.node(id).actor.round({ kind: 'linkUp', node: other.id, storeId: '', incarnation: 1 })
    }
  }

  noticesOf(id: number, to: string, kind: string): Record<string, unknown>[] {
    const found = this.node(id).notices.filter(one => one.to === to && one.message.kind === kind)
    return found.map(one => one.message)
  }

  bodies(id: number): string[] {
    const user = this.node(id).committed.filter(({ bytes }) => bytes[5]! >= 16)
    return user.map(({ bytes }) => new TextDecoder().decode(bytes.subarray(entryHeaderBytes)))
  }

  #addNode(setup: Pick<ConsensusSetup, 'node' | 'initialMembers'>): void {
    const whole: ConsensusSetup = {
      storeId: `store${setup.node}`,
      mayForm: true,
      heartbeatMillis: 100,
      electionMillis: 1000,
      ...setup,
    }
    const logs: string[] = []
    const log = createLogger({
      level: 'info',
      format: 'text',
      wallMillis: () => 0,
      write: line => logs.push(line),
    })
    this.nodes.push({
      id: setup.node,
      actor: testActor(consensusActor, whole, { host: this.host, log }),
      up: true,
      persisted: [],
      hardState: noBytes,
      committed: [],
      notices: [],
      logs,
      journalStalled: false,
      stalled: [],
      stateStalled: false,
    })
  }

  #begin(node: ShellNode): void {
    const nothing = { position: 0, epoch: 0, time: 0, membership: noBytes }
    node.actor.round({ kind: 'checkpointInstalled', ...nothing })
  }

  #carry(node: ShellNode, told: Told): void {
    const [actor, target] = told.to.split('@')
    if (actor === 'consensus' && target !== undefined) this.#carryToPeer(node, Number(target), told)
    else if (actor === 'journal') this.#playJournal(node, told)
    else if (actor === 'state') this.#playState(node, told)
    else
      node.notices.push({ to: told.to, message: told.message as Message & Record<string, unknown> })
  }

  #carryToPeer(from: ShellNode, to: number, told: Told): void {
    const target = this.node(to)
    if (!target.up || this.cut.has(`${from.id}-${to}`)) return
    target.actor.round(throughTheWire(told.message as ConsensusMessage))
  }

  #playJournal(node: ShellNode, told: Told): void {
    const message = told.message as unknown as JournalWord
    if (message.kind === 'recover') {
      const hardState = node.hardState
      node.actor.round({
        kind: 'recovered',
        last: message.position,
        hardState,
        damage: this.#damage,
      })
    }
    if (message.kind !== 'persist') return
    if (node.journalStalled) {
      node.stalled.push(told)
      return
    }
    node.persisted.push(message)
    if (message.hardState.length > 0) node.hardState = message.hardState
    node.actor.round({ kind: 'persisted', id: message.id })
  }

  releaseJournal(id: number): void {
    const node = this.node(id)
    node.journalStalled = false
    for (const told of node.stalled.splice(0)) this.#playJournal(node, told)
    this.settle()
  }

  #playState(node: ShellNode, told: Told): void {
    const message = told.message as unknown as StateWord
    if (message.kind !== 'committed') {
      node.notices.push({ to: told.to, message: told.message as Message & Record<string, unknown> })
      return
    }
    const { first, count, entries } = message
    for (const { position, bytes } of storedOf({ first, count, bytes: entries })) {
      if (position !== (node.committed.at(-1)?.position ?? 0) + 1)
        throw new Error('a gap in the feed')
      node.committed.push({ position, bytes })
    }
    if (node.stateStalled) return
    node.actor.round({ kind: 'applied', position: first + count - 1 })
  }
}

type JournalWord =
  | { kind: 'recover'; position: number }
  | {
      kind: 'persist'
      id: number
      first: number
      count: number
      entries: Uint8Array
      hardState: Uint8Array
      truncateFrom: number
    }

interface StateWord {
  kind: string
  first: number
  count: number
  entries: Uint8Array
}

/** As a peer would decode it. */
function throughTheWire(message: ConsensusMessage): ConsensusMessage {
  const { codec } = consensusProtocol.kindOf(message.kind)
  let bytes = Buffer.alloc(256 * 1024)
  let end = codec.encode(message, bytes, 0)
  if (end < 0) {
    bytes = Buffer.alloc(bytes.length - end)
    end = codec.encode(message, bytes, 0)
  }
  return withKind(codec.decode(bytes, 0, end), message.kind) as ConsensusMessage
}

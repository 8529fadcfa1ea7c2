/** One seeded world of a few machines: what happens to them next is drawn, and in the end all heals. */
import { SeededRandom } from '../../../actors/consensus/random.ts'
import { Cluster, type ClusterOptions } from './cluster.ts'

export class World {
  readonly cluster: Cluster
  readonly #random: SeededRandom
  readonly #nodes: number
  readonly #lossPercent: number
  readonly #reorderPercent: number
  readonly #crashes: boolean
  /** Members come and go, or one store is lost and replaced: both at once can end a cluster for good. */
  readonly #losesStore: boolean
  /** Nodes come and go and tick more than they talk: many elections. */
  readonly #stormy: boolean
  /** Processes end between a checkpoint that arrived and what the log makes of it. */
  readonly #endsReceivers: boolean
  /** Apart from the other draws, so that seeds from before this fault are what they were. */
  readonly #endings: SeededRandom
  #cut = new Set<string>()
  #values = 0
  #stores = 0

  constructor(seed: number, plant?: ClusterOptions['plant'], endsReceivers = true) {
    this.#endings = new SeededRandom(seed * 31)
    this.#random = new SeededRandom(seed * 7919)
    this.#nodes = [3, 3, 5, 1, 4][this.#random.below(5)]!
    this.#lossPercent = [0, 2, 10][this.#random.below(3)]!
    this.#reorderPercent = [0, 0, 20][this.#random.below(3)]!
    this.#crashes = this.#random.below(4) > 0
    this.#endsReceivers = endsReceivers && this.#crashes
    this.#stormy = this.#random.below(4) === 0
    this.#losesStore = this.#random.below(2) === 0
    this.cluster = new Cluster({
      nodes: this.#nodes,
      seed,
      ...(plant === undefined ? {} : { plant }),
      limits: {
        appendBytesMax: [200, 1000, 100_000][this.#random.below(3)]!,
        inflightMessagesMax: [1, 4, 100][this.#random.below(3)]!,
      },
    })
    this.cluster.startAll()
  }

  act(): void {
    if (this.#stormy && this.#random.below(10) === 0) {
      this.#tick()
      if (this.#random.below(4) === 0) this.#crash()
      if (this.#random.below(2) === 0) this.#restart()
    }
    const choice = this.#random.below(1000)
    if (choice < 480) this.#deliver()
    else if (choice < 640) this.#persist()
    else if (choice < 800) this.#tick()
    else if (choice < 900) this.#propose()
    else if (choice < 910) this.#crash()
    else if (choice < 935) this.#restart()
    else if (choice < 945) this.#cutOrHeal()
    else if (choice < 955) this.#change()
    else if (choice < 960) this.#transfer()
    else if (choice < 975) this.#checkpoint()
    else if (choice < 990) this.#sendCheckpoint()
    else this.#read()
  }

  heal(): void {
    const { cluster } = this
    this.#cut.clear()
    for (const node of cluster.nodes.values())
      if (node.machine === undefined) cluster.start(node.id)
    for (const node of cluster.running) this.#linksUp(node.id)
    for (let round = 0; round < 400 && !this.#healed(); round++) {
      cluster.stabilize()
      for (const node of cluster.running) {
        while (cluster.transferCheckpoint(node.id)) cluster.stabilize()
        cluster.tick(node.id)
      }
    }
    this.#requireHealed()
    cluster.checker.logsMatch(cluster)
  }

  #healed(): boolean {
    const { cluster } = this
    cluster.stabilize()
    const leader = cluster.newestLeader()
    if (leader === 0) return false
    const status = cluster.status(leader)
    const members = [...status.membership.voters, ...status.membership.learners]
    return (
      status.membership.outgoing.length === 0 &&
      status.commit === status.last &&
      members.every(member => {
        const node = cluster.node(member.node)
        return node.store !== member.store || cluster.node(member.node).applied === status.last
      })
    )
  }

  #requireHealed(): void {
    if (this.#healed()) return
    const all = this.cluster.running.map(node => JSON.stringify(this.cluster.status(node.id)))
    throw new Error(`the cluster does not heal:\n${all.join('\n')}`)
  }

  #deliver(): void {
    const { cluster } = this
    if (cluster.queue.length === 0) return
    const far = this.#random.below(100) < this.#reorderPercent
    const index = far ? this.#random.below(cluster.queue.length) : this.#firstOfSomeLink()
    const envelope = cluster.queue[index]!
    const lost =
      this.#cut.has(`${envelope.from}-${envelope.to}`) ||
      this.#random.below(100) < this.#lossPercent
    if (lost) {
      cluster.queue.splice(index, 1)
      return
    }
    if (this.#random.below(100) < this.#reorderPercent / 4) cluster.queue.push(envelope)
    cluster.deliver(index)
  }

  /** Links keep their order among themselves. */
  #firstOfSomeLink(): number {
    const { queue } = this.cluster
    const { from, to } = queue[this.#random.below(queue.length)]!
    return queue.findIndex(envelope => envelope.from === from && envelope.to === to)
  }

  #persist(): void {
    const running = this.cluster.running.filter(node => node.pending.length > 0)
    if (running.length > 0) this.cluster.persistOne(running[this.#random.below(running.length)]!.id)
  }

  #tick(): void {
    const { running } = this.cluster
    if (running.length > 0) this.cluster.tick(running[this.#random.below(running.length)]!.id)
  }

  #propose(): void {
    const { leaders } = this.cluster
    if (leaders.length === 0) return
    const leader = leaders[this.#random.below(leaders.length)]!
    const bodies = Array.from({ length: 1 + this.#random.below(4) }, () => `v${this.#values++}`)
    this.cluster.propose(leader, ...bodies)
  }

  #crash(): void {
    const { running } = this.cluster
    if (!this.#crashes || running.length === 0) return
    const node = running[this.#random.below(running.length)]!
    this.cluster.crash(node.id, this.#random.below(2) === 0)
    // What had left the process may still arrive; what had not is gone with it.
    if (this.#random.below(2) === 0) {
      this.cluster.queue = this.cluster.queue.filter(envelope => envelope.from !== node.id)
    }
    this.cluster.queue = this.cluster.queue.filter(envelope => envelope.to !== node.id)
    if (this.#random.below(12) === 0) this.#loseDisk(node.id)
  }

  /** Only where a membership change can bind the node anew: one lost store at a time. */
  #loseDisk(id: number): void {
    if (!this.#losesStore || this.#stores > 0 || this.#nodes < 3 || id > this.#nodes) return
    if (this.cluster.checker.committedPosition < 2) return
    this.#stores = id
    this.cluster.queue = this.cluster.queue.filter(envelope => envelope.from !== id)
    this.cluster.loseDisk(id)
  }

  #restart(): void {
    const down = [...this.cluster.nodes.values()].filter(node => node.machine === undefined)
    if (down.length === 0) return
    const { id } = down[this.#random.below(down.length)]!
    this.cluster.start(id)
    this.#linksUp(id)
  }

  #linksUp(id: number): void {
    for (const other of this.cluster.running) {
      if (other.id === id) continue
      this.cluster.round(other.id, { kind: 'linkUp', node: id })
      this.cluster.round(id, { kind: 'linkUp', node: other.id })
    }
  }

  #cutOrHeal(): void {
    if (this.#cut.size > 0) {
      this.#cut.clear()
      return
    }
    const one = 1 + this.#random.below(this.#nodes)
    for (let other = 1; other <= this.#nodes; other++) {
      if (this.#random.below(3) > 0) this.#cut.add(`${one}-${other}`)
      if (this.#random.below(3) > 0) this.#cut.add(`${other}-${one}`)
    }
  }

  #change(): void {
    const leader = this.cluster.newestLeader()
    if (leader === 0) return
    const { membership } = this.cluster.status(leader)
    if (this.#losesStore) {
      if (this.#stores === 0) return
      const { id, store } = this.cluster.node(this.#stores)
      const member = { node: id, store, address: `n${id}` }
      this.cluster.change(leader, { kind: 'replace', member })
      return
    }
    const joining = this.#nodes + 1
    const isLearner = membership.learners.some(member => member.node === joining)
    const isVoter = membership.voters.some(member => member.node === joining)
    if (isLearner && this.#random.below(3) > 0) {
      this.cluster.change(leader, { kind: 'promote', node: joining })
    } else if (isLearner || isVoter) {
      this.cluster.change(leader, {
        kind: 'remove',
        node: this.#random.below(2) ? joining : leader,
      })
    } else {
      this.#join(leader, joining)
    }
  }

  #join(leader: number, id: number): void {
    if (!this.cluster.nodes.has(id)) {
      this.cluster.addNode(id)
      this.cluster.start(id)
    }
    const member = { node: id, store: this.cluster.node(id).store, address: `n${id}` }
    this.cluster.change(leader, { kind: 'addLearner', member })
  }

  #transfer(): void {
    const leader = this.cluster.newestLeader()
    if (leader === 0) return
    const target = 1 + this.#random.below(this.#nodes)
    this.cluster.round(leader, { kind: 'transferRequested', target })
  }

  #checkpoint(): void {
    const { running } = this.cluster
    if (running.length === 0) return
    this.cluster.checkpoint(running[this.#random.below(running.length)]!.id)
  }

  #sendCheckpoint(): void {
    for (const node of this.cluster.running) {
      const ends = this.#endsReceivers && this.#endings.below(4) === 0
      if (this.cluster.transferCheckpoint(node.id, this.#random.below(3) > 0, ends)) return
    }
  }

  #read(): void {
    const { leaders } = this.cluster
    if (leaders.length === 0) return
    this.cluster.round(leaders[0]!, { kind: 'readRequested', id: this.#values++ })
  }
}

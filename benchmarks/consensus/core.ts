/**
 * What the pure core costs an entry: three machines on one desk, rounds of 1, 10, 100 and 1,000 proposals
 * of 128 bytes, every message delivered and every persist done at once. Prints CPU time (garbage
 * collection included) a round and an entry, over all three nodes.
 *
 *     node benchmarks/consensus/core.ts [rounds]
 */
import '../../test/support/help.ts'
import { entryFormat, entryHeaderBytes, entryKind, offset } from '../../actors/consensus/entry.ts'
import type { Effect, Event } from '../../actors/consensus/interface.ts'
import { consensusLimits } from '../../actors/consensus/limits.ts'
import type { RaftMessage } from '../../actors/consensus/raft/messages.ts'
import { Raft } from '../../actors/consensus/raft/raft.ts'

const noBytes = new Uint8Array(0)
const bodyBytes = 128

class Desk {
  readonly machines: Raft[] = []
  readonly #mail: RaftMessage[][] = [[], [], [], []]
  readonly #persists: {
    id: number
    thenSend: readonly { to: number; message: RaftMessage }[]
  }[][] = [[], [], [], []]

  constructor() {
    const initialMembers = [1, 2, 3].map(node => ({ node, address: `n${node}` }))
    for (let self = 1; self <= 3; self++) {
      this.machines[self] = new Raft({
        self,
        store: `store-of-node-${self}-with-32-digits`,
        canVote: true,
        mayForm: true,
        seed: self,
        limits: { ...consensusLimits, retentionBytes: 0 },
        initialMembers,
        recovered: {
          hardState: noBytes,
          checkpoint: { position: 0, epoch: 0, time: 0, membership: noBytes },
          entries: [],
        },
      })
    }
  }

  step(node: number, event: Event<RaftMessage>): void {
    const effects: readonly Effect<RaftMessage>[] = this.machines[node]!.step(event)
    for (const effect of effects) {
      if (effect.kind === 'send') this.#mail[effect.to]!.push(effect.message)
      else if (effect.kind === 'persist') this.#persists[node]!.push(effect)
    }
  }

  /** Rounds until nothing moves. */
  settle(): void {
    for (let moved = true; moved; ) {
      moved = false
      for (let node = 1; node <= 3; node++) {
        const mail = this.#mail[node]!
        this.#mail[node] = []
        for (const message of mail) this.step(node, { kind: 'received', message })
        const persists = this.#persists[node]!
        this.#persists[node] = []
        for (const { id, thenSend } of persists) {
          for (const { to, message } of thenSend) this.#mail[to]!.push(message)
          this.step(node, { kind: 'persisted', id })
        }
        this.step(node, { kind: 'roundEnded' })
        moved ||= mail.length > 0 || persists.length > 0
      }
    }
  }

  elect(): number {
    for (;;) {
      this.settle()
      for (let node = 1; node <= 3; node++) {
        if (this.machines[node]!.status().role === 'leader') return node
      }
      for (let node = 1; node <= 3; node++) this.step(node, { kind: 'tick' })
    }
  }

  compact(): void {
    for (let node = 1; node <= 3; node++) {
      const { commit } = this.machines[node]!.status()
      this.step(node, { kind: 'checkpointed', position: commit })
    }
  }
}

function proposals(count: number): Uint8Array {
  const length = entryHeaderBytes + bodyBytes
  const bytes = new Uint8Array(count * length)
  const view = new DataView(bytes.buffer)
  for (let at = 0; at < bytes.length; at += length) {
    view.setUint32(at + offset.length, length, true)
    view.setUint8(at + offset.format, entryFormat)
    view.setUint8(at + offset.kind, entryKind.zookeeper)
  }
  return bytes
}

function run(desk: Desk, leader: number, count: number, rounds: number): void {
  const entries = proposals(count)
  for (let round = 0; round < rounds; round++) {
    desk.step(leader, {
      kind: 'proposed',
      batches: [{ entries, count }],
      now: 1_700_000_000_000 + round,
    })
    desk.settle()
    if ((round * count) % 50_000 < count) desk.compact()
  }
}

const rounds = Number(process.argv[2] ?? 3000)
console.log('entries a round | CPU µs a round | CPU ns an entry (three nodes) | commit')
for (const count of [1, 10, 100, 1000]) {
  const desk = new Desk()
  const leader = desk.elect()
  run(desk, leader, count, Math.min(rounds, 500))
  const measured = count === 1000 ? Math.ceil(rounds / 5) : rounds
  const start = process.cpuUsage()
  run(desk, leader, count, measured)
  const { user, system } = process.cpuUsage(start)
  const nanos = (user + system) * 1000
  const perRound = (nanos / measured / 1000).toFixed(1)
  const perEntry = (nanos / measured / count).toFixed(0)
  const { commit } = desk.machines[leader]!.status()
  console.log(`${count} | ${perRound} | ${perEntry} | ${commit}`)
}

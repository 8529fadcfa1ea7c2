/**
 * The replicas of a simulated world, held against each other (D19, D24): after every batch each one's hash
 * and small tables against those of any other that has stood at the same position, and every checkpoint,
 * as soon as it is durable, restored into another replica and held against what was there when it began.
 */
import { decodeMembership } from '../../actors/consensus/membership.ts'
import { loadReplica } from '../../actors/state/checkpoint-driver.ts'
import { Replica } from '../../actors/state/replica.ts'
import { crc32c } from '../../runtime/crc32c.ts'
import type { Disk } from '../../runtime/host.ts'
import { CheckpointFiles } from '../../storage/checkpoint-files.ts'

export class Replicas {
  /** Checkpoints that were restored and compared. */
  restored = 0
  readonly #live = new Map<number, Replica>()
  readonly #violate: (node: number, sentence: string) => void
  /** Position of the newest checkpoint that was restored, by node. */
  readonly #newest = new Map<number, number>()
  /** By position: how every replica looks there. */
  readonly #looks = new Map<number, string>()

  constructor(violate: (node: number, sentence: string) => void) {
    this.#violate = violate
  }

  of(node: number): Replica | undefined {
    return this.#live.get(node)
  }

  started(node: number, replica: Replica): void {
    this.#live.set(node, replica)
  }

  stopped(node: number): void {
    this.#live.delete(node)
  }

  compare(node: number): void {
    const replica = this.#live.get(node)
    // Between the slices of a command there is nothing to compare.
    if (replica?.isWhole === true) this.#hold(node, replica, 'its replica')
  }

  /** The newest checkpoint of the node. */
  restore(node: number, disk: Disk, directory: string): void {
    // Another seed than that of the live one: what shows of it would be wrong.
    const replica = new Replica(restoredSeed)
    const files = new CheckpointFiles({ disk: withoutSyncs(disk), jobs: noJobs, directory })
    const loaded = loadReplica(files, replica)
    // There may have been no room for it.
    if (loaded === undefined) return
    decodeMembership(replica.membership)
    for (const reason of loaded.passedOver) this.#violate(node, `its checkpoint is bad: ${reason}`)
    this.restored++
    this.#newest.set(node, replica.position)
    this.#hold(node, replica, 'its restored checkpoint')
  }

  /** The node has said that a checkpoint is durable, and its log may go. */
  checkpointed(node: number, position: number): void {
    if ((this.#newest.get(node) ?? 0) < position)
      this.#violate(node, `its checkpoint of ${position} is not there`)
  }

  #hold(node: number, replica: Replica, what: string): void {
    const { position } = replica
    const look = lookOf(replica)
    const known = this.#looks.get(position)
    if (known === undefined) this.#looks.set(position, look)
    else if (known !== look) {
      this.#violate(node, `${what} differs at ${position}: ${look}, but was ${known}`)
    }
  }
}

const restoredSeed = 0x5eed
const noJobs = {
  run(): never {
    throw new Error('restoring needs no job')
  },
}

function lookOf(replica: Replica): string {
  const { low, high } = replica.hash()
  const head = crc32c(replica.encodeHead())
  const { keyspace, tree } = replica
  return (
    `hash ${(high >>> 0).toString(16)}.${(low >>> 0).toString(16)}, head ${head.toString(16)}, ` +
    `${tree.nodeCount} znodes, ${keyspace.keyCount} keys`
  )
}

/** Looking at a disk makes nothing durable. */
function withoutSyncs(disk: Disk): Disk {
  return {
    open: (path, mode) => disk.open(path, mode),
    exists: path => disk.exists(path),
    list: directory => disk.list(directory),
    makeDirectory: path => disk.makeDirectory(path),
    rename: (from, to) => disk.rename(from, to),
    remove: path => disk.remove(path),
    syncDirectory() {},
    freeBytes: path => disk.freeBytes(path),
  }
}

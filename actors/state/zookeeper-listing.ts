/**
 * A long list of children, in slices. Changes pass in between; when one made or removed a child of
 * this node, the list begins again, and after a few times the tree stands still for it.
 */
import type { Tree, Znode } from '../../storage/tree.ts'
import { beginReply, replyHeaderBytes } from '../../transport/zookeeper/headers.ts'
import { JuteWriter } from '../../transport/zookeeper/jute-writer.ts'
import { operation } from '../../transport/zookeeper/operations.ts'
import { statBytes } from '../../transport/zookeeper/stat.ts'
import type { Slice, Steps } from './slices.ts'
import type { Read, Slices } from './world.ts'
import { writeStat } from './zookeeper-answers.ts'
import { replyStatus } from './zookeeper-commands.ts'
import type { Work } from './zookeeper-work.ts'

/** How often it begins again before it insists. */
const attemptsMax = 2

/** What a listing needs of the reads (zookeeper-reads.ts). */
export interface ListingReads {
  /** Takes the read in hand anew, up to its path; the node, or 0 when that has been answered. */
  begin(): Znode
  /** Registers the watch, if the read wants one. */
  watch(): void
}

export function* listInSlices(
  work: Work,
  read: Read,
  reads: ListingReads,
  { slice, room }: Slices,
): Steps {
  for (let attempt = 0; ; attempt += 1) {
    while (attempt >= attemptsMax && !room.standStill(read)) yield
    const node = reads.begin()
    if (node === 0) return
    const listing = new Listing(work, node)
    if (!(yield* listing.collect(slice))) continue
    if (!work.answer.fits(listing.bytes + statBytes)) {
      work.world.emitter.needsRoom(read, work.answer.neededBytes)
      return
    }
    while (!room.takeBytes(listing.bytes)) yield
    try {
      if (yield* listing.write(slice)) {
        if (reads.begin() === 0) return
        reads.watch()
        return listing.send()
      }
    } finally {
      room.giveBytes(listing.bytes)
    }
  }
}

class Listing {
  bytes = 4
  readonly #work: Work
  readonly #tree: Tree
  readonly #node: Znode
  readonly #path: Uint8Array
  /** Of the latest creation or removal of a child. */
  readonly #zxid: number
  #children: Znode[] = []
  #writer = new JuteWriter(0)

  constructor(work: Work, node: Znode) {
    const { bytes, start, length } = work.reader
    this.#work = work
    this.#tree = work.world.tree
    this.#node = node
    this.#path = bytes.slice(start, start + Math.max(0, length))
    this.#zxid = this.#tree.pzxid(node)
  }

  /** False: the list has changed meanwhile. */
  *collect(slice: Pick<Slice, 'spent'>): Generator<void, boolean, void> {
    const tree = this.#tree
    const walk = tree.walkChildren(this.#node)
    walk.resume()
    for (let id = walk.next(); id !== 0; id = walk.next()) {
      if (tree.isNode(id)) {
        this.#children.push(id)
        this.bytes += 4 + tree.nameLength(id)
      }
      if (!slice.spent(1)) continue
      walk.pause()
      yield
      if (!this.#isSame()) return false
      walk.resume()
    }
    return true
  }

  *write(slice: Pick<Slice, 'spent'>): Generator<void, boolean, void> {
    if (!this.#isSame()) return false
    const tree = this.#tree
    const writer = new JuteWriter(2 * (replyHeaderBytes + this.bytes + statBytes))
    this.#writer = writer
    beginReply(writer, 0, 0, 0)
    writer.int(this.#children.length)
    for (const child of this.#children) {
      writer.span(tree.bytes(child), tree.nameOffset(child), tree.nameLength(child))
      if (!slice.spent(1)) continue
      yield
      if (!this.#isSame()) return false
    }
    return true
  }

  /** What stands in front is of this moment. */
  send(): void {
    const { answer, header, world } = this.#work
    const writer = this.#writer
    if (header.operation === operation.getChildren2) writeStat(writer, this.#tree, this.#node)
    const frame = writer.finishFrame()
    const head = new JuteWriter(64)
    beginReply(head, answer.xid, answer.zxid, 0)
    head.patchInt(0, frame.length - 4)
    frame.set(head.finish(), 0)
    const { stream, connection, xid } = answer
    world.emitter.reply(stream, connection, xid, 0, replyStatus.send, frame)
  }

  /** The same node, with the same children. */
  #isSame(): boolean {
    const tree = this.#tree
    const node = this.#path.length === 0 ? tree.root : tree.find(this.#path)
    return node === this.#node && tree.pzxid(node) === this.#zxid
  }
}

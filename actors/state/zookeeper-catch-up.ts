/**
 * setWatches: a client that comes back names what it watches and the last zxid it saw. What changed
 * since is told at once, the rest is watched again (facts 1.14).
 */
import type { Tree, Znode } from '../../storage/tree.ts'
import { errorCode } from '../../transport/zookeeper/errors.ts'
import { eventType, permission } from '../../transport/zookeeper/operations.ts'
import { eventFrame } from '../../transport/zookeeper/watcher-event.ts'
import type { ZnodeWatch } from '../watches/messages.ts'
import type { Slice, Steps } from './slices.ts'
import { replyStatus } from './zookeeper-commands.ts'
import type { Work } from './zookeeper-work.ts'

/** The event that was missed; 0: none. */
type Missed = (tree: Tree, node: Znode, since: number) => number

/** An event has so many bytes at most for each byte of the path that it is about, length included. */
const eventBytesPerByte = 8

/** `again` takes the read in hand anew, after others had their turn. */
export function* catchUpWatches(work: Work, slice: Pick<Slice, 'spent'>, again: () => void): Steps {
  const { reader, answer } = work
  if (!answer.fits(eventBytesPerByte * (reader.end - reader.at))) return
  const since = reader.long()
  yield* catchUp(work, since, 'data', missedData, slice, again)
  yield* catchUp(work, since, 'data', missedCreation, slice, again)
  yield* catchUp(work, since, 'children', missedChildren, slice, again)
  answer.error(errorCode.ok)
}

function* catchUp(
  work: Work,
  since: number,
  watcher: ZnodeWatch['watcher'],
  missed: Missed,
  slice: Pick<Slice, 'spent'>,
  again: () => void,
): Steps {
  const { reader, world, answer } = work
  let paths: string[] = []
  for (let left = reader.count(4); left > 0; left -= 1) {
    const path = reader.string()
    // The empty path is another name of the root, as in reads.
    const node = path === '' ? world.tree.root : world.tree.find(path)
    const type = missed(world.tree, node, since)
    if (type !== 0 && mayHear(work, node)) {
      answer.notice(replyStatus.notification, eventFrame(answer.writer, type, path, -1))
    } else paths.push(path)
    if (!slice.spent(2)) continue
    register(work, watcher, paths)
    paths = []
    const { at } = reader
    yield
    again()
    reader.at = at
  }
  register(work, watcher, paths)
}

function register(work: Work, watcher: ZnodeWatch['watcher'], paths: readonly string[]): void {
  const { world, answer, writes } = work
  if (paths.length === 0) return
  // One message: there may be very many, and the caller's identities are not repeated for each.
  const identities = writes.access.identitiesBytes()
  const { connection } = answer
  world.emitter.emit({ kind: 'znodeWatches', connection, paths, watcher, identities })
}

function mayHear({ world, writes }: Work, node: Znode): boolean {
  return node === 0 || writes.access.permits(world.tree.acl(node), permission.read)
}

function missedData(tree: Tree, node: Znode, since: number): number {
  if (node === 0) return eventType.deleted
  return tree.mzxid(node) > since ? eventType.dataChanged : 0
}

function missedCreation(_tree: Tree, node: Znode): number {
  return node === 0 ? 0 : eventType.created
}

function missedChildren(tree: Tree, node: Znode, since: number): number {
  if (node === 0) return eventType.deleted
  return tree.pzxid(node) > since ? eventType.childrenChanged : 0
}

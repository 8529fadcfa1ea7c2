/**
 * Reads on this node's tree (DESIGN.md D9): they cost no log entry. A watch is registered before
 * the answer goes out, so no change can slip between the two. What the gateway answers by itself
 * comes through here too when it has to keep its place in the order.
 */
import type { Tree, Znode } from '../../storage/tree.ts'
import { maskedAcls } from '../../transport/zookeeper/access.ts'
import { encodeAcls } from '../../transport/zookeeper/acl.ts'
import { errorCode, MalformedRecord } from '../../transport/zookeeper/errors.ts'
import type { JuteReader } from '../../transport/zookeeper/jute-reader.ts'
import { readText } from '../../transport/zookeeper/jute-reader.ts'
import { operation, permission, specialXid } from '../../transport/zookeeper/operations.ts'
import { statBytes } from '../../transport/zookeeper/stat.ts'
import type { ZnodeWatch } from '../watches/messages.ts'
import { done, endlessSlice, type Steps } from './slices.ts'
import type { Read, Slices } from './world.ts'
import { writeData, writeStat } from './zookeeper-answers.ts'
import { catchUpWatches } from './zookeeper-catch-up.ts'
import { ownOperation, replyStatus } from './zookeeper-commands.ts'
import { type ListingReads, listInSlices } from './zookeeper-listing.ts'
import type { Work } from './zookeeper-work.ts'

export function runRead(work: Work, read: Read): Steps | undefined {
  begin(work, read)
  const later = inSlices(work, read)
  if (later !== undefined) return later
  try {
    dispatch(work)
  } catch (error) {
    if (!(error instanceof MalformedRecord)) throw error
    work.answer.error(errorCode.marshallingError)
  }
  const { neededBytes } = work.answer
  if (neededBytes > 0) work.world.emitter.needsRoom(read, neededBytes)
  return undefined
}

/** Of a path that is watched, about. */
const pathBytes = 64

/** What takes long; it has not begun. */
function inSlices(work: Work, read: Read): Steps | undefined {
  const { header, reader, world } = work
  const { slices } = world
  if (slices === undefined) return undefined
  switch (header.operation) {
    case operation.getChildren:
    case operation.getChildren2: {
      const { at } = reader
      const isLong = world.tree.childCountAt(find(work)) > slices.unslicedKeysMax
      reader.at = at
      return isLong ? listInSlices(work, read, listingReads(work, read), slices) : undefined
    }
    case operation.setWatches: {
      const isLong = read.request.length > slices.unslicedKeysMax * pathBytes
      return isLong ? watchInSlices(work, read, slices) : undefined
    }
    default:
      return undefined
  }
}

function listingReads(work: Work, read: Read): ListingReads {
  return {
    begin() {
      begin(work, read)
      return findReadable(work)
    },
    watch() {
      if (work.reader.boolean()) watch(work, 'children')
    },
  }
}

/** Each path is judged and registered in one slice, so that no change slips between the two. */
function* watchInSlices(work: Work, read: Read, { slice }: Slices): Steps {
  begin(work, read)
  try {
    yield* catchUpWatches(work, slice, () => begin(work, read))
  } catch (error) {
    if (!(error instanceof MalformedRecord)) throw error
    work.answer.error(errorCode.marshallingError)
  }
  const { neededBytes } = work.answer
  if (neededBytes > 0) work.world.emitter.needsRoom(read, neededBytes)
}

function begin(work: Work, { stream, connection, roomBytes, request }: Read): void {
  const { world, header, reader, answer, writes } = work
  header.readOfRequest(request)
  reader.reset(request, header.body, request.length)
  answer.emitter = world.emitter
  answer.stream = stream
  answer.connection = connection
  answer.xid = header.xid
  answer.sequence = 0
  answer.zxid = world.numbers.zxid
  answer.wanted = true
  answer.roomBytes = roomBytes
  answer.neededBytes = 0
  writes.access.callerIs(header, request)
}

function dispatch(work: Work): void {
  switch (work.header.operation) {
    case operation.getData:
      getData(work)
      return
    case operation.exists:
      exists(work)
      return
    case operation.getChildren:
    case operation.getChildren2:
      getChildren(work)
      return
    case operation.getAcl:
      getAcl(work)
      return
    case operation.sync:
      sync(work)
      return
    case operation.setWatches:
      done(catchUpWatches(work, endlessSlice, () => {}))
      return
    default:
      answerForGateway(work)
  }
}

function getData(work: Work): void {
  const { world, reader, answer } = work
  const node = findReadable(work)
  if (node === 0) return
  const { tree } = world
  const bodyBytes = 4 + Math.max(0, tree.dataLength(node)) + statBytes
  if (!answer.fits(bodyBytes)) return
  if (reader.boolean()) watch(work, 'data')
  const writer = answer.begin(bodyBytes)
  writeData(writer, tree, node)
  writeStat(writer, tree, node)
  answer.finish()
}

/** Sets its watch even where nothing is: that is what it waits for. */
function exists(work: Work): void {
  const { world, reader, answer, writes } = work
  const node = find(work)
  if (node === 0 && pathOf(reader).includes('\0')) {
    answer.error(errorCode.badArguments)
    return
  }
  if (node !== 0 && !writes.access.permits(world.tree.acl(node), permission.read)) {
    answer.error(errorCode.noAuth)
    return
  }
  if (reader.boolean()) watch(work, 'data')
  if (node === 0) {
    answer.error(errorCode.noNode)
    return
  }
  writeStat(answer.begin(), world.tree, node)
  answer.finish()
}

function getChildren(work: Work): void {
  const { world, header, reader, answer } = work
  const { tree } = world
  const node = findReadable(work)
  if (node === 0) return
  const children: Znode[] = []
  const count = tree.children(node, children)
  const bodyBytes = childrenBytes(tree, children) + statBytes
  if (!answer.fits(bodyBytes)) return
  if (reader.boolean()) watch(work, 'children')
  const writer = answer.begin(bodyBytes)
  writer.int(count)
  for (const child of children) {
    writer.span(tree.bytes(child), tree.nameOffset(child), tree.nameLength(child))
  }
  if (header.operation === operation.getChildren2) writeStat(writer, tree, node)
  answer.finish()
}

function childrenBytes(tree: Tree, children: readonly Znode[]): number {
  let bytes = 4
  for (const child of children) bytes += 4 + tree.nameLength(child)
  return bytes
}

/** Password hashes are for those alone who may administer the node. */
function getAcl(work: Work): void {
  const { world, answer, writes } = work
  const { access } = writes
  const node = find(work)
  if (node === 0) {
    answer.error(errorCode.noNode)
    return
  }
  const acl = world.tree.acl(node)
  if (!access.permits(acl, permission.read | permission.admin)) {
    answer.error(errorCode.noAuth)
    return
  }
  const list = access.list(acl)
  // Bytes that are not UTF-8 become three each.
  if (!answer.fits(3 * list.bytes.length + statBytes)) return
  const writer = answer.begin()
  if (access.permits(acl, permission.admin)) writer.raw(list.bytes, 0, list.bytes.length)
  else encodeAcls(writer, maskedAcls(list))
  writeStat(writer, world.tree, node)
  answer.finish()
}

/** The gateway has asked for the position that this read waited for. */
function sync({ reader, answer }: Work): void {
  reader.span()
  if (!answer.fits(4 + Math.max(0, reader.length))) return
  answer.begin().span(reader.bytes, reader.start, reader.length)
  answer.finish()
}

function answerForGateway(work: Work): void {
  const { header, answer, writes, world } = work
  if (header.operation === operation.ping) {
    answer.xid = specialXid.ping
    answer.error(errorCode.ok)
  } else if (header.operation === operation.auth) {
    const identities = writes.access.identitiesBytes()
    const { connection } = answer
    world.emitter.emit({ kind: 'znodeIdentities', connection, identities })
    answer.zxid = 0
    answer.error(errorCode.ok)
  } else if (header.operation === ownOperation.answer) {
    answerLocal(work)
  } else {
    answer.error(errorCode.unimplemented)
  }
}

/** What ends the connection has no zxid of the tree: clients are to forget it. */
function answerLocal({ reader, answer }: Work): void {
  const error = reader.int()
  const isLast = reader.boolean()
  if (error === errorCode.authFailed) answer.zxid = 0
  else if (isLast) answer.zxid = -1
  answer.error(error, isLast ? replyStatus.sendAndClose : replyStatus.send)
}

/** The node at the path that comes next, or 0; the empty path is another name of the root. */
function find({ world, reader }: Work): Znode {
  reader.span()
  const { bytes, start, length } = reader
  if (length <= 0) return world.tree.root
  return world.tree.find(bytes.subarray(start, start + length))
}

/** 0: it has been answered that there is no such node, or none that this client may read. */
function findReadable(work: Work): Znode {
  const { world, answer, writes } = work
  const node = find(work)
  if (node === 0) answer.error(errorCode.noNode)
  else if (!writes.access.permits(world.tree.acl(node), permission.read)) {
    answer.error(errorCode.noAuth)
    return 0
  }
  return node
}

function watch({ world, reader, answer, writes }: Work, watcher: ZnodeWatch['watcher']): void {
  const { connection } = answer
  const identities = writes.access.identitiesBytes()
  world.emitter.emit({ kind: 'znodeWatch', connection, path: pathOf(reader), watcher, identities })
}

/** Booleans leave the reader's span alone: it still is the path. */
function pathOf({ bytes, start, length }: JuteReader): string {
  return length <= 0 ? '' : readText(bytes, start, length)
}

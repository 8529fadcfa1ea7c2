/**
 * Sessions as commands (DESIGN.md D10): opened, attached to the connection that a client came back
 * on, and ended with everything ephemeral that they held, in one zxid (facts 1.3, 1.13).
 */
import { errorCode } from '../../transport/zookeeper/errors.ts'
import { lifetime } from '../sessions/messages.ts'
import type { Lifetime } from './lifetimes.ts'
import { stream } from './messages.ts'
import { limits } from './limits.ts'
import type { Slice, Steps } from './slices.ts'
import { sortInSlices } from './sort-slices.ts'
import type { Command, World } from './world.ts'
import { readSessionCommand, replyStatus, type SessionCommand } from './zookeeper-commands.ts'
import { settle, tellChanges, unlessLong, type Work } from './zookeeper-work.ts'

export function createSession(work: Work, command: Command): void {
  const { world, header, answer } = work
  const wanted = readSessionCommand(command.bytes, command.view, header.body)
  const { lifetimes, numbers, emitter } = world
  // The client has seen what this cluster never did: it shall look elsewhere.
  const ahead = wanted.lastZxidSeen > numbers.zxid
  if (ahead || header.session === 0n || lifetimes.session(header.session) !== undefined) {
    answer.notice(replyStatus.close, nothing)
    return
  }
  // As where there is no room: it is tried again, here or elsewhere.
  if (!world.space.admitsSession()) {
    answer.notice(replyStatus.close, nothing)
    return
  }
  const opened = lifetimes.open(
    lifetime.session,
    header.session,
    command.position,
    wanted.timeoutMillis,
    wanted.password.slice(),
  )
  lifetimes.attach(opened, command.node, header.connection)
  settle(work)
  emitter.lifetimeOpened(opened)
  answer.notice(replyStatus.handshake, int32(opened.ttlMillis))
}

/**
 * Changes no zxid: nothing that other clients can see is different. The time-out is agreed anew, and
 * begins anew.
 */
export function attachSession(work: Work, command: Command, session: Lifetime | undefined): void {
  const { world, header, answer } = work
  const wanted = readSessionCommand(command.bytes, command.view, header.body)
  if (wanted.lastZxidSeen > world.numbers.zxid) {
    answer.notice(replyStatus.close, nothing)
    return
  }
  if (session === undefined || !isPassword(session, wanted)) {
    answer.notice(replyStatus.handshake, int32(0))
    return
  }
  detach(world, session)
  world.lifetimes.attach(session, command.node, header.connection, wanted.timeoutMillis)
  world.emitter.lifetimeOpened(session)
  answer.notice(replyStatus.handshake, int32(session.ttlMillis))
}

/** The client's own wish; its connection is closed behind the answer. */
export function closeSession(work: Work, session: Lifetime): Steps | undefined {
  return unlessLong(work, hasMuch(work, session), function* (slice) {
    yield* end(work, session, slice)
    work.answer.error(errorCode.ok, replyStatus.sendAndClose)
  })
}

/** It lives on without a connection, for as long as one that has just been attached. */
export function suspendSession(world: World, session: Lifetime): void {
  world.lifetimes.attach(session, session.node, noConnection)
  world.emitter.lifetimeOpened(session)
}

/** The leader found that it is over. */
export function expireSession(work: Work, command: Command, session: Lifetime): Steps | undefined {
  const { world, writes, answer } = work
  writes.zxid = world.numbers.zxid + 1
  writes.time = command.time
  writes.watched = world.emitter.znodesWatched
  answer.wanted = false
  return unlessLong(work, hasMuch(work, session), function* (slice) {
    yield* end(work, session, slice)
    detach(world, session)
  })
}

function hasMuch({ world }: Work, session: Lifetime): boolean {
  const { unslicedKeysMax } = world.slices ?? limits
  return world.tree.ownedCount(...halvesOf(session)) > unslicedKeysMax
}

function halvesOf({ id }: Lifetime): [high: number, low: number] {
  return [Number(BigInt.asUintN(32, id >> 32n)), Number(BigInt.asUintN(32, id))]
}

function* end(work: Work, session: Lifetime, slice: Pick<Slice, 'spent'>): Steps {
  const { world, writes } = work
  const { tree, lifetimes, emitter } = world
  const unsorted = tree.ownedUnsorted(...halvesOf(session))
  const owned = yield* sortInSlices(unsorted, (one, two) => tree.compareNodes(one, two), slice)
  for (const node of owned) {
    writes.remove(node, tree.parent(node))
    if (!slice.spent(2)) continue
    tellChanges(work)
    yield
  }
  lifetimes.close(session)
  settle(work)
  emitter.lifetimeClosed(session)
}

/** If the connection that it leaves is on this node, tells that it is to be closed. */
function detach(world: World, session: Lifetime): void {
  if (session.node !== world.identity.node) return
  const id = new Uint8Array(8)
  new DataView(id.buffer).setBigInt64(0, session.id)
  world.emitter.reply(stream.zookeeper, session.connection, 0, 0, replyStatus.detached, id)
}

/** Takes as long for a wrong password as for the right one. */
function isPassword(session: Lifetime, { password }: SessionCommand): boolean {
  let difference = 0
  for (let index = 0; index < password.length; index += 1) {
    difference |= password[index]! ^ session.password[index]!
  }
  return difference === 0
}

function int32(value: number): Uint8Array {
  const bytes = new Uint8Array(4)
  new DataView(bytes.buffer).setInt32(0, value)
  return bytes
}

const nothing = new Uint8Array(0)
/** Connections are numbered from 1. */
const noConnection = 0

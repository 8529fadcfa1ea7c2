/** One state machine's ZooKeeper face without anything around it: commands in, what it emits out. */
import { Lifetimes } from '../../../actors/state/lifetimes.ts'
import { Space } from '../../../actors/state/space.ts'
import { roomUnlimited } from '../../../actors/state/messages.ts'
import type { Arena, Command, Emitter, World } from '../../../actors/state/world.ts'
import {
  type Caller,
  callerBytes,
  ownOperation,
  writeCommandHeader,
  writeSessionCommand,
} from '../../../actors/state/zookeeper-commands.ts'
import { zookeeperFace } from '../../../actors/state/zookeeper-face.ts'
import type { WatchesMessage } from '../../../actors/watches/messages.ts'
import { Keyspace } from '../../../storage/keyspace.ts'
import { Tree } from '../../../storage/tree.ts'
import { type Acl, decodeAcls, encodeAcls, type Id } from '../../../transport/zookeeper/acl.ts'
import { encodeIdentities } from '../../../transport/zookeeper/identities.ts'
import { JuteReader } from '../../../transport/zookeeper/jute-reader.ts'
import { JuteWriter } from '../../../transport/zookeeper/jute-writer.ts'
import { encodeMultiEnd, encodeMultiHeader } from '../../../transport/zookeeper/multi.ts'
import { operation } from '../../../transport/zookeeper/operations.ts'
import { decodeStat, type Stat } from '../../../transport/zookeeper/stat.ts'

export const open: readonly Acl[] = [{ perms: 31, scheme: 'world', id: 'anyone' }]
export const address: Id = { scheme: 'ip', id: '127.0.0.1' }

export interface Answered {
  readonly status: number
  readonly connection: number
  readonly sequence: number
  readonly xid: number
  readonly zxid: number
  readonly error: number
  readonly body: JuteReader
  readonly bytes: Uint8Array
}

export type Write = (writer: JuteWriter) => void

export class Scene {
  readonly tree = new Tree()
  readonly lifetimes = new Lifetimes()
  readonly numbers = { zxid: 0, level: 1 }
  readonly emitted: WatchesMessage[] = []
  readonly needed: number[] = []
  readonly opened: bigint[] = []
  readonly closed: bigint[] = []
  watched = true
  time = 1_000
  xid = 0
  sequence = 0
  readonly world: World
  readonly #answers: Answered[] = []

  constructor() {
    const held = { keyspace: new Keyspace(), tree: this.tree, lifetimes: this.lifetimes }
    this.world = {
      ...held,
      space: new Space(held),
      numbers: this.numbers,
      applied: { position: 0 },
      identity: {
        node: 1,
        clusterId: new Uint8Array(8),
        memberId: new Uint8Array(8),
        epoch: 1,
        leader: 1,
      },
      emitter: this.#emitter(),
    }
  }

  /** Opens a session on a connection of this node and returns who sends its commands. */
  session(id: bigint, connection = Number(id), timeoutMillis = 10_000): Caller {
    const caller = { connection, session: id, identities: encodeIdentities([address]) }
    this.handshake(ownOperation.createSession, caller, { timeoutMillis })
    this.takeAnswers()
    return caller
  }

  handshake(
    type: number,
    caller: Caller,
    wanted: { timeoutMillis?: number; lastZxidSeen?: number; password?: Uint8Array; node?: number },
  ): void {
    const bytes = new Uint8Array(1024)
    const view = new DataView(bytes.buffer)
    const body = writeCommandHeader(bytes, 0, type, 0, callerBytes(caller))
    const end = writeSessionCommand(bytes, view, body, {
      timeoutMillis: wanted.timeoutMillis ?? 10_000,
      lastZxidSeen: wanted.lastZxidSeen ?? 0,
      password: wanted.password ?? new Uint8Array(16).fill(Number(caller.session)),
    })
    this.#apply(bytes, view, end, wanted.node ?? 1)
  }

  apply(
    caller: Caller,
    type: number,
    write: Write,
    options: { node?: number; local?: boolean } = {},
  ) {
    const { bytes, view, end } = this.#encode(caller, type, write)
    this.#apply(bytes, view, end, options.node ?? 1, options.local ?? true)
  }

  /** The single answer to one command. */
  call(caller: Caller, type: number, write: Write): Answered {
    this.apply(caller, type, write)
    return this.#single()
  }

  read(caller: Caller, type: number, write: Write): Answered {
    this.#read(caller, type, write, roomUnlimited)
    return this.#single()
  }

  /** What a read asks for whose answer is longer than `roomBytes`; undefined: it was answered. */
  roomFor(caller: Caller, type: number, write: Write, roomBytes: number): number | undefined {
    this.#read(caller, type, write, roomBytes)
    const needed = this.needed.shift()
    if (needed === undefined) this.#single()
    return needed
  }

  #read(caller: Caller, type: number, write: Write, roomBytes: number): void {
    const { bytes, end } = this.#encode(caller, type, write)
    const { connection } = caller
    const request = bytes.subarray(0, end)
    zookeeperFace.read(this.world, { stream: 1, connection, tag: 0, roomBytes, request })
  }

  expire(id: bigint): void {
    const bytes = new Uint8Array(0)
    const command = this.#command(bytes, new DataView(bytes.buffer), 0, 0)
    zookeeperFace.expire(this.world, command, this.lifetimes.session(id)!)
  }

  create(caller: Caller, path: string, flags = 0, acls: readonly Acl[] = open, data?: Uint8Array) {
    return this.call(caller, operation.create, createRecord(path, flags, acls, data))
  }

  stat(caller: Caller, path: string): Stat {
    return decodeStat(this.read(caller, operation.exists, watchRecord(path)).body)
  }

  acls(caller: Caller, path: string): Acl[] {
    return decodeAcls(this.read(caller, operation.getAcl, pathRecord(path)).body)
  }

  takeAnswers(): Answered[] {
    return this.#answers.splice(0)
  }

  takeEmitted(): WatchesMessage[] {
    return this.emitted.splice(0)
  }

  #single(): Answered {
    const [answer, ...others] = this.takeAnswers()
    if (answer === undefined || others.length > 0) throw new Error('not exactly one answer')
    return answer
  }

  #encode(caller: Caller, type: number, write: Write) {
    const bytes = new Uint8Array(1 << 20)
    const view = new DataView(bytes.buffer)
    const body = writeCommandHeader(bytes, 0, type, ++this.xid, callerBytes(caller))
    const record = written(write)
    bytes.set(record, body)
    return { bytes, view, end: body + record.length }
  }

  #apply(bytes: Uint8Array, view: DataView, end: number, node: number, local = true): void {
    const command = this.#command(bytes, view, end, node)
    zookeeperFace.apply(this.world, { ...command, local: local && node === 1 })
  }

  #command(bytes: Uint8Array, view: DataView, end: number, node: number): Command {
    this.time += 10
    this.sequence += 1
    const { time, sequence } = this
    const local = node === 1
    const numbers = { position: sequence, epoch: 1, time, kind: 17, node, stream: 1, sequence }
    return { ...numbers, local, bytes, view, start: 0, end }
  }

  #emitter(): Emitter {
    const scene = this
    return {
      get znodesWatched() {
        return scene.watched
      },
      keysWatched: false,
      emit: message => scene.emitted.push(message),
      reply: (_stream, connection, _tag, sequence, status, bytes) =>
        scene.#answers.push(answered(connection, sequence, status, bytes)),
      answerBytesMax: () => Number.POSITIVE_INFINITY,
      reserve: (): Arena => {
        throw new Error('not used')
      },
      take: () => new Uint8Array(0),
      needsRoom: (_read, bytes) => scene.needed.push(bytes),
      lifetimeOpened: lifetime => scene.opened.push(lifetime.id),
      lifetimeClosed: lifetime => scene.closed.push(lifetime.id),
    }
  }
}

export function createRecord(
  path: string,
  flags = 0,
  acls: readonly Acl[] = open,
  data: Uint8Array | undefined = new Uint8Array(0),
): Write {
  return writer => {
    writer.string(path)
    writer.buffer(data)
    encodeAcls(writer, acls)
    writer.int(flags)
  }
}

export function versionRecord(path: string, version = -1): Write {
  return writer => {
    writer.string(path)
    writer.int(version)
  }
}

export function setRecord(path: string, data: Uint8Array | undefined, version = -1): Write {
  return writer => {
    writer.string(path)
    writer.buffer(data)
    writer.int(version)
  }
}

export function aclRecord(path: string, acls: readonly Acl[], version = -1): Write {
  return writer => {
    writer.string(path)
    encodeAcls(writer, acls)
    writer.int(version)
  }
}

export function watchRecord(path: string, watch = false): Write {
  return writer => {
    writer.string(path)
    writer.boolean(watch)
  }
}

export function pathRecord(path: string): Write {
  return writer => writer.string(path)
}

export function multiRecord(...operations: readonly (readonly [number, Write])[]): Write {
  return writer => {
    for (const [type, write] of operations) {
      encodeMultiHeader(writer, type)
      write(writer)
    }
    encodeMultiEnd(writer)
  }
}

export function written(write: Write): Uint8Array {
  const writer = new JuteWriter(256)
  writer.begin()
  write(writer)
  return writer.finish()
}

function answered(
  connection: number,
  sequence: number,
  status: number,
  bytes: Uint8Array,
): Answered {
  const reader = new JuteReader().reset(bytes, 0, bytes.length)
  const common = { status, connection, sequence, bytes, body: reader }
  if (bytes.length < 20) return { ...common, xid: 0, zxid: 0, error: 0 }
  if (reader.int() !== bytes.length - 4) throw new Error('the length word is wrong')
  const xid = reader.int()
  const zxid = reader.long()
  return { ...common, xid, zxid, error: reader.int() }
}

/** A world with nothing but the etcd face, driven by requests as clients send them. */
import { entryKind } from '../../../actors/consensus/entry.ts'
import {
  callBytes,
  etcdOperation,
  etcdRead,
  writeCall,
} from '../../../actors/state/etcd-commands.ts'
import { etcdFace } from '../../../actors/state/etcd-face.ts'
import { EtcdTally } from '../../../actors/state/etcd-tally.ts'
import { type Lifetime, Lifetimes } from '../../../actors/state/lifetimes.ts'
import { Space } from '../../../actors/state/space.ts'
import { roomUnlimited, stream } from '../../../actors/state/messages.ts'
import type { Arena, Command, Emitter, Read, World } from '../../../actors/state/world.ts'
import type { WatchesMessage } from '../../../actors/watches/messages.ts'
import { Keyspace } from '../../../storage/keyspace.ts'
import { Tree } from '../../../storage/tree.ts'
import { failureOf } from '../../../transport/etcd/messages/failures.ts'
import { type Decoded, decode, encode } from '../../transport/etcd/messages/schema.ts'

type Operation = keyof typeof etcdOperation

const types: Record<Operation, readonly [request: string, response: string]> = {
  put: ['PutRequest', 'PutResponse'],
  deleteRange: ['DeleteRangeRequest', 'DeleteRangeResponse'],
  txn: ['TxnRequest', 'TxnResponse'],
  compact: ['CompactionRequest', 'CompactionResponse'],
  leaseGrant: ['LeaseGrantRequest', 'LeaseGrantResponse'],
  leaseRevoke: ['LeaseRevokeRequest', 'LeaseRevokeResponse'],
  alarm: ['AlarmRequest', 'AlarmResponse'],
}

export class TestEmitter implements Emitter {
  znodesWatched = false
  keysWatched = false
  emitted: WatchesMessage[] = []
  replies: {
    connection: number
    tag: number
    sequence: number
    status: number
    body: Uint8Array
  }[] = []
  needed: number[] = []
  opened: bigint[] = []
  closed: bigint[] = []
  readonly #arena: Arena = {
    bytes: new Uint8Array(0),
    view: new DataView(new ArrayBuffer(0)),
    start: 0,
  }

  emit(message: WatchesMessage): void {
    this.emitted.push(message)
  }

  reply(
    _stream: number,
    connection: number,
    tag: number,
    sequence: number,
    status: number,
    body: Uint8Array,
  ): void {
    this.replies.push({ connection, tag, sequence, status, body })
  }

  answerBytesMax(): number {
    return Number.POSITIVE_INFINITY
  }

  reserve(bytesMax: number): Arena {
    const arena = this.#arena
    if (arena.bytes.length - arena.start < bytesMax) {
      arena.bytes = new Uint8Array(Math.max(1000, bytesMax))
      arena.view = new DataView(arena.bytes.buffer)
      arena.start = 0
    }
    return arena
  }

  take(bytes: number): Uint8Array {
    const taken = this.#arena.bytes.subarray(this.#arena.start, this.#arena.start + bytes)
    this.#arena.start += bytes
    return taken
  }

  needsRoom(_read: Read, bytes: number): void {
    this.needed.push(bytes)
  }

  lifetimeOpened(opened: Lifetime): void {
    this.opened.push(opened.id)
  }

  lifetimeClosed(closed: Lifetime): void {
    this.closed.push(closed.id)
  }
}

export class EtcdWorld {
  readonly emitter = new TestEmitter()
  readonly keyspace = new Keyspace()
  readonly lifetimes = new Lifetimes()
  readonly #held = { keyspace: this.keyspace, tree: new Tree(), lifetimes: this.lifetimes }
  readonly space = new Space(this.#held)
  readonly applied = { position: 0 }
  readonly tally = new EtcdTally()
  readonly identity = {
    node: 1,
    clusterId: Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 9),
    memberId: Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 8),
    epoch: 3,
    leader: 1,
  }
  readonly world: World = {
    ...this.#held,
    space: this.space,
    numbers: { zxid: 0, level: 1 },
    identity: this.identity,
    emitter: this.emitter,
    applied: this.applied,
    tally: this.tally,
  }
  #sequence = 0

  /** The decoded response, or `[code, text]` of the failure. */
  run(operation: Operation, request: object): Decoded {
    const [requestType, responseType] = types[operation]
    this.applyBytes(operation, encode(requestType, request), true)
    return this.#answer(responseType)
  }

  /** What the state actor does behind every command. */
  settle(): void {
    this.space.settle()
  }

  /** As on a node that only follows: nothing is answered. */
  follow(operation: Operation, request: object): void {
    this.applyBytes(operation, encode(types[operation][0], request), false)
  }

  applyBytes(operation: Operation, request: Uint8Array, local: boolean): void {
    const bytes = new Uint8Array(callBytes + request.length)
    const view = new DataView(bytes.buffer)
    writeCall(view, 0, etcdOperation[operation], 77, 5)
    bytes.set(request, callBytes)
    etcdFace.apply(this.world, this.command(bytes, local))
  }

  command(bytes: Uint8Array, local: boolean): Command {
    this.#sequence += 1
    this.applied.position += 1
    return {
      position: this.applied.position,
      epoch: 3,
      time: 0,
      kind: entryKind.etcd,
      node: 1,
      stream: stream.etcd,
      sequence: this.#sequence,
      local,
      bytes,
      view: new DataView(bytes.buffer),
      start: 0,
      end: bytes.length,
    }
  }

  range(request: object): Decoded {
    return this.read(etcdRead.range, encode('RangeRequest', request), 'RangeResponse')
  }

  readTxn(request: object): Decoded {
    return this.read(etcdRead.txn, encode('TxnRequest', request), 'TxnResponse')
  }

  read(which: number, request: Uint8Array, responseType: string): Decoded {
    this.readBytes(which, request)
    return this.#answer(responseType)
  }

  readBytes(which: number, request: Uint8Array, roomBytes = roomUnlimited): void {
    const bytes = new Uint8Array(1 + request.length)
    bytes[0] = which
    bytes.set(request, 1)
    const common = { stream: stream.etcd, connection: 77, tag: 5, request: bytes }
    etcdFace.read(this.world, { ...common, roomBytes })
  }

  put(key: string, value = '', lease: number | string = 0): Decoded {
    return this.run('put', { key: Buffer.from(key), value: Buffer.from(value), lease })
  }

  /** All keys with their values, as `a=1 b=2`. */
  contents(): string {
    const everything = this.range({ key: Buffer.from([0]), range_end: Buffer.from([0]) })
    const pairs = (everything.kvs ?? []).map((kv: Decoded) => `${kv.key}=${kv.value ?? ''}`)
    return pairs.join(' ')
  }

  #answer(responseType: string): Decoded {
    const reply = this.emitter.replies.pop()
    if (reply === undefined) throw new Error('there was no answer')
    if (reply.status === 0) return decode(responseType, reply.body)
    const { code, text } = failureOf(reply.status)
    return [code, text]
  }
}

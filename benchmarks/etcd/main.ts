/**
 * What the etcd door costs in one thread, without sockets and log: commands applied, reads answered,
 * and a change with few and with many unrelated key watches (the bar is a ratio of 1.5).
 *
 *     node actors/node/launcher.mjs --script benchmarks/etcd/main.ts
 */
import { callBytes, etcdOperation, etcdRead, writeCall } from '../../actors/state/etcd-commands.ts'
import { etcdFace } from '../../actors/state/etcd-face.ts'
import { Lifetimes } from '../../actors/state/lifetimes.ts'
import { roomUnlimited, stream } from '../../actors/state/messages.ts'
import { Space } from '../../actors/state/space.ts'
import type { Arena, Command, Emitter, World } from '../../actors/state/world.ts'
import { KeyWatches } from '../../actors/watches/key-watches.ts'
import type { WatchesMessage } from '../../actors/watches/messages.ts'
import { Keyspace } from '../../storage/keyspace.ts'
import { Tree } from '../../storage/tree.ts'
import { OwnRooms, Writer } from '../../transport/etcd/messages/writer.ts'

const keyCount = 100_000
const valueBytes = 128
const runs = 7
const operationsPerRun = 100_000

const ids = { clusterId: new Uint8Array(8).fill(7), memberId: new Uint8Array(8).fill(9) }

class Sink implements Emitter {
  readonly znodesWatched = false
  keysWatched = false
  take: (bytes: number) => Uint8Array
  onEmit: (message: WatchesMessage) => void = () => {}
  replyBytes = 0
  readonly #arena: Arena = {
    bytes: new Uint8Array(0),
    view: new DataView(new ArrayBuffer(0)),
    start: 0,
  }

  constructor() {
    const arena = this.#arena
    this.take = bytes => {
      const taken = arena.bytes.subarray(arena.start, arena.start + bytes)
      arena.start += bytes
      return taken
    }
  }

  emit(message: WatchesMessage): void {
    this.onEmit(message)
  }

  needsRoom(): never {
    throw new Error('reads have all the room there is')
  }

  reply(_s: number, _c: number, _t: number, _q: number, status: number, body: Uint8Array): void {
    if (status !== 0) throw new Error(`refused with ${status}`)
    this.replyBytes += body.length
  }

  answerBytesMax(): number {
    return Number.POSITIVE_INFINITY
  }

  reserve(bytesMax: number): Arena {
    const arena = this.#arena
    if (arena.bytes.length - arena.start < bytesMax) {
      arena.bytes = new Uint8Array(Math.max(128 * 1024, bytesMax))
      arena.start = 0
    }
    return arena
  }

  lifetimeOpened(): void {}
  lifetimeClosed(): void {}
}

class Bench {
  readonly sink = new Sink()
  readonly #held = { keyspace: new Keyspace(), tree: new Tree(), lifetimes: new Lifetimes() }
  readonly world: World = {
    ...this.#held,
    space: new Space(this.#held),
    numbers: { zxid: 0, level: 1 },
    applied: { position: 0 },
    identity: { node: 1, ...ids, epoch: 1, leader: 1 },
    emitter: this.sink,
  }
  #sequence = 0

  apply(bytes: Uint8Array, view: DataView): void {
    this.#sequence += 1
    const command: Command = {
      position: this.#sequence,
      epoch: 1,
      time: 0,
      kind: 18,
      node: 1,
      stream: stream.etcd,
      sequence: this.#sequence,
      local: true,
      bytes,
      view,
      start: 0,
      end: bytes.length,
    }
    etcdFace.apply(this.world, command)
    if (this.#sequence % 64 === 0) this.world.keyspace.maintain()
  }

  read(request: Uint8Array): void {
    const common = { stream: stream.etcd, connection: 1, tag: 1 }
    etcdFace.read(this.world, { ...common, roomBytes: roomUnlimited, request })
  }
}

const rooms = new OwnRooms()
const writer = new Writer(rooms)
const encoder = new TextEncoder()

function keyOf(index: number): Uint8Array {
  return encoder.encode(`/registry/pods/default/pod-${String(index).padStart(8, '0')}`)
}

function putRequest(key: Uint8Array): { bytes: Uint8Array; view: DataView } {
  writer.begin(key.length + valueBytes + 32)
  writer.element(0x0a, key, 0, key.length)
  writer.element(0x12, new Uint8Array(valueBytes).fill(120), 0, valueBytes)
  const message = writer.finish()
  const bytes = new Uint8Array(callBytes + message.length)
  const view = new DataView(bytes.buffer)
  writeCall(view, 0, etcdOperation.put, 1, 1)
  bytes.set(message, callBytes)
  return { bytes, view }
}

function rangeRequest(key: Uint8Array, end: Uint8Array): Uint8Array {
  writer.begin(256)
  writer.element(0x0a, key, 0, key.length)
  writer.field(0x12, end, 0, end.length)
  const message = writer.finish()
  return Uint8Array.of(etcdRead.range, ...message)
}

function nanos(count: number, run: (index: number) => void): number {
  const start = process.hrtime.bigint()
  for (let index = 0; index < count; index += 1) run(index)
  return Number(process.hrtime.bigint() - start) / count
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1] as number
}

function report(name: string, count: number, run: (index: number) => void): void {
  const times = Array.from({ length: runs }, () => nanos(count, run))
  console.log(`${name.padEnd(48)} ${(median(times) / 1000).toFixed(2)} us`)
}

const bench = new Bench()
const puts = Array.from({ length: keyCount }, (_, index) => putRequest(keyOf(index)))
const apply = (index: number): void => {
  const { bytes, view } = puts[(index * 7919) % keyCount] as (typeof puts)[0]
  bench.apply(bytes, view)
}
console.log(`${keyCount} keys, values of ${valueBytes} bytes`)
console.log(`first put of each key ${(nanos(keyCount, apply) / 1000).toFixed(2)} us`)
report('put of a key that exists', operationsPerRun, apply)
const gets = Array.from({ length: 1000 }, (_, index) =>
  rangeRequest(keyOf(index * 97), new Uint8Array(0)),
)
report('range of one key', operationsPerRun, index => bench.read(gets[index % 1000] as Uint8Array))
const hundred = rangeRequest(keyOf(1000), keyOf(1100))
report('range of 100 keys', 2000, () => bench.read(hundred))
const thousand = rangeRequest(keyOf(2000), keyOf(3000))
report('range of 1,000 keys', 200, () => bench.read(thousand))

compareWatches('a put, nobody watches its key', false)
compareWatches('a put, one watches its key', true)

/** The same put with few and with many watches on other keys: state, index and encoding together. */
function compareWatches(name: string, watched: boolean): void {
  const few = watchedWorld(10, watched)
  const many = watchedWorld(100_000, watched)
  const times: [number[], number[]] = [[], []]
  for (let run = 0; run < runs; run += 1) {
    times[0].push(nanos(20_000, few))
    times[1].push(nanos(20_000, many))
  }
  const [withFew, withMany] = [median(times[0]), median(times[1])]
  console.log(
    `${name.padEnd(40)} 10 watches ${(withFew / 1000).toFixed(2)} us` +
      `   100,000 watches ${(withMany / 1000).toFixed(2)} us   ratio ${(withMany / withFew).toFixed(2)}`,
  )
}

function watchedWorld(count: number, watched: boolean): (index: number) => void {
  const one = new Bench()
  const watches = new KeyWatches({ ...ids, progressMillis: 1e9, send() {}, askHistory() {} })
  one.sink.onEmit = message => {
    if (message.kind === 'keysChanged') watches.changed(message)
    else if (message.kind === 'keyWatch') watches.register(message)
  }
  one.sink.keysWatched = true
  for (let index = 0; index < count; index += 1) {
    const key = encoder.encode(`/other/${index}`)
    // A third single keys, a third prefixes, a third ranges that are none.
    const end = encoder.encode(
      index % 3 === 1
        ? `/other/${index}`.replace(/.$/, last => String.fromCharCode(last.charCodeAt(0) + 1))
        : `/other/${index}zz`,
    )
    createWatch(one, key, index % 3 === 0 ? new Uint8Array(0) : end, index)
  }
  if (watched) createWatch(one, keyOf(1), new Uint8Array(0), 0)
  const { bytes, view } = putRequest(keyOf(1))
  return () => {
    one.apply(bytes, view)
    watches.flush()
  }
}

function createWatch(one: Bench, key: Uint8Array, end: Uint8Array, index: number): void {
  writer.begin(256)
  const mark = writer.open(0x0a)
  writer.element(0x0a, key, 0, key.length)
  writer.field(0x12, end, 0, end.length)
  writer.close(mark)
  const request = Uint8Array.of(etcdRead.watch, ...writer.finish())
  const connection = 1 + (index % 100)
  const common = { stream: stream.etcd, connection, tag: 1 }
  etcdFace.read(one.world, { ...common, roomBytes: roomUnlimited, request })
}

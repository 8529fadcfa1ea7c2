/**
 * One ZooKeeper client of a simulated world: keeps a session over whatever nodes it reaches, has
 * several requests in flight, and holds every answer against what the client itself has seen before. It is
 * the only writer of its own znode, so each of its writes is applied once or not at all, and in order.
 * Now and then it closes its session, or sleeps until that may have ended.
 */
import type { Random, Socket } from '../../runtime/host.ts'
import { below, deriveSeed, seededRandom } from '../../runtime/random.ts'
import { decodeConnectResponse, encodeConnectRequest } from '../../transport/zookeeper/connect.ts'
import { errorCode } from '../../transport/zookeeper/errors.ts'
import { FrameSplitter } from '../../transport/zookeeper/frames.ts'
import { encodeRequestHeader } from '../../transport/zookeeper/headers.ts'
import { JuteReader } from '../../transport/zookeeper/jute-reader.ts'
import { JuteWriter } from '../../transport/zookeeper/jute-writer.ts'
import { decodeMultiHeader } from '../../transport/zookeeper/multi.ts'
import { operation, specialXid } from '../../transport/zookeeper/operations.ts'
import { decodeStat } from '../../transport/zookeeper/stat.ts'
import { decodeWatcherEvent } from '../../transport/zookeeper/watcher-event.ts'
import { type ClientSetup, pace } from './client-setup.ts'
import { Ephemerals, pathsOf } from './zookeeper-ephemerals.ts'
import type { Holders } from './holders.ts'
import {
  appendRoot,
  encodeRequest,
  ephemeralRoot,
  lockPaths,
  type Request,
} from './zookeeper-request.ts'
import { Locks } from './zookeeper-locks.ts'
import { absent, Watches } from './zookeeper-watches.ts'

export interface ZookeeperClientSetup extends ClientSetup {
  /** How many there are, with ids from 1. */
  readonly clients: number
  /** It may sleep once for about as long as its session lives. */
  readonly maySleep: boolean
  /** A write was refused since disks have no space. */
  readonly refused: () => void
  readonly holders: Holders
}

const inFlightMax = 8
const sessionMillis = 4000
const { burstMillisMin, burstMillisMax, pingMillis, silenceMillis, reconnectMillis } = pace
const sleepMillis = 4000
const restMillis = 6000
/** A leader that does not hear of a client for a while (a cut of 2.5 s at most) counts that against it. */
const earlyShareMax = 0.35
/** Instead of an operation, where its result is an error. */
const multiError = -1

export class ZookeeperClient {
  readonly path: string
  /** Paths of sequential znodes whose creation was acknowledged, in order. */
  readonly appended: string[] = []
  setsSent = 0
  /** Of the last acknowledged set. */
  version = 0
  lastSetAcknowledged = 0
  acknowledged = 0
  appendsSent = 0
  sessions = 0
  readonly watches: Watches
  readonly ephemerals: Ephemerals
  connections = 0
  /** That it is connected to, or was last. */
  machine = ''
  readonly #setup: ZookeeperClientSetup
  readonly #random: Random
  readonly #writer = new JuteWriter(4096)
  readonly #reader = new JuteReader()
  #socket: Socket | undefined
  #splitter = new FrameSplitter()
  #established = false
  #session = 0n
  #password: Uint8Array = new Uint8Array(16)
  #lastZxid = 0
  #xid = 0
  #unprepared: string[]
  #inFlight: Request[] = []
  /** Sets whose connection broke before an answer: since the last acknowledged one. */
  #unknownSets = 0
  #heardMillis = 0
  /** When the last request was sent that this session got an answer to. */
  #servedMillis = 0
  #closing = false
  #mayBeClosed = false
  readonly #locks: Locks
  #floor: ReadonlyMap<string, number> = new Map()
  /** Until then it only looks at things, as one does that holds a lock: no write of it waits for a leader. */
  #restsUntilMillis = 0
  /** What waits for a leader holds back all that comes after it: only reads show a connection that stands too long. */
  #restsWithSyncs = false
  #sleepsLeft: number
  #reconnectMillis: number = reconnectMillis
  #left: number

  constructor(setup: ZookeeperClientSetup) {
    this.#setup = setup
    this.path = ownPath(setup.id)
    this.#unprepared = [appendRoot, ephemeralRoot, this.path]
    this.#left = setup.operations
    this.#random = seededRandom(deriveSeed(setup.seed, `client${setup.id}`))
    this.#sleepsLeft = below(this.#random, 3) === 0 && setup.maySleep ? 1 : 0
    const violate = (sentence: string): void => this.#violate(sentence)
    this.watches = new Watches(violate)
    this.ephemerals = new Ephemerals(setup.id, violate)
    const { holders, host } = setup
    this.#locks = new Locks({ client: setup.id, holders, host, violate })
  }

  get done(): boolean {
    return this.#left === 0
  }

  /** It holds a lock, and nothing but its connection would tell it that it does not. */
  get holdsAtRest(): boolean {
    return this.#established && this.#isResting && this.#locks.count > 0
  }

  start(): void {
    this.#connect()
    this.#ping()
    this.#burst()
  }

  /** Some requests at once, then a while without: so that the work lasts as long as the faults do. */
  #burst(): void {
    const { host } = this.#setup
    host.timers.after(
      burstMillisMin + (burstMillisMax - burstMillisMin) * this.#random.fraction(),
      () => {
        if (this.#mayLeave() && below(this.#random, 30) === 0) this.#leave()
        if (this.#locks.count > 0 && below(this.#random, 8) === 0) this.#rest()
        this.#fill()
        this.#burst()
      },
    )
  }

  #rest(): void {
    const { host, busyUntilMillis } = this.#setup
    if (!this.#isResting) this.#restsWithSyncs = below(this.#random, 3) === 0
    const millis = host.clock.monotonicMillis() + restMillis * (1 + this.#random.fraction())
    this.#restsUntilMillis = Math.min(millis, busyUntilMillis)
  }

  get #isResting(): boolean {
    return this.#setup.host.clock.monotonicMillis() < this.#restsUntilMillis
  }

  #mayLeave(): boolean {
    if (this.#isResting) return false
    return this.#established && !this.#closing && this.#unprepared.length === 0 && this.#left > 5
  }

  /** Closes the session, or sleeps longer than it lasts, or nearly so. */
  #leave(): void {
    if (this.#sleepsLeft === 0) return this.#send('close')
    this.#sleepsLeft--
    this.#setup.note(`client ${this.#setup.id} sleeps`)
    this.#reconnectMillis = sleepMillis
    this.#socket?.destroy()
  }

  #connect(): void {
    const { host, machines, port } = this.#setup
    this.machine = machines[below(this.#random, machines.length)]!
    const socket = host.network.connect({ host: this.machine, port })
    this.#socket = socket
    this.#splitter = new FrameSplitter()
    this.#heardMillis = host.clock.monotonicMillis()
    socket.open({
      connected: () => this.#greet(socket),
      data: chunk => this.#data(socket, chunk),
      closed: () => this.#lost(socket),
    })
  }

  #greet(socket: Socket): void {
    this.#frame(socket, writer => {
      encodeConnectRequest(writer, {
        protocolVersion: 0,
        lastZxidSeen: this.#lastZxid,
        timeoutMillis: sessionMillis,
        session: this.#session,
        password: this.#password,
        readOnly: false,
        hasReadOnly: true,
      })
    })
  }

  #lost(socket: Socket): void {
    if (this.#socket !== socket) return
    this.#socket = undefined
    this.#established = false
    for (const request of this.#inFlight) this.#forget(request)
    this.#inFlight = []
    this.#locks.disconnected()
    const millis = this.#reconnectMillis * (1 + this.#random.fraction())
    this.#reconnectMillis = reconnectMillis
    this.#setup.host.timers.after(millis, () => this.#connect())
  }

  /** It was done, or not. */
  #forget({ kind, path }: Request): void {
    if (kind === 'set' || kind === 'multi') this.#unknownSets++
    else if (kind === 'hold' || kind === 'drop') this.ephemerals.lost(path)
    else if (kind === 'unlock') this.#locks.gone(path)
    else if (kind === 'close') this.#mayBeClosed = true
    this.#closing = false
  }

  /** Also notices a connection from which nothing comes any more. */
  #ping(): void {
    const { host } = this.#setup
    host.timers.after(pingMillis, () => this.#ping())
    const socket = this.#socket
    if (socket === undefined) return
    if (host.clock.monotonicMillis() - this.#heardMillis > silenceMillis) socket.destroy()
    else if (this.#established) {
      this.#frame(socket, writer =>
        encodeRequestHeader(writer, { xid: specialXid.ping, type: operation.ping }),
      )
    }
  }

  #data(socket: Socket, chunk: Uint8Array): void {
    if (this.#socket !== socket) return
    this.#heardMillis = this.#setup.host.clock.monotonicMillis()
    this.#splitter.push(chunk)
    for (;;) {
      const cut = this.#splitter.next(true)
      if (cut === 'more') break
      if (cut === 'broken')
        return this.#setup.violate(`client ${this.#setup.id} got a broken frame`)
      this.#reader.reset(this.#splitter.bytes, this.#splitter.start, this.#splitter.end)
      if (this.#established) this.#answer()
      else this.#connected()
    }
    if (this.#unprepared.length > 0) this.#fill()
  }

  #connected(): void {
    const { session, password, timeoutMillis } = decodeConnectResponse(this.#reader)
    if (timeoutMillis === 0) {
      const silentMillis = this.#heardMillis - this.#servedMillis
      if (!this.#mayBeClosed && silentMillis < sessionMillis * earlyShareMax)
        this.#violate(`lost its session after ${silentMillis} ms`)
      return this.#sessionEnded('lost')
    }
    if (session !== this.#session) this.sessions++
    this.connections++
    this.#setup.note(`client ${this.#setup.id} has session ${session.toString(16)}`)
    this.#session = session
    this.#password = password.slice()
    this.#established = true
    this.#floor = new Map()
    this.#locks.connected()
    this.#servedMillis = this.#heardMillis
    if (this.watches.count > 0) this.#setWatches()
  }

  #sessionEnded(how: string): void {
    this.#setup.note(`client ${this.#setup.id} ${how} session ${this.#session.toString(16)}`)
    this.#session = 0n
    this.#password = new Uint8Array(16)
    this.#mayBeClosed = false
    this.#closing = false
    this.#locks.sessionEnded()
    this.ephemerals.sessionEnded()
    this.watches.clear()
  }

  #setWatches(): void {
    this.#frame(this.#socket!, writer => {
      encodeRequestHeader(writer, { xid: specialXid.setWatches, type: operation.setWatches })
      this.watches.encode(writer, this.#lastZxid)
    })
  }

  /** Keeps some requests in flight: prepares its znodes first. */
  #fill(): void {
    while (this.#established && !this.#closing && this.#inFlight.length < inFlightMax) {
      const [unprepared] = this.#unprepared
      if (unprepared !== undefined) {
        if (this.#inFlight.length === 0) this.#send('make', unprepared)
        return
      }
      if (this.#inFlight.length >= this.#left) return
      if (this.#isResting) return this.#look()
      this.#next()
      if (below(this.#random, 4) === 0) return
    }
  }

  #next(): void {
    const dice = below(this.#random, 24)
    if (dice >= 20) this.#useLock(lockPaths[below(this.#random, lockPaths.length)]!)
    else if (dice < 7) this.#send('set')
    else if (dice < 9) this.#send('append')
    else if (dice < 11) this.#send('get', ownPath(1 + below(this.#random, this.#setup.clients)))
    else if (dice < 12) this.#send('sync')
    else if (dice < 14) this.#send(below(this.#random, 3) === 0 ? 'failingMulti' : 'multi')
    else if (dice < 15) this.#send('children', appendRoot)
    else if (dice < 17) this.#send('exists', this.#someEphemeral())
    else this.#useEphemeral(this.ephemerals.paths[below(this.#random, 3)]!)
  }

  #look(): void {
    if (this.#restsWithSyncs && below(this.#random, 3) === 0) return this.#send('sync')
    this.#send('get', ownPath(1 + below(this.#random, this.#setup.clients)))
  }

  /** Of any client. */
  #someEphemeral(): string {
    return pathsOf(1 + below(this.#random, this.#setup.clients))[below(this.#random, 3)]!
  }

  /** What is done to one of its own waits for what was done before. */
  #useEphemeral(path: string): void {
    if (this.#inFlight.some(request => request.path === path)) return this.#send('set')
    this.#send(this.ephemerals.state(path) === 'there' ? 'drop' : 'hold', path)
  }

  /** Taken whenever it is free, and held for long. */
  #useLock(path: string): void {
    const isInFlight = this.#inFlight.some(request => request.path === path)
    const isDone = this.#locks.has(path) && below(this.#random, 6) > 0
    if (isInFlight || isDone) return this.#send('sync')
    this.#send(this.#locks.has(path) ? 'unlock' : 'lock', path)
  }

  #send(kind: Request['kind'], path = this.path): void {
    const sets = kind === 'set' || kind === 'multi'
    if (kind === 'append' || kind === 'multi') this.appendsSent++
    const number = sets ? ++this.setsSent : 0
    const watch = below(this.#random, 2) === 0
    const sentMillis = this.#setup.host.clock.monotonicMillis()
    if (kind === 'sync') this.#floor = this.#setup.holders.floor()
    const floor = this.#floor
    const request: Request = { kind, xid: ++this.#xid, number, path, watch, sentMillis, floor }
    if (kind === 'unlock') this.#locks.givesUp(path)
    if (kind === 'close') {
      this.#closing = true
      this.#locks.leaves()
    }
    this.#inFlight.push(request)
    this.#frame(this.#socket!, writer => encodeRequest(writer, request, this.#setup.id))
  }

  #frame(socket: Socket, write: (writer: JuteWriter) => void): void {
    this.#writer.beginFrame()
    write(this.#writer)
    socket.write(this.#writer.finishFrame())
  }

  #answer(): void {
    const reader = this.#reader
    const xid = reader.int()
    const zxid = reader.long()
    const error = reader.int()
    if (xid === specialXid.ping || xid === specialXid.setWatches) return
    if (xid === specialXid.notification) return this.#event()
    const request = this.#inFlight.shift()
    if (request?.xid !== xid) {
      return this.#violate(`got the answer to ${xid}, but ${request?.xid ?? 'nothing'} was next`)
    }
    if (error === errorCode.sessionMoved || error === errorCode.sessionExpired) {
      this.#forget(request)
      this.#socket?.destroy()
      return
    }
    if (zxid < this.#lastZxid) this.#violate(`zxid went back from ${this.#lastZxid} to ${zxid}`)
    this.#lastZxid = Math.max(this.#lastZxid, zxid)
    // What this node reads says nothing about its leader.
    if (!isRead(request)) this.#servedMillis = request.sentMillis
    if (request.kind === 'close') {
      this.#sessionEnded('closed')
      this.#socket?.destroy()
      return
    }
    if (error === errorCode.quotaExceeded) return this.#refused(request)
    this.acknowledged++
    const isBusy = this.#left <= 2 * inFlightMax && this.#heardMillis < this.#setup.busyUntilMillis
    if (request.kind !== 'make' && !isBusy) this.#left = Math.max(0, this.#left - 1)
    this.#take(request, error)
  }

  /** For lack of space: nothing was done, whatever comes next shows it; it is tried again. */
  #refused({ kind, path }: Request): void {
    if (!writing.includes(kind)) this.#violate(`${kind} of ${path} was refused for space`)
    if (this.#setup.hasQuota) {
      if (freeing.includes(kind))
        this.#violate(`${kind} of ${path} makes the state smaller, and was refused`)
      if (kind !== 'make') this.#left = Math.max(0, this.#left - 1)
    }
    this.#setup.refused()
  }

  #event(): void {
    const { type, path } = decodeWatcherEvent(this.#reader)
    this.watches.fired(type, path)
  }

  #take(request: Request, error: number): void {
    const { kind, path } = request
    switch (kind) {
      case 'make':
        this.#expect(request, error, errorCode.ok, errorCode.nodeExists)
        this.#unprepared = this.#unprepared.filter(one => one !== path)
        return
      case 'hold':
        this.#expect(request, error, errorCode.ok, errorCode.nodeExists)
        if (error === errorCode.ok) this.watches.changed('exists', path)
        return this.ephemerals.created(path, error)
      case 'drop':
        this.#expect(request, error, errorCode.ok, errorCode.noNode)
        if (error === errorCode.ok) this.watches.changed('exists', path)
        return this.ephemerals.deleted(path, error)
      case 'lock':
        this.#expect(request, error, errorCode.ok, errorCode.nodeExists)
        return error === errorCode.ok ? this.#locks.granted(path) : undefined
      case 'unlock':
        this.#expect(request, error, errorCode.ok)
        return this.#locks.gone(path)
      case 'exists':
        this.#expect(request, error, errorCode.ok, errorCode.noNode)
        return this.#takeExists(request, error)
      case 'get':
        this.#expect(request, error, errorCode.ok, errorCode.noNode)
        return error === errorCode.ok ? this.#takeGet(request) : undefined
      default:
        this.#expect(request, error, errorCode.ok)
    }
    if (kind === 'set') this.#takeSet(request)
    else if (kind === 'append') this.#takeAppend()
    else if (kind === 'children') this.#takeChildren(request)
    else if (kind === 'multi') this.#takeMulti(request)
    else if (kind === 'failingMulti') this.#takeFailedMulti()
  }

  #expect({ kind, path }: Request, error: number, ...allowed: number[]): void {
    if (!allowed.includes(error)) this.#violate(`${kind} of ${path} got ${error}`)
  }

  #takeExists({ path, watch }: Request, error: number): void {
    const creation = error === errorCode.ok ? decodeStat(this.#reader).czxid : absent
    this.watches.shows('exists', path, creation, watch)
    const isOwn = this.ephemerals.paths.includes(path)
    const isChanging = this.#inFlight.some(
      request => request.path === path && request.kind !== 'exists',
    )
    if (isOwn && !isChanging) this.ephemerals.looked(path, error)
  }

  #takeChildren({ path, watch }: Request): void {
    for (let left = this.#reader.int(); left > 0; left--) this.#reader.string()
    this.watches.shows('children', path, decodeStat(this.#reader).cversion, watch)
  }

  /** Results: the set's stat, the path that was made; or that one of the two found no space. */
  #takeMulti(request: Request): void {
    const first = decodeMultiHeader(this.#reader)
    if (first === multiError && this.#setup.hasQuota) {
      const errors = this.#multiErrors(this.#reader.int())
      if (!errors.includes(errorCode.quotaExceeded)) this.#violate(`a multi got ${errors}`)
      return this.#setup.refused()
    }
    if (first !== operation.setData) return this.#violate(`a multi got ${first}`)
    this.#takeSet(request)
    decodeMultiHeader(this.#reader)
    this.#takeAppend()
  }

  /** The check is named, and what came before it is not done: the next set would show that. */
  #takeFailedMulti(): void {
    decodeMultiHeader(this.#reader)
    const errors = this.#multiErrors(this.#reader.int())
    if (errors[0] !== errorCode.ok || errors[1] !== errorCode.badVersion)
      this.#violate(`a multi that has to fail got ${errors}`)
  }

  /** Of a multi of two operations, the first of which has been read. */
  #multiErrors(first: number): readonly number[] {
    decodeMultiHeader(this.#reader)
    return [first, this.#reader.int()]
  }

  /** The version counts the sets of this client: one that is lost or doubled shows. */
  #takeSet(request: Request): void {
    const { version } = decodeStat(this.#reader)
    this.watches.changed('data', this.path)
    const least = this.version + 1
    const most = least + this.#unknownSets
    if (version < least || version > most) {
      this.#violate(`set ${request.number} made version ${version}, due was ${least} to ${most}`)
    }
    this.#unknownSets = 0
    this.version = version
    this.lastSetAcknowledged = request.number
    this.#setup.holders.acknowledged(this.path, version)
    this.#setup.note(`client ${this.#setup.id} set ${request.number} is version ${version}`)
  }

  #takeGet({ path, watch, floor }: Request): void {
    const data = Number(Buffer.from(this.#reader.buffer() ?? []).toString())
    const { version } = decodeStat(this.#reader)
    this.watches.shows('data', path, version, watch)
    if (version < (floor.get(path) ?? 0))
      this.#violate(
        `read version ${version} of ${path} behind a sync that had to show ${floor.get(path)}`,
      )
    if (path !== this.path) return
    if (version < this.version || version > this.version + this.#unknownSets) {
      this.#violate(`read version ${version} after its own ${this.version}`)
    }
    if (data < this.lastSetAcknowledged || data > this.setsSent) {
      this.#violate(`read ${data} after its own ${this.lastSetAcknowledged}`)
    }
  }

  #takeAppend(): void {
    const path = this.#reader.string()
    this.watches.changed('children', appendRoot)
    const last = this.appended.at(-1)
    if (last !== undefined && sequenceOf(path) <= sequenceOf(last)) {
      this.#violate(`appended ${path} after ${last}`)
    }
    this.appended.push(path)
  }

  #violate(sentence: string): void {
    this.#setup.violate(`client ${this.#setup.id}: ${sentence}`)
  }
}

const writing: readonly Request['kind'][] = [
  'make',
  'set',
  'append',
  'multi',
  'failingMulti',
  'hold',
  'drop',
  'lock',
  'unlock',
]
const freeing: readonly Request['kind'][] = ['drop', 'unlock']

function isRead({ kind }: Request): boolean {
  return kind === 'get' || kind === 'exists' || kind === 'children'
}

function sequenceOf(path: string): number {
  return Number(path.slice(-10))
}

function ownPath(client: number): string {
  return `/own-${client}`
}

/**
 * One ZooKeeper client of a simulated world: keeps a session over whatever nodes it reaches, has
 * several requests in flight, and holds every answer against what the client itself has seen before. It is
 * the only writer of its own znode, so each of its writes is applied once or not at all, and in order.
 */
import type { Host, Random, Socket } from '../../runtime/host.ts'
import { below, deriveSeed, seededRandom } from '../../runtime/random.ts'
import { encodeAcls } from '../../transport/zookeeper/acl.ts'
import { decodeConnectResponse, encodeConnectRequest } from '../../transport/zookeeper/connect.ts'
import { errorCode } from '../../transport/zookeeper/errors.ts'
import { FrameSplitter } from '../../transport/zookeeper/frames.ts'
import { encodeRequestHeader } from '../../transport/zookeeper/headers.ts'
import { JuteReader } from '../../transport/zookeeper/jute-reader.ts'
import { JuteWriter } from '../../transport/zookeeper/jute-writer.ts'
import {
  createMode,
  operation,
  permission,
  specialXid,
} from '../../transport/zookeeper/operations.ts'
import { decodeStat } from '../../transport/zookeeper/stat.ts'

export interface ClientSetup {
  readonly id: number
  readonly seed: string
  readonly host: Host
  readonly machines: readonly string[]
  readonly port: number
  readonly operations: number
  readonly note: (event: string) => void
  readonly violate: (sentence: string) => void
}

interface Request {
  readonly kind: 'set' | 'get' | 'append' | 'sync' | 'makeRoot' | 'makeOwn'
  readonly xid: number
  /** For a set: its number, which is also what it writes. */
  readonly number: number
}

export const appendRoot = '/appended'
const inFlightMax = 8
const sessionMillis = 8000
const pingMillis = 1000
const silenceMillis = 3000
const reconnectMillis = 50
const preparations = 2
const burstMillisMin = 20
const burstMillisMax = 250
const everyone = [{ perms: permission.all, scheme: 'world', id: 'anyone' }]

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
  connections = 0
  readonly #setup: ClientSetup
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
  #prepared = 0
  #inFlight: Request[] = []
  /** Sets whose connection broke before an answer: since the last acknowledged one. */
  #unknownSets = 0
  #heardMillis = 0
  #left: number

  constructor(setup: ClientSetup) {
    this.#setup = setup
    this.path = `/own-${setup.id}`
    this.#left = setup.operations
    this.#random = seededRandom(deriveSeed(setup.seed, `client${setup.id}`))
  }

  get done(): boolean {
    return this.#left === 0
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
        this.#fill()
        this.#burst()
      },
    )
  }

  #connect(): void {
    const { host, machines, port } = this.#setup
    const machine = machines[below(this.#random, machines.length)]!
    const socket = host.network.connect({ host: machine, port })
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
    this.#unknownSets += this.#inFlight.filter(({ kind }) => kind === 'set').length
    this.#inFlight = []
    this.#setup.host.timers.after(reconnectMillis * (1 + this.#random.fraction()), () =>
      this.#connect(),
    )
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
    if (this.#prepared < preparations) this.#fill()
  }

  #connected(): void {
    const { session, password, timeoutMillis } = decodeConnectResponse(this.#reader)
    if (timeoutMillis === 0) {
      this.#setup.note(`client ${this.#setup.id} lost session ${this.#session.toString(16)}`)
      this.#session = 0n
      this.#password = new Uint8Array(16)
      return
    }
    if (session !== this.#session) this.sessions++
    this.connections++
    this.#session = session
    this.#password = password.slice()
    this.#established = true
  }

  /** Keeps some requests in flight: prepares its znodes first. */
  #fill(): void {
    while (this.#established && this.#inFlight.length < inFlightMax) {
      if (this.#prepared < preparations) {
        if (this.#inFlight.length > 0) return
        this.#send(this.#prepared === 0 ? 'makeRoot' : 'makeOwn')
        return
      }
      if (this.#inFlight.length >= this.#left) return
      const dice = below(this.#random, 10)
      this.#send(dice < 5 ? 'set' : dice < 7 ? 'append' : dice < 9 ? 'get' : 'sync')
      if (below(this.#random, 4) === 0) return
    }
  }

  #send(kind: Request['kind']): void {
    const number = kind === 'set' ? ++this.setsSent : kind === 'append' ? ++this.appendsSent : 0
    const request: Request = { kind, xid: ++this.#xid, number }
    this.#inFlight.push(request)
    this.#frame(this.#socket!, writer => this.#encode(writer, request))
  }

  #encode(writer: JuteWriter, { kind, xid, number }: Request): void {
    switch (kind) {
      case 'set':
        encodeRequestHeader(writer, { xid, type: operation.setData })
        writer.string(this.path)
        writer.buffer(Buffer.from(String(number)))
        writer.int(-1)
        return
      case 'get':
        encodeRequestHeader(writer, { xid, type: operation.getData })
        writer.string(this.path)
        writer.boolean(false)
        return
      case 'sync':
        encodeRequestHeader(writer, { xid, type: operation.sync })
        writer.string(this.path)
        return
      case 'append':
        return this.#encodeCreate(
          writer,
          xid,
          `${appendRoot}/${this.#setup.id}-`,
          createMode.persistentSequential,
        )
      case 'makeRoot':
        return this.#encodeCreate(writer, xid, appendRoot, createMode.persistent)
      case 'makeOwn':
        return this.#encodeCreate(writer, xid, this.path, createMode.persistent)
    }
  }

  #encodeCreate(writer: JuteWriter, xid: number, path: string, mode: number): void {
    encodeRequestHeader(writer, { xid, type: operation.create })
    writer.string(path)
    writer.buffer(Buffer.from('0'))
    encodeAcls(writer, everyone)
    writer.int(mode)
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
    if (xid === specialXid.ping) return
    const request = this.#inFlight.shift()
    if (request?.xid !== xid) {
      return this.#violate(`got the answer to ${xid}, but ${request?.xid ?? 'nothing'} was next`)
    }
    if (error === errorCode.sessionMoved || error === errorCode.sessionExpired) {
      if (request.kind === 'set') this.#unknownSets++
      this.#socket?.destroy()
      return
    }
    if (zxid < this.#lastZxid) this.#violate(`zxid went back from ${this.#lastZxid} to ${zxid}`)
    this.#lastZxid = Math.max(this.#lastZxid, zxid)
    this.acknowledged++
    if (request.kind !== 'makeRoot' && request.kind !== 'makeOwn') this.#left--
    this.#take(request, error)
  }

  #take(request: Request, error: number): void {
    const made = request.kind === 'makeRoot' || request.kind === 'makeOwn'
    if (made && (error === errorCode.ok || error === errorCode.nodeExists)) this.#prepared++
    else if (error !== errorCode.ok)
      this.#violate(`${request.kind} ${request.number} failed with ${error}`)
    else if (request.kind === 'set') this.#takeSet(request)
    else if (request.kind === 'get') this.#takeGet()
    else if (request.kind === 'append') this.#takeAppend()
  }

  /** The version counts the sets of this client: one that is lost or doubled shows. */
  #takeSet(request: Request): void {
    const { version } = decodeStat(this.#reader)
    const least = this.version + 1
    const most = least + this.#unknownSets
    if (version < least || version > most) {
      this.#violate(`set ${request.number} made version ${version}, due was ${least} to ${most}`)
    }
    this.#unknownSets = 0
    this.version = version
    this.lastSetAcknowledged = request.number
    this.#setup.note(`client ${this.#setup.id} set ${request.number} is version ${version}`)
  }

  #takeGet(): void {
    const data = Number(Buffer.from(this.#reader.buffer() ?? []).toString())
    const { version } = decodeStat(this.#reader)
    if (version < this.version || version > this.version + this.#unknownSets) {
      this.#violate(`read version ${version} after its own ${this.version}`)
    }
    if (data < this.lastSetAcknowledged || data > this.setsSent) {
      this.#violate(`read ${data} after its own ${this.lastSetAcknowledged}`)
    }
  }

  #takeAppend(): void {
    const path = this.#reader.string()
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

function sequenceOf(path: string): number {
  return Number(path.slice(-10))
}

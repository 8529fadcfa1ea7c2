/** Requests of one session keep their order: on the way to the state machine, and back to the client. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { entryHeaderBytes } from '../../../actors/consensus/entry.ts'
import { type ZookeeperMessage, zookeeperGateway } from '../../../actors/gateways/zookeeper.ts'
import { type StateMessage, stream } from '../../../actors/state/messages.ts'
import { replyStatus } from '../../../actors/state/zookeeper-commands.ts'
import { manualHost, type TestActor, testActor } from '../../../runtime/testkit.ts'
import { operation } from '../../../transport/zookeeper/operations.ts'
import {
  createRecord,
  multiRecord,
  pathRecord,
  setRecord,
  versionRecord,
  watchRecord,
  type Write,
} from '../state/zookeeper-scene.ts'
import { MemoryNetwork, type ZookeeperClient } from './zookeeper-client.ts'
import { gatewaySetup, startZookeeperNode } from './zookeeper-node.ts'

type Propose = Extract<StateMessage, { kind: 'propose' }>

class Door {
  readonly gateway: TestActor<ZookeeperMessage>
  readonly client: ZookeeperClient
  hasRoom = true

  constructor() {
    const network = new MemoryNetwork()
    const host = manualHost({ network })
    this.gateway = testActor(zookeeperGateway, gatewaySetup, {
      host,
      hasRoom: () => this.hasRoom,
    })
    this.gateway.round({ kind: 'leader', epoch: 1, leader: 1, self: true })
    this.gateway.round({ kind: 'logTime', time: 1_700_000_000_000 })
    this.client = network.client()
    this.client.connect()
    this.turn()
    this.#grant(this.told().find(({ kind }) => kind === 'propose') as Propose)
    this.client.takeResponse()
  }

  /** What its sockets woke it for. */
  turn(): void {
    this.gateway.round({ kind: 'input' })
  }

  told(): StateMessage[] {
    return this.gateway.takeTold<StateMessage>('state').filter(({ kind }) => kind !== 'roomLent')
  }

  #grant({ entries }: Propose): void {
    const view = new DataView(entries.buffer, entries.byteOffset, entries.byteLength)
    const connection = view.getUint32(entryHeaderBytes + 8)
    const body = Uint8Array.of(0, 0, 0x27, 0x10)
    const status = replyStatus.handshake
    const common = { stream: stream.zookeeper, connection, tag: 0, sequence: 1 }
    this.gateway.round({ kind: 'reply', ...common, status, body })
  }
}

describe('on the way to the state machine', () => {
  test('writes stay behind the reads that were sent before them', () => {
    const door = new Door()
    const { client } = door
    client.request(operation.getData, watchRecord('/'))
    client.request(operation.setWatches, writer => {
      writer.long(0)
      for (let list = 0; list < 3; list += 1) writer.int(0)
    })
    door.turn()
    client.request(operation.create, createRecord('/a'))
    door.turn()
    client.request(operation.getData, watchRecord('/a'))
    door.turn()
    const told = door.told()
    expect(told.map(({ kind }) => kind)).toEqual(['read', 'read', 'propose', 'read'])
    expect(told[3]).toMatchObject({ after: 2 })
    expect(door.gateway.takeTold('consensus')).toEqual([])
  })

  test('nothing is taken from clients while there is no room', () => {
    const door = new Door()
    door.hasRoom = false
    door.client.request(operation.getData, watchRecord('/'))
    door.turn()
    expect([door.told(), door.client.socket.isPaused]).toEqual([[], true])
    door.hasRoom = true
    door.gateway.advance(200)
    expect(door.told()).toMatchObject([{ kind: 'read' }])
    expect(door.client.socket.isPaused).toBe(false)
  })
})

const nothing: Write = () => {}
const half: Write = writer => writer.int(7)
const auth: Write = writer => {
  writer.int(0)
  writer.string('digest')
  writer.string('u:p')
}
/** One of each way in which a request is answered. */
const requests: readonly (readonly [string, number, Write])[] = [
  ['write', operation.create, createRecord('/a')],
  ['write that fails', operation.delete, versionRecord('/none')],
  ['write that does not decode', operation.setData, half],
  ['multi that fails', operation.multi, multiRecord([operation.check, versionRecord('/none')])],
  ['multi that does not decode', operation.multi, half],
  ['read with a watch', operation.getData, watchRecord('/', true)],
  ['read that fails', operation.exists, watchRecord('/none', true)],
  ['read that does not decode', operation.getChildren, half],
  ['write that is watched', operation.setData, setRecord('/', undefined)],
  ['sync', operation.sync, pathRecord('/')],
  ['ping', operation.ping, nothing],
  ['auth', operation.auth, auth],
  ['operation that comes later', operation.addWatch, versionRecord('/', 0)],
  ['later, without a body', operation.whoAmI, nothing],
]

const step = fc.oneof(
  { weight: 8, arbitrary: fc.record({ who: fc.nat(1), what: fc.nat(requests.length - 1) }) },
  { weight: 1, arbitrary: fc.constant('settle' as const) },
  { weight: 1, arbitrary: fc.constant('hold' as const) },
  { weight: 1, arbitrary: fc.constant('release' as const) },
)

describe('on the way back', () => {
  test('every pipeline is answered whole and in its order, whatever is in it', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80, size: 'max' }), steps => {
        const network = new MemoryNetwork()
        const host = manualHost({ network })
        const node = startZookeeperNode(host)
        host.runDeferred()
        const clients = [network.client(), network.client()]
        for (const client of clients) client.connect()
        host.runDeferred()
        for (const client of clients) client.takeResponse()
        const sent: number[][] = [[], []]
        for (const one of steps) {
          if (one === 'settle') host.runDeferred()
          else if (one === 'hold') node.held = true
          else if (one === 'release') node.release()
          else {
            const [, type, write] = requests[one.what]!
            const xid = clients[one.who]!.request(type, write)
            sent[one.who]!.push(type === operation.ping ? -2 : xid)
          }
        }
        host.runDeferred()
        node.release()
        host.runDeferred()
        const answered = clients.map(client =>
          client.takeAnswers().flatMap(({ xid }) => (xid === -1 ? [] : [xid])),
        )
        expect(answered).toEqual(sent)
        expect(clients.map(client => client.socket.isClosed)).toEqual([false, false])
      }),
      { seed: 20_261_123, numRuns: 150 },
    )
  })
})

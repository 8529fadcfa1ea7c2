/** What the gateway tells whom, and in which order, seen from outside: nothing is answered by itself. */
import { describe, expect, test } from 'vitest'
import { entryHeaderBytes } from '../../../actors/consensus/entry.ts'
import { type ZookeeperMessage, zookeeperGateway } from '../../../actors/gateways/zookeeper.ts'
import { type StateMessage, stream } from '../../../actors/state/messages.ts'
import { replyStatus } from '../../../actors/state/zookeeper-commands.ts'
import { manualHost, type TestActor, testActor } from '../../../runtime/testkit.ts'
import { operation } from '../../../transport/zookeeper/operations.ts'
import { createRecord, watchRecord } from '../state/zookeeper-scene.ts'
import { MemoryNetwork, type ZookeeperClient } from './zookeeper-client.ts'
import { gatewaySetup } from './zookeeper-node.ts'

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
    this.client = network.client()
    this.client.connect()
    this.turn()
    this.#grant(this.told()[0] as Propose)
    this.client.takeResponse()
  }

  /** What its sockets woke it for. */
  turn(): void {
    this.gateway.round({ kind: 'input' })
  }

  told(): StateMessage[] {
    return this.gateway.takeTold<StateMessage>('state')
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

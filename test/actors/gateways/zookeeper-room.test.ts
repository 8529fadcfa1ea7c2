/** What clients that take nothing may cost, and what they may not cost the others. */
import { describe, expect, test } from 'vitest'
import type { ZookeeperSetup } from '../../../actors/gateways/zookeeper.ts'
import { manualHost } from '../../../runtime/testkit.ts'
import { limits } from '../../../transport/zookeeper/limits.ts'
import { operation } from '../../../transport/zookeeper/operations.ts'
import {
  createRecord,
  pathRecord,
  setRecord,
  versionRecord,
  watchRecord,
} from '../state/zookeeper-scene.ts'
import { MemoryNetwork, type ZookeeperClient } from './zookeeper-client.ts'
import { startZookeeperNode } from './zookeeper-node.ts'

const mebibyte = 1 << 20
const bytesMax = 16 * mebibyte
/** Of it, what the state machine has been lent. */
const lentBytes = bytesMax / 8
const large = new Uint8Array(mebibyte - 1000).fill(7)

function scene(changed: Partial<ZookeeperSetup> = {}) {
  const network = new MemoryNetwork()
  const host = manualHost({ network })
  const node = startZookeeperNode(host, { answerBytesMax: bytesMax, ...changed })
  const settle = () => host.runDeferred()
  settle()
  const client = (address?: string): ZookeeperClient => {
    const made = network.client(address)
    made.connect({ timeoutMillis: 40_000 })
    settle()
    made.takeResponse()
    return made
  }
  const status = () => node.status(settle)
  const used = () => (status()['answerBytes'] ?? 0) - lentBytes
  const writer = client()
  writer.request(operation.create, createRecord('/large', 0, undefined, large))
  writer.request(operation.create, createRecord('/small', 0, undefined, new Uint8Array(10)))
  settle()
  writer.takeFrames()
  const read = (one: ZookeeperClient, path = '/large', count = 1) => {
    for (let index = 0; index < count; index += 1) {
      one.request(operation.getData, watchRecord(path))
    }
    settle()
  }
  /** As a client would that pings, and takes what it was sent in turns. */
  const advance = (millis: number) => {
    for (let passed = 0; passed < millis; passed += 1000) host.advance(1000)
  }
  return { network, node, settle, client, status, used, writer, read, advance }
}

/** Takes what there is until no more comes; returns the lengths of the frames. */
function takeAll(client: ZookeeperClient, settle: () => void): number[] {
  const lengths: number[] = []
  for (;;) {
    client.socket.take()
    settle()
    const frames = client.takeFrames()
    if (frames.length === 0) return lengths
    lengths.push(...frames.map(frame => frame.length))
    client.socket.isStuck = true
  }
}

describe('a client that takes nothing', () => {
  test('holds a few answers, however many it asks for, and gets all of them in the end', () => {
    const { settle, client, used, status, read } = scene()
    const one = client()
    one.socket.isStuck = true
    read(one, '/large', 1000)
    expect(used()).toBeLessThan(limits.connectionAnswerBytesMax + 2 * mebibyte)
    expect(status()['parkedReads']).toBeGreaterThan(900)
    const lengths = takeAll(one, settle)
    expect(lengths).toHaveLength(1000)
    expect(new Set(lengths)).toEqual(new Set([20 + 4 + large.length + 68]))
    settle()
    expect(status()).toMatchObject({ parkedReads: 0, answersWaiting: 0 })
    expect(used()).toBe(0)
  })

  test('many of them stay within the memory of the port, and others are answered at once', () => {
    const { client, used, writer, read } = scene()
    const stuck = Array.from({ length: 40 }, () => client())
    for (const one of stuck) {
      one.socket.isStuck = true
      read(one, '/large', 100)
      read(one, '/small', 100)
    }
    expect(used()).toBeLessThan(bytesMax)
    read(writer, '/small', 200)
    expect(writer.takeAnswers()).toHaveLength(200)
  })

  test('that goes away gives its memory back, and what it asked for is not made', () => {
    const { client, used, status, read, settle } = scene()
    const stuck = Array.from({ length: 10 }, () => client())
    for (const one of stuck) {
      one.socket.isStuck = true
      read(one, '/large', 1000)
    }
    expect(status()['parkedReads']).toBeGreaterThan(2000)
    for (const one of stuck) one.socket.leave()
    settle()
    expect(status()).toMatchObject({ parkedReads: 0, answersWaiting: 0, connections: 1 })
    expect(used()).toBe(0)
  })

  test('is counted with what its small answers pin', () => {
    const { client, used, read } = scene()
    const one = client()
    one.socket.isStuck = true
    read(one, '/small')
    for (let index = 0; index < 100; index += 1) read(one, '/small')
    expect(used()).toBeGreaterThan(100 * (20 + 4 + 10 + 68))
    expect(used()).toBeLessThan(100 * (20 + 4 + 10 + 68) + 24 * 1024)
  })

  test('is dropped when others wait for its memory, and they are answered', () => {
    const { client, read, status, writer, settle, advance } = scene()
    const stuck = Array.from({ length: 25 }, () => client())
    for (const one of stuck) {
      one.socket.isStuck = true
      read(one, '/large', 100)
    }
    read(writer, '/large', 3)
    expect(status()['answersWaiting']).toBeGreaterThan(0)
    expect(writer.takeAnswers()).toEqual([])
    for (let second = 0; second < 30; second += 1) {
      writer.request(operation.ping, () => {}, -2)
      advance(1000)
      settle()
    }
    expect(writer.takeAnswers().filter(({ xid }) => xid > 0)).toHaveLength(3)
    expect(stuck.some(one => one.socket.isClosed)).toBe(true)
  })

  test('is dropped after two minutes in any case; one that takes a little is not', () => {
    const { client, read, advance, settle } = scene()
    const [stuck, slow] = [client(), client()]
    for (const one of [stuck, slow]) {
      one.socket.isStuck = true
      read(one, '/large', 10)
    }
    for (let minute = 0; minute < 3; minute += 1) {
      for (let part = 0; part < 3; part += 1) {
        for (const one of [stuck, slow]) one.request(operation.ping, () => {}, -2)
        advance(19_000)
      }
      slow.socket.take()
      slow.socket.isStuck = true
      settle()
    }
    expect([stuck.socket.isClosed, slow.socket.isClosed]).toEqual([true, false])
  })

  test('loses its connection once too many watch events wait for it', () => {
    const { client, settle, used, writer } = scene()
    const one = client()
    const paths = Array.from({ length: 100 }, (_, index) => `/${'x'.repeat(60_000)}${index}`)
    for (const path of paths) one.request(operation.exists, watchRecord(path, true))
    settle()
    one.takeFrames()
    one.socket.isStuck = true
    for (const path of paths) {
      writer.request(operation.create, createRecord(path))
      settle()
    }
    expect(one.socket.isClosed).toBe(true)
    expect(used()).toBeLessThan(limits.untakenEventBytesMax + mebibyte)
  })

  test('does not keep its socket when its session has ended', () => {
    const { client, read, advance, settle, network } = scene()
    const one = client()
    one.socket.isStuck = true
    one.socket.lingers = true
    read(one, '/small')
    one.request(operation.closeSession, () => {})
    settle()
    expect(one.socket.isClosed).toBe(false)
    advance(limits.closingMillisMax + 1000)
    expect(one.socket.isClosed).toBe(true)
    expect(network.isListening).toBe(true)
  })
})

describe('order where answers wait for room', () => {
  test('writes behind a long answer are answered behind it, and never seen in it', () => {
    const { settle, client, node } = scene()
    const one = client()
    node.held = true
    const xids: number[] = []
    for (let index = 0; index < 3; index += 1) {
      xids.push(one.request(operation.getData, watchRecord('/large')))
      xids.push(one.request(operation.setData, setRecord('/large', large.subarray(index + 1))))
    }
    settle()
    node.release()
    settle()
    const answers = one.takeAnswers()
    expect(answers.map(({ xid }) => xid)).toEqual(xids)
    const lengths = answers.flatMap(({ body }, index) => (index % 2 === 0 ? [body.int()] : []))
    expect(lengths).toEqual([large.length, large.length - 1, large.length - 2])
    const zxids = answers.map(({ zxid }) => zxid)
    expect(zxids).toEqual([...zxids].sort((a, b) => a - b))
  })

  test('what cannot be kept in order any more ends the connection', () => {
    const { settle, client, node, used } = scene()
    const one = client()
    one.socket.isStuck = true
    node.held = true
    for (let index = 0; index < 50; index += 1) {
      one.request(operation.getData, watchRecord('/large'))
      one.request(operation.setData, setRecord('/small', undefined))
    }
    settle()
    node.release()
    settle()
    expect(one.socket.isClosed).toBe(true)
    expect(used()).toBe(0)
  })
})

test('one that sends very much at once leaves others their turn', () => {
  const { settle, client, node } = scene()
  const [greedy, modest] = [client(), client()]
  const before = node.reads.length
  for (let index = 0; index < 900; index += 1) {
    greedy.request(operation.exists, watchRecord('/small'))
  }
  modest.request(operation.exists, watchRecord('/large'))
  settle()
  const order = node.reads.slice(before)
  const [first, second] = [...new Set(order)]
  expect(order.indexOf(second ?? 0)).toBe(limits.requestsPerTurnMax)
  expect(order.filter(one => one === first)).toHaveLength(900)
  expect(greedy.takeAnswers()).toHaveLength(900)
  expect(modest.takeAnswers()).toHaveLength(1)
  expect(greedy.socket.isPaused).toBe(false)
})

test('where many ask for very much, who asks for little waits for short turns of the others', () => {
  const { settle, client, node } = scene()
  const greedy = Array.from({ length: 60 }, () => client())
  const modest = client()
  const before = node.reads.length
  for (const one of greedy) {
    for (let at = 0; at < 400; at += 1) one.request(operation.exists, watchRecord('/small'))
  }
  modest.request(operation.exists, watchRecord('/large'))
  settle()
  const order = node.reads.slice(before)
  const own = order.findIndex(number => order.indexOf(number) === order.lastIndexOf(number))
  expect(own).toBeGreaterThan(0)
  // All that are outstanding, and a turn of each.
  expect(own).toBeLessThanOrEqual(4_096 + 60 * 64)
  expect(modest.takeAnswers()).toHaveLength(1)
  for (const one of greedy) expect(one.takeAnswers()).toHaveLength(400)
})

describe('requests that never become whole', () => {
  const most = Buffer.concat([Buffer.from([0, 15, 66, 64]), Buffer.alloc(900_000)])

  test('take so much memory and no more, and others are served', () => {
    const { settle, client, status, writer, read, advance } = scene()
    const holders = Array.from({ length: 150 }, () => client())
    for (const one of holders) {
      for (let at = 0; at < most.length && !one.socket.isPaused; at += 65_536) {
        one.send(Uint8Array.from(most.subarray(at, at + 65_536)))
        settle()
      }
    }
    expect(status()['inputBytes']).toBeLessThan(limits.inputBytesMax + 150 * 4 * 65_536)
    read(writer, '/small', 3)
    writer.request(operation.setData, setRecord('/small', large.subarray(0, 50_000)))
    settle()
    expect(writer.takeAnswers()).toHaveLength(4)
    advance(11_000)
    expect(status()['inputBytes']).toBeLessThan(limits.inputBytesMax)
    expect(holders.some(one => one.socket.isClosed)).toBe(true)
    const last = holders.at(-1)
    expect([last?.socket.isClosed, last?.socket.isPaused]).toEqual([false, false])
  })

  test('a connection that goes takes its part with it', () => {
    const { settle, client, status } = scene()
    const one = client()
    one.send(Uint8Array.from(most))
    settle()
    expect(status()['inputBytes']).toBe(most.length)
    one.socket.leave()
    settle()
    expect(status()['inputBytes']).toBe(0)
  })
})

describe('who is let in', () => {
  test('so many connections from one address, and others still', () => {
    const { network, client } = scene({ connectionsPerAddressMax: 3 })
    const own = [client(), client()]
    expect(network.client().socket.isClosed).toBe(true)
    expect(client('10.0.0.1').socket.isClosed).toBe(false)
    own[0]?.socket.leave()
    expect(client().socket.isClosed).toBe(false)
    expect(network.client().socket.isClosed).toBe(true)
  })
})

describe('a door that is full of writes', () => {
  test('lets sessions begin, live and end, and takes deletes', () => {
    const { settle, client, node, writer } = scene({ proposalsMax: 160 })
    const [pinging, closing, deleting] = [client(), client(), client()]
    node.held = true
    for (let index = 0; index < 40; index += 1) {
      writer.request(operation.create, createRecord(`/n${index}`))
    }
    settle()
    const created = client.bind(undefined)
    pinging.request(operation.ping, () => {}, -2)
    settle()
    expect(pinging.takeAnswers()).toMatchObject([{ xid: -2 }])
    // Nor does a read wait for the log.
    pinging.request(operation.exists, watchRecord('/small'))
    settle()
    expect(pinging.takeAnswers()).toMatchObject([{ error: 0 }])
    const waiting = node.status(settle)['proposalsWaiting'] ?? 0
    expect(waiting).toBe(32)
    deleting.request(operation.delete, versionRecord('/small'))
    closing.request(operation.closeSession, () => {})
    settle()
    expect(node.status(settle)['proposalsWaiting']).toBe(34)
    expect(() => created()).toThrow('not exactly one response')
    expect(node.status(settle)['proposalsWaiting']).toBe(35)
    node.release()
    settle()
    expect(deleting.takeAnswers()).toMatchObject([{ error: 0 }])
    expect(closing.socket.isClosed).toBe(true)
    expect(writer.takeAnswers()).toHaveLength(40)
  })

  test('serves those who wait in turns', () => {
    const { settle, client, node } = scene({ proposalsMax: 100 })
    const [greedy, modest] = [client(), client()]
    node.held = true
    for (let index = 0; index < 400; index += 1) {
      greedy.request(operation.create, createRecord(`/g${index}`))
    }
    settle()
    modest.request(operation.create, createRecord('/m'))
    settle()
    for (let turn = 0; turn < 3; turn += 1) {
      node.release()
      node.held = true
      settle()
    }
    expect(modest.takeAnswers()).toMatchObject([{ error: 0 }])
    expect(greedy.takeAnswers().length).toBeLessThan(200)
    node.release()
    settle()
  })
})

test('a sync is answered in its place with a long path', () => {
  const { settle, client, used } = scene()
  const one = client()
  const path = `/${'x'.repeat(500_000)}`
  one.request(operation.sync, pathRecord(path))
  settle()
  expect(one.takeAnswers()).toMatchObject([{ error: 0 }])
  expect(used()).toBe(0)
})

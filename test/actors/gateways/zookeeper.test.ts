import fc from 'fast-check'
import { describe, expect, test, vi } from 'vitest'
import type { ZookeeperSetup } from '../../../actors/gateways/zookeeper.ts'
import { manualHost } from '../../../runtime/testkit.ts'
import { errorCode } from '../../../transport/zookeeper/errors.ts'
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

function scene(changed: Partial<ZookeeperSetup> = {}) {
  const network = new MemoryNetwork()
  const host = manualHost({ network })
  const node = startZookeeperNode(host, changed)
  const settle = () => host.runDeferred()
  settle()
  /** A client with a session. */
  const client = (timeoutMillis = 10_000): ZookeeperClient & { session: bigint } => {
    const made = network.client()
    made.connect({ timeoutMillis })
    settle()
    return Object.assign(made, { session: made.takeResponse().session })
  }
  const advance = (millis: number) => host.advance(millis)
  return { network, host, node, settle, client, advance }
}

const errors = (client: ZookeeperClient) =>
  client.takeAnswers().map(({ xid, error }) => [xid, error])

describe('handshake', () => {
  test.each([
    [1, 4_000],
    [10_000, 10_000],
    [1_000_000, 40_000],
    [-5, 4_000],
  ])('a wish for %i ms is granted as %i', (wanted, granted) => {
    const { network, settle } = scene()
    const client = network.client()
    client.connect({ timeoutMillis: wanted })
    settle()
    const response = client.takeResponse()
    expect([response.timeoutMillis, response.frameBytes]).toEqual([granted, 41])
    expect(response.session).toBeGreaterThan(0n)
    expect(response.password).toHaveLength(16)
    expect(response.password).not.toEqual(new Uint8Array(16))
  })

  test('an old client gets a response without the readOnly byte', () => {
    const { network, settle } = scene()
    const client = network.client()
    client.connect({ hasReadOnly: false })
    settle()
    expect(client.takeResponse().frameBytes).toBe(40)
  })

  test('is answered when the session is committed, and requests behind it wait so long', () => {
    const { network, node, settle } = scene()
    node.held = true
    const client = network.client()
    client.connect()
    client.request(operation.exists, watchRecord('/'))
    settle()
    expect([client.socket.writes.length, client.socket.isPaused]).toEqual([0, true])
    node.release()
    settle()
    expect(client.takeFrames()).toHaveLength(2)
    expect(client.socket.isPaused).toBe(false)
  })

  test('coming back gives the same session and password, its time-out anew, and closes the old connection', () => {
    const { network, settle } = scene()
    const old = network.client()
    old.connect({ timeoutMillis: 5_000 })
    settle()
    const first = old.takeResponse()
    const again = network.client()
    again.connect({ session: first.session, password: first.password, timeoutMillis: 30_000 })
    settle()
    expect(again.takeResponse()).toEqual({ ...first, timeoutMillis: 30_000 })
    expect([old.socket.isClosed, again.socket.isClosed]).toEqual([true, false])
    again.request(operation.create, createRecord('/a'))
    settle()
    expect(errors(again)).toEqual([[1, 0]])
  })

  test('a write on the way when the session leaves its connection is not applied', () => {
    const { network, node, settle } = scene()
    const old = network.client()
    old.connect()
    settle()
    const { session, password } = old.takeResponse()
    node.held = true
    const again = network.client()
    again.connect({ session, password })
    settle()
    old.request(operation.create, createRecord('/late'))
    settle()
    node.release()
    settle()
    expect(node.world.tree.find('/late')).toBe(0)
    expect([old.socket.isClosed, old.takeFrames()]).toEqual([true, []])
  })

  test.each([
    ['a wrong password', new Uint8Array(16)],
    ['a short password', new Uint8Array(3)],
  ])(
    '%s is answered as expired, the connection closed, and the session kept',
    (_name, password) => {
      const { network, settle, client } = scene()
      const owner = client()
      const thief = network.client()
      thief.connect({ session: owner.session, password })
      settle()
      const expired = {
        timeoutMillis: 0,
        session: 0n,
        password: new Uint8Array(16),
        frameBytes: 41,
      }
      expect(thief.takeResponse()).toEqual(expired)
      expect([thief.socket.isClosed, owner.socket.isClosed]).toEqual([true, false])
    },
  )

  test('a client that has seen a later zxid is closed without an answer', () => {
    const { network, settle } = scene()
    const client = network.client()
    client.connect({ lastZxidSeen: 2 ** 40 })
    settle()
    expect([client.socket.isClosed, client.takeFrames()]).toEqual([true, []])
  })
})

describe('order', () => {
  test('all requests of one batch are answered in their order, in one write', () => {
    const { settle, client } = scene()
    const one = client()
    one.request(operation.create, createRecord('/a'))
    one.request(operation.getData, watchRecord('/a'))
    one.request(operation.ping, () => {}, -2)
    one.request(operation.sync, pathRecord('/a'))
    one.request(operation.setData, setRecord('/a', new Uint8Array(3)))
    one.request(operation.exists, watchRecord('/a'))
    one.request(operation.getData, writer => writer.int(77))
    one.request(operation.delete, versionRecord('/a'))
    settle()
    expect(errors(one)).toEqual([
      [1, 0],
      [2, 0],
      [-2, 0],
      [3, 0],
      [4, 0],
      [5, 0],
      [6, errorCode.marshallingError],
      [7, 0],
    ])
  })

  test('one write a connection a round', () => {
    const { settle, client } = scene()
    const one = client()
    for (let index = 0; index < 50; index += 1) {
      one.request(operation.create, createRecord(`/n${index}`))
    }
    settle()
    expect(one.socket.writes).toHaveLength(1)
    expect(one.takeAnswers()).toHaveLength(50)
  })

  test('a read behind the session’s own write waits for it, other sessions pass', () => {
    const { node, settle, client } = scene()
    const [writer, reader] = [client(), client()]
    node.held = true
    writer.request(operation.create, createRecord('/a'))
    writer.request(operation.exists, watchRecord('/a'))
    writer.request(operation.ping, () => {}, -2)
    reader.request(operation.exists, watchRecord('/a'))
    settle()
    expect(errors(writer)).toEqual([])
    expect(errors(reader)).toEqual([[1, errorCode.noNode]])
    node.release()
    settle()
    expect(errors(writer)).toEqual([
      [1, 0],
      [2, 0],
      [-2, 0],
    ])
  })

  test('answers that arrive too early wait for their turn', () => {
    const { node, settle, client } = scene()
    const one = client()
    node.held = true
    one.request(operation.create, createRecord('/a'))
    one.request(operation.create, createRecord('/b'))
    settle()
    const { connection } = node.world.lifetimes.session(one.session)!
    const reply = (sequence: number, mark: number) =>
      node.system.find({ name: 'zookeeper' }).tell({
        kind: 'reply',
        stream: 1,
        connection,
        tag: 0,
        sequence,
        status: 0,
        body: Buffer.from(`00000010${'0'.repeat(24)}000000${mark}`, 'hex'),
      } as never)
    reply(3, 11)
    settle()
    expect(one.takeFrames()).toEqual([])
    reply(2, 22)
    settle()
    expect(one.takeAnswers().map(({ error }) => error)).toEqual([0x22, 0x11])
  })

  test('an event comes before the answer that shows its change, for the writer too', () => {
    const { settle, client } = scene()
    const one = client()
    one.request(operation.exists, watchRecord('/a', true))
    one.request(operation.create, createRecord('/a'))
    settle()
    const answers = one.takeAnswers()
    expect(answers.map(({ xid }) => xid)).toEqual([1, -1, 2])
    expect(answers[1]!.zxid).toBe(answers[2]!.zxid)
  })

  test('sync holds what is behind it until a quorum has answered', () => {
    const { node, host, settle, client } = scene()
    const one = client()
    node.mute = true
    one.request(operation.sync, pathRecord('/'))
    one.request(operation.create, createRecord('/a'))
    settle()
    expect([one.takeFrames(), node.world.tree.find('/a')]).toEqual([[], 0])
    node.mute = false
    host.advance(1_200) // it is asked again
    expect(errors(one)).toEqual([
      [1, 0],
      [2, 0],
    ])
  })
})

describe('bad input', () => {
  const closing: [string, string][] = [
    ['a negative length', 'ffffffff'],
    ['a length beyond the limit', '00100000'],
    ['an empty frame', '00000000'],
    ['less than a header', '00000007' + '00000001000000'],
    ['an auth packet that is none', '0000000a' + 'fffffffc' + '00000064' + '0000'],
    ['a word in letters after the handshake', '72756f6b'],
  ]
  test.each(closing)('%s closes the connection without an answer', (_name, hex) => {
    const { settle, client } = scene()
    const one = client()
    one.send(Buffer.from(hex, 'hex'))
    settle()
    expect([one.socket.isClosed, one.takeFrames()]).toEqual([true, []])
  })

  test.each([
    ['half a connect request', '0000000400000000'],
    ['an unknown word', '61626364'],
    ['a negative length', '80000000'],
  ])('%s first closes the connection without an answer', (_name, hex) => {
    const { network, settle } = scene()
    const client = network.client()
    client.send(Buffer.from(hex, 'hex'))
    settle()
    expect([client.socket.isClosed, client.takeText()]).toEqual([true, ''])
  })

  test.each([
    ['an unknown operation', 77],
    ['check outside a multi', operation.check],
    ['operation 0', 0],
    ['createSession', operation.createSession],
  ])('%s is unimplemented, and the connection closed', (_name, type) => {
    const { settle, client } = scene()
    const one = client()
    one.request(operation.create, createRecord('/a'))
    one.request(type, () => {})
    one.request(operation.exists, watchRecord('/'))
    settle()
    expect(errors(one)).toEqual([
      [1, 0],
      [2, errorCode.unimplemented],
    ])
    expect(one.socket.isClosed).toBe(true)
  })

  test.each([operation.addWatch, operation.createContainer, operation.whoAmI, operation.reconfig])(
    'operation %i comes later: unimplemented, and the connection stays',
    type => {
      const { settle, client } = scene()
      const one = client()
      one.request(type, () => {})
      one.request(operation.exists, watchRecord('/'))
      settle()
      expect(errors(one)).toEqual([
        [1, errorCode.unimplemented],
        [2, 0],
      ])
    },
  )

  test('a body that does not decode is a marshalling error, and the connection stays', () => {
    const { node, settle, client } = scene()
    const one = client()
    const before = node.world.numbers.zxid
    for (const type of [
      operation.create,
      operation.multi,
      operation.getData,
      operation.setWatches,
    ]) {
      one.request(type, writer => writer.int(0x7fff))
    }
    settle()
    expect(one.takeAnswers().map(({ error }) => error)).toEqual([-5, -5, -5, -5])
    expect([one.socket.isClosed, node.world.numbers.zxid]).toEqual([false, before])
  })

  test('any bytes leave the gateway and the other sessions well', () => {
    const { network, settle, client } = scene()
    const witness = client()
    const bytes = fc.uint8Array({ maxLength: 120 })
    const chunk = fc.oneof(
      bytes,
      bytes.map(body => Buffer.concat([Buffer.from([0, 0, 0, body.length]), body])),
      fc.record({ type: fc.integer({ min: -15, max: 110 }), body: bytes }).map(({ type, body }) => {
        const header = Buffer.alloc(12)
        header.writeInt32BE(8 + body.length)
        header.writeInt32BE(type, 8)
        return Buffer.concat([header, body])
      }),
    )
    fc.assert(
      fc.property(fc.array(chunk, { maxLength: 6 }), fc.boolean(), (chunks, established) => {
        const one = network.client()
        if (established) one.connect()
        for (const part of chunks) if (!one.socket.isClosed) one.send(part)
        settle()
        if (!one.socket.isClosed) one.socket.leave()
        witness.request(operation.exists, watchRecord('/'))
        settle()
        expect(witness.takeAnswers()).toMatchObject([{ error: 0 }])
      }),
      { numRuns: 300 },
    )
  })
})

describe('auth', () => {
  const auth =
    (scheme: string, secret: string) => (writer: Parameters<ReturnType<typeof pathRecord>>[0]) => {
      writer.int(0)
      writer.string(scheme)
      writer.buffer(Buffer.from(secret))
    }
  const mine = [{ perms: 31, scheme: 'auth', id: '' }]

  test('digest makes the connection who it says, from then on', () => {
    const { settle, client } = scene()
    const [one, other] = [client(), client()]
    one.request(operation.create, createRecord('/mine', 0, mine))
    one.request(operation.auth, auth('digest', 'u:p'), -4)
    one.request(operation.create, createRecord('/mine', 0, mine))
    settle()
    const answers = one.takeAnswers()
    expect(answers.map(({ error }) => error)).toEqual([errorCode.invalidAcl, 0, 0])
    expect([answers[1]!.xid, answers[1]!.zxid]).toEqual([-4, 0])
    other.request(operation.getData, watchRecord('/mine'))
    other.request(operation.auth, auth('digest', 'super:test'), 77)
    other.request(operation.getData, watchRecord('/mine'))
    settle()
    expect(other.takeAnswers().map(({ xid, error }) => [xid, error])).toEqual([
      [1, errorCode.noAuth],
      [77, 0],
      [2, 0],
    ])
  })

  test.each(['world', 'foo', 'super'])(
    'scheme %s is refused, and the connection closed',
    scheme => {
      const { settle, client } = scene()
      const one = client()
      one.request(operation.auth, auth(scheme, 'a:b'), -4)
      settle()
      expect(errors(one)).toEqual([[-4, errorCode.authFailed]])
      expect(one.socket.isClosed).toBe(true)
    },
  )
})

describe('ends', () => {
  test('closeSession is answered, then the connection is closed and its watches go', () => {
    const { node, settle, client } = scene()
    const one = client()
    one.request(operation.create, createRecord('/e', 1))
    one.request(operation.exists, watchRecord('/w', true))
    one.request(operation.closeSession, () => {})
    one.request(operation.create, createRecord('/ignored'))
    settle()
    expect(errors(one)).toEqual([
      [1, 0],
      [2, errorCode.noNode],
      [3, 0],
    ])
    const { tree } = node.world
    expect([one.socket.isClosed, tree.find('/e'), tree.find('/ignored')]).toEqual([true, 0, 0])
    expect(node.watches.connectionCount).toBe(0)
  })

  test('an expired session loses its connection', () => {
    const { node, settle, client } = scene()
    const one = client()
    node.expire(one.session)
    settle()
    expect(one.socket.isClosed).toBe(true)
  })

  test('a client that goes away while its read waits leaves no watch behind', () => {
    const { node, settle, client } = scene()
    const one = client()
    node.held = true
    one.request(operation.create, createRecord('/a'))
    one.request(operation.exists, watchRecord('/w', true))
    settle()
    one.socket.leave()
    settle()
    node.release()
    settle()
    expect(node.world.tree.find('/a')).not.toBe(0)
    expect([node.watches.count, node.watches.connectionCount]).toEqual([0, 0])
  })

  test('a checkpoint of a peer closes all connections: some wait for answers, and no watch knows what changed in it', () => {
    const { node, settle, client } = scene()
    const [waiting, idle, leaving] = [client(), client(), client()]
    idle.request(operation.exists, watchRecord('/w', true))
    settle()
    node.held = true
    waiting.request(operation.create, createRecord('/a'))
    leaving.request(operation.create, createRecord('/b'))
    leaving.request(operation.closeSession, () => {})
    settle()
    node.system
      .find({ name: 'zookeeper' })
      .tell({ kind: 'unanswered', stream: 1, through: 4 } as never)
    settle()
    const all = [waiting, idle, leaving]
    expect(all.map(({ socket }) => socket.isClosed)).toEqual([true, true, true])
    expect(node.watches.count).toBe(0)
  })

  test.each([
    ['that wait behind them', []],
    ['and writes that come after them', ['/b', '/c']],
  ])('commands that a checkpoint contained leave no watches of reads %s', (_name, later) => {
    const { node, settle, client } = scene()
    const waiting = client()
    node.held = true
    waiting.request(operation.create, createRecord('/a'))
    waiting.request(operation.exists, watchRecord('/w', true))
    for (const path of later) {
      waiting.request(operation.create, createRecord(path))
      waiting.request(operation.getChildren, watchRecord('/', true))
    }
    settle()
    node.cover(2)
    settle()
    expect(waiting.socket.isClosed).toBe(true)
    node.release()
    settle()
    expect(node.world.tree.nodeCount).toBe(4 + later.length)
    expect([node.watches.count, node.watches.connectionCount]).toEqual([0, 0])
  })

  test('stopping closes the port and all connections', () => {
    const { network, node, settle, client } = scene()
    const one = client()
    node.stop()
    settle()
    expect([network.isListening, one.socket.isClosed]).toEqual([false, true])
  })

  test('a port that is taken fails the node', () => {
    expect(() => scene({ listen: { host: '127.0.0.1', port: 1 } })).toThrow(
      'cannot listen for ZooKeeper clients on 127.0.0.1:1: in use',
    )
  })
})

describe('time', () => {
  test('a connection without a connect request is dropped after 10 s', () => {
    const { network, advance } = scene()
    const client = network.client()
    advance(9_900)
    expect(client.socket.isClosed).toBe(false)
    advance(300)
    expect(client.socket.isClosed).toBe(true)
  })

  test('a silent one after its session time-out, one that pings never', () => {
    const { settle, client, advance } = scene()
    const [silent, alive] = [client(4_000), client(4_000)]
    for (let elapsed = 0; elapsed < 8_000; elapsed += 1_000) {
      alive.request(operation.ping, () => {}, -2)
      advance(1_000)
      if (elapsed === 2_000) expect(silent.socket.isClosed).toBe(false)
    }
    settle()
    expect([silent.socket.isClosed, alive.socket.isClosed]).toEqual([true, false])
  })

  test('one that we do not listen to is not silent', () => {
    const { node, settle, client, advance } = scene()
    const one = client(4_000)
    node.mute = true
    one.request(operation.sync, pathRecord('/'))
    one.request(operation.exists, watchRecord('/'))
    settle()
    for (let elapsed = 0; elapsed < 8_000; elapsed += 100) advance(100)
    expect(one.socket.isClosed).toBe(false)
    expect(node.touches.filter(id => id === one.session).length).toBeGreaterThan(10)
  })

  test('one that does not take its answers is silent, however much waits for it', () => {
    const { node, settle, client, advance } = scene()
    const frozen = client(4_000)
    frozen.socket.bufferedBytes = 5 << 20
    frozen.request(operation.exists, watchRecord('/'))
    settle()
    node.touches.length = 0
    for (let elapsed = 0; elapsed < 5_000; elapsed += 100) advance(100)
    expect(frozen.socket.isClosed).toBe(true)
    expect(node.touches.filter(id => id === frozen.session).length).toBeLessThan(2)
  })

  test('one that takes its answers slowly is there', () => {
    const { settle, client, advance } = scene()
    const slow = client(4_000)
    slow.socket.bufferedBytes = 50 << 20
    slow.request(operation.exists, watchRecord('/'))
    settle()
    for (let elapsed = 0; elapsed < 20_000; elapsed += 100) {
      advance(100)
      slow.socket.bufferedBytes -= 100_000
    }
    expect(slow.socket.isClosed).toBe(false)
  })

  test('one that we do not listen to for a minute is silent all the same', () => {
    const { node, settle, client, advance } = scene()
    const one = client(4_000)
    node.mute = true
    one.request(operation.sync, pathRecord('/'))
    one.request(operation.exists, watchRecord('/'))
    settle()
    for (let elapsed = 0; elapsed < 70_000; elapsed += 100) advance(100)
    expect(one.socket.isClosed).toBe(true)
  })

  test('sessions that were heard of are told together, each once', () => {
    const { node, client, advance } = scene()
    const [one, two] = [client(), client()]
    advance(200)
    node.touches.length = 0
    for (let index = 0; index < 10; index += 1) one.request(operation.ping, () => {}, -2)
    two.request(operation.ping, () => {}, -2)
    advance(200)
    expect(node.touches).toEqual([one.session, two.session])
  })
})

describe('room', () => {
  test('beyond the window of proposals nothing is read, and all is answered in the end', () => {
    const { node, settle, client } = scene({ proposalsMax: 10 })
    const one = client()
    node.held = true
    for (let index = 0; index < 100; index += 1) {
      one.request(operation.create, createRecord(`/n${index}`))
    }
    settle()
    expect(one.socket.isPaused).toBe(true)
    node.release()
    settle()
    expect(one.takeAnswers().map(({ error }) => error)).toEqual(new Array(100).fill(0))
    expect(one.socket.isPaused).toBe(false)
  })

  test('a client that does not take its answers is not read from', () => {
    const { settle, client } = scene()
    const one = client()
    one.socket.isStuck = true
    const paths = Array.from({ length: 10_000 }, () => '/')
    for (const path of paths) one.request(operation.getAcl, pathRecord(path))
    settle()
    const before = one.takeFrames().length
    for (const path of paths) one.request(operation.sync, pathRecord(path.repeat(900)))
    settle()
    expect(one.socket.isPaused).toBe(true)
    one.socket.take()
    settle()
    expect(one.socket.isPaused).toBe(false)
    expect(before + one.takeFrames().length).toBe(20_000)
  })

  test('connections beyond the limit are closed', () => {
    const { network, client } = scene({ connectionsMax: 1 })
    const one = client()
    expect([network.client().socket.isClosed, one.socket.isClosed]).toEqual([true, false])
  })
})

describe('without a leader', () => {
  test('writes wait and are sent again, once', () => {
    const { node, settle, client } = scene()
    const one = client()
    const leader = (number: number) =>
      node.system
        .find({ name: 'zookeeper' })
        .tell({ kind: 'leader', epoch: 2, leader: number, self: false } as never)
    leader(0)
    settle()
    one.request(operation.create, createRecord('/s-', 2))
    settle()
    expect(one.takeFrames()).toEqual([])
    node.held = true
    leader(2)
    settle()
    leader(3) // proposed again before the first try was seen
    settle()
    node.release()
    settle()
    expect(one.takeAnswers()).toMatchObject([{ error: 0 }])
    expect(node.world.tree.childCount(node.world.tree.root)).toBe(2)
  })
})

describe('cut off from the leader', () => {
  const pinging = (one: ZookeeperClient, advance: (millis: number) => void, millis: number) => {
    for (let elapsed = 0; elapsed < millis; elapsed += 100) {
      if (one.socket.isClosed) return elapsed
      if (elapsed % 1_000 === 0) one.request(operation.ping, () => {}, -2)
      advance(100)
    }
    return millis
  }

  test('a connection ends before the session can have ended elsewhere, though its client is heard', () => {
    const { node, client, advance } = scene()
    const one = client(10_000)
    pinging(one, advance, 5_000)
    node.cutOff = true
    const livedMillis = pinging(one, advance, 20_000)
    expect(livedMillis).toBeLessThan(10_000)
    expect(livedMillis).toBeGreaterThan(8_000)
  })

  test('a short cut closes nothing', () => {
    const { node, client, advance } = scene()
    const one = client(10_000)
    for (let count = 0; count < 5; count += 1) {
      node.cutOff = true
      pinging(one, advance, 4_000)
      node.cutOff = false
      pinging(one, advance, 1_500)
    }
    expect(one.socket.isClosed).toBe(false)
  })

  test('nothing is read any more once that time is over, whatever had waited', () => {
    const { host, node, settle, client } = scene()
    const one = client(4_000)
    node.cutOff = true
    const nowMillis = host.clock.monotonicMillis() + 60_000
    vi.spyOn(host.clock, 'monotonicMillis').mockReturnValue(nowMillis)
    one.request(operation.exists, watchRecord('/'))
    settle()
    expect(one.takeFrames()).toEqual([])
    expect(one.socket.isClosed).toBe(true)
  })

  test('nor does a connection outlive its session whose end was asked for and never came', () => {
    const { node, client, advance } = scene()
    const one = client(4_000)
    node.held = true
    node.cutOff = true
    one.request(operation.closeSession, () => {})
    advance(100)
    expect(one.socket.isClosed).toBe(false)
    for (let elapsed = 0; elapsed < 4_000; elapsed += 100) advance(100)
    expect(one.takeFrames()).toEqual([])
    expect(one.socket.isClosed).toBe(true)
  })

  test('who comes is refused after an election’s time, and so is who waits for a session', () => {
    const { network, node, settle, advance } = scene()
    node.held = true
    node.cutOff = true
    const waiting = network.client()
    waiting.connect()
    settle()
    for (let elapsed = 0; elapsed < 2_900; elapsed += 100) advance(100)
    expect(waiting.socket.isClosed).toBe(false)
    advance(300)
    expect(waiting.socket.isClosed).toBe(true)
    const late = network.client()
    late.connect()
    settle()
    expect(late.socket.isClosed).toBe(true)
    expect(node.status(settle)).toMatchObject({ refusal: expect.stringMatching(/no new clients/) })
    node.held = false
    node.cutOff = false
    node.confirm()
    expect(node.status(settle)).toMatchObject({ refusal: '' })
    const welcome = network.client()
    welcome.connect()
    settle()
    expect(welcome.takeResponse().timeoutMillis).toBe(10_000)
  })
})

describe('four-letter words', () => {
  function ask(word: string): { text: string; closed: boolean } {
    const { network, settle, client, advance } = scene()
    client()
    const one = network.client()
    one.send(Buffer.from(word, 'latin1'))
    one.socket.handlers.ended?.()
    settle()
    advance(10)
    return { text: one.takeText(), closed: one.socket.isClosed }
  }

  test('ruok', () => {
    expect(ask('ruok')).toEqual({ text: 'imok', closed: true })
  })

  test('srvr tells about the store, also to a client that has finished writing', () => {
    const { text, closed } = ask('srvr')
    expect(text).toMatch(/^Zookeeper version: 3\.9\.5-quorate, built on .*\n/)
    expect(text).toMatch(/\nZxid: 0x1\nMode: standalone\nNode count: 5\n$/)
    expect(closed).toBe(true)
  })

  test('stat names the clients', () => {
    expect(ask('stat').text).toContain('\n /127.0.0.1:4711[0](queued=0,recved=1,sent=1)\n')
  })

  test('mntr', () => {
    expect(ask('mntr').text).toContain('zk_global_sessions\t1\n')
    expect(ask('mntr').text).toContain('zk_approximate_data_size\t44\n')
  })

  test('a word that is not on the whitelist', () => {
    expect(ask('wchc').text).toBe('wchc is not executed because it is not in the whitelist.\n')
  })
})

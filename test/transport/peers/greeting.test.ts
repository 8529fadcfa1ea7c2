/** What strangers hear at either end of a greeting, and that only the secret opens it. */
import { expect, test } from 'vitest'
import type { Socket } from '../../../runtime/host.ts'
import type { Disk, Jobs } from '../../../runtime/host.ts'
import { createFrameReader, encodeFrame, frameKind } from '../../../transport/peers/frame.ts'
import {
  awaitGreeting,
  type Greeter,
  greet,
  type GreetingResult,
} from '../../../transport/peers/greeting.ts'
import { decodeHello, encodeHello, purpose } from '../../../transport/peers/handshake.ts'
import { limits } from '../../../transport/peers/limits.ts'
import {
  challengeBytes,
  decodeChallenge,
  encodeChallenge,
  seal,
  sessionKeys,
  unseal,
} from '../../../transport/peers/proof.ts'
import { calmNetwork, SimulatedNetwork } from '../../simulator/network.ts'
import { createScheduler } from '../../simulator/scheduler.ts'
import { VirtualThread } from '../../simulator/thread.ts'
import { greeterFor, hello } from './link-pair.ts'

const secret = 'the secret of this cluster, quite long'
const other = 'the secret of another one, just as long'

interface Frame {
  readonly kind: number
  readonly body: Uint8Array
}

/** Frames by hand. */
interface Raw {
  readonly frames: Frame[]
  readonly bytes: () => Buffer
  readonly closed: () => boolean
  send(kind: number, body: Uint8Array): void
}

function createWorld() {
  const scheduler = createScheduler()
  const network = new SimulatedNetwork(scheduler, 'greeting', calmNetwork)
  const thread = (name: string): VirtualThread =>
    new VirtualThread({
      name,
      machine: name,
      seed: name,
      scheduler,
      network,
      disk: () => ({}) as Disk,
      jobs: () => ({}) as Jobs,
      clock: { wallOffsetMillis: 0, drift: 1 },
      failed: (_thread, error) => {
        throw error
      },
    })
  const near = thread('machine1').host
  const far = thread('machine2').host
  const run = (millis: number): void => {
    const until = scheduler.nowMillis + millis
    while (scheduler.step(until));
  }
  return {
    near,
    run,
    /** Node 1 waits to be greeted; what became of each caller, in order. */
    listen(greeter: Greeter = greeterFor(hello({ from: 1 }), secret)): GreetingResult[] {
      const results: GreetingResult[] = []
      near.network.listen(
        { host: 'machine1', port: 7000 },
        socket => awaitGreeting(near, socket, greeter, result => results.push(quiet(result))),
        () => {},
      )
      return results
    },
    /** Node 2 dials node 1. */
    dial(greeter: Greeter = greeterFor(hello({ from: 2 }), secret)): GreetingResult[] {
      const results: GreetingResult[] = []
      const socket = far.network.connect({ host: 'machine1', port: 7000 })
      greet(far, socket, greeter, 1, purpose.messages, result => results.push(quiet(result)))
      run(50)
      return results
    },
    /** Someone at port 7000 who is no node. */
    impostor(act: (raw: Raw) => void): Raw[] {
      const all: Raw[] = []
      near.network.listen(
        { host: 'machine1', port: 7000 },
        socket => {
          const raw = createRaw(socket)
          all.push(raw)
          act(raw)
        },
        () => {},
      )
      return all
    },
    /** Someone who calls and is no node. */
    call(): Raw {
      const raw = createRaw(far.network.connect({ host: 'machine1', port: 7000 }))
      run(5)
      return raw
    },
  }
}

/** A connection needs somebody who takes what comes on it. */
function quiet(result: GreetingResult): GreetingResult {
  if (result.kind === 'greeted') result.connection.handlers = { frame() {}, closed() {} }
  return result
}

function createRaw(socket: Socket): Raw {
  const frames: Frame[] = []
  const chunks: Uint8Array[] = []
  let closed = false
  const reader = createFrameReader(65_536, (kind, body) =>
    frames.push({ kind, body: Uint8Array.from(body) }),
  )
  socket.open({
    data(chunk) {
      chunks.push(Uint8Array.from(chunk))
      reader.push(chunk)
    },
    closed: () => (closed = true),
  })
  return {
    frames,
    bytes: () => Buffer.concat(chunks),
    closed: () => closed,
    send: (kind, body) => socket.write(encodeFrame(kind, body)),
  }
}

const nonce = new Uint8Array(32).fill(7)

/** Calls as a node would that holds `using`, up to its own hello. */
function callWith(world: ReturnType<typeof createWorld>, using: string) {
  const raw = world.call()
  raw.send(frameKind.challenge, encodeChallenge(nonce))
  world.run(5)
  const theirs = decodeChallenge(raw.frames[0]!.body) as Uint8Array
  const keys = sessionKeys(using, nonce, theirs)
  raw.send(frameKind.proof, keys.diallerProof)
  world.run(5)
  return { raw, keys }
}

function farewell(text = 'notProven not proven'): Frame {
  return { kind: frameKind.farewell, body: new Uint8Array(Buffer.from(text)) }
}

test('two nodes with one secret greet each other', () => {
  const world = createWorld()
  const taken = world.listen()
  const dialled = world.dial()
  expect(dialled).toMatchObject([{ kind: 'greeted', hello: { from: 1 } }])
  expect(taken).toMatchObject([{ kind: 'greeted', hello: { from: 2 } }])
})

test('two nodes with different secrets do not, and neither has said who it is', () => {
  const world = createWorld()
  const taken = world.listen()
  const dialled = world.dial(greeterFor(hello({ from: 2 }), other))
  expect(taken).toMatchObject([
    {
      kind: 'failed',
      from: 0,
      proven: false,
      end: {
        code: 'notProven',
        why: 'it did not prove that it holds the secret of the cluster',
      },
    },
  ])
  expect(dialled).toMatchObject([{ kind: 'failed', proven: false, end: { code: 'notProven' } }])
})

test('a secret is exchanged node by node: an old one is taken and answered for a while', () => {
  const world = createWorld()
  const both = { ...greeterFor(hello({ from: 1 })), secrets: [secret, other] }
  const taken = world.listen(both)
  expect(world.dial(greeterFor(hello({ from: 2 }), other))).toMatchObject([{ kind: 'greeted' }])
  expect(world.dial(greeterFor(hello({ from: 2 }), secret))).toMatchObject([{ kind: 'greeted' }])
  expect(world.dial(greeterFor(hello({ from: 2 }), 'x'.repeat(40)))).toMatchObject([
    { kind: 'failed' },
  ])
  expect(taken.map(({ kind }) => kind)).toEqual(['greeted', 'greeted', 'failed'])
})

test('who calls without the secret hears a nonce and "not proven"', () => {
  const world = createWorld()
  world.listen()
  const { raw } = callWith(world, other)
  expect(raw.frames).toEqual([{ kind: frameKind.challenge, body: expect.anything() }, farewell()])
  expect(raw.frames[0]!.body).toHaveLength(challengeBytes)
  expect(raw.closed()).toBe(true)
})

test.each([
  ['nothing', undefined],
  ['a hello of today', encodeFrame(frameKind.hello, encodeHello(hello({ from: 3, to: 1 })))],
  ['a web page', Buffer.from('GET / HTTP/1.1\r\nHost: machine1\r\n\r\n')],
  ['a challenge of another format', encodeFrame(frameKind.challenge, otherFormat())],
  ['a long frame', encodeFrame(frameKind.challenge, new Uint8Array(limits.strangerBytesMax + 1))],
])('who says %s hears no more than that', (_name, bytes) => {
  const world = createWorld()
  const taken = world.listen()
  const socket = world.near.network.connect({ host: 'machine1', port: 7000 })
  const raw = createRaw(socket)
  if (bytes !== undefined) socket.write(bytes)
  world.run(limits.greetingMillisMax + 10)
  expect(raw.frames.filter(({ kind }) => kind !== frameKind.challenge)).toEqual([farewell()])
  expect(raw.closed()).toBe(true)
  expect(taken).toMatchObject([{ kind: 'failed', from: 0, proven: false }])
})

function otherFormat(): Uint8Array {
  const bytes = encodeChallenge(nonce)
  bytes[4] = 9
  return bytes
}

test('an impostor at the address of a node learns a nonce and a proof that serves nobody', () => {
  const world = createWorld()
  const [raw] = [world.impostor(one => one.send(frameKind.challenge, encodeChallenge(nonce)))]
  const dialled = world.dial()
  const [listener] = raw
  listener!.send(frameKind.proof, new Uint8Array(32))
  world.run(limits.greetingMillisMax)
  expect(listener!.frames.map(({ kind }) => kind)).toEqual([
    frameKind.challenge,
    frameKind.proof,
    frameKind.farewell,
  ])
  expect(listener!.frames[2]).toEqual(farewell())
  expect(dialled).toMatchObject([{ kind: 'failed', proven: false, end: { code: 'notProven' } }])
})

test('what a node sent is no proof when it comes back to it', () => {
  const world = createWorld()
  // The impostor sends back every frame that it gets.
  const mirrors = world.impostor(() => {})
  const dialled = world.dial()
  const [mirror] = mirrors
  for (let sent = 0; sent < mirror!.frames.length; sent++) {
    const { kind, body } = mirror!.frames[sent]!
    mirror!.send(kind, body)
    world.run(5)
  }
  expect(dialled).toMatchObject([{ kind: 'failed', proven: false }])
  expect(mirror!.frames.map(({ kind }) => kind)).not.toContain(frameKind.hello)
})

test('an exchange that was overheard cannot be repeated', () => {
  const world = createWorld()
  const taken = world.listen()
  const first = callWith(world, secret)
  const overheard = first.keys.diallerProof
  expect(first.raw.frames.at(-1)).toEqual({
    kind: frameKind.proof,
    body: first.keys.listenerProof,
  })
  const second = world.call()
  second.send(frameKind.challenge, encodeChallenge(nonce))
  world.run(5)
  second.send(frameKind.proof, overheard)
  world.run(5)
  expect(second.frames.at(-1)).toEqual(farewell())
  expect(taken).toMatchObject([{ kind: 'failed', proven: false }])
})

test('every byte of a hello is under the seal, and the seal is of this exchange alone', () => {
  const plain = encodeHello(hello({ from: 2, to: 1 }))
  const good = seal(sessionKeys(secret, nonce, nonce).diallerHello, plain)
  for (let at = 0; at < good.length; at++) {
    const changed = Uint8Array.from(good)
    changed[at]! ^= 1
    expect(unseal(sessionKeys(secret, nonce, nonce).diallerHello, changed)).toBeUndefined()
  }
  expect(unseal(sessionKeys(secret, nonce, nonce).listenerHello, good)).toBeUndefined()
  const world = createWorld()
  const taken = world.listen()
  const { raw } = callWith(world, secret)
  raw.send(frameKind.hello, good)
  world.run(5)
  expect(taken).toMatchObject([
    {
      kind: 'failed',
      proven: true,
      end: { code: 'badHello', why: 'the seal of the hello is wrong' },
    },
  ])
})

test('a hello under its seal is answered by a welcome under its own', () => {
  const world = createWorld()
  world.listen()
  const { raw, keys } = callWith(world, secret)
  raw.send(frameKind.hello, seal(keys.diallerHello, encodeHello(hello({ from: 2, to: 1 }))))
  world.run(5)
  const welcome = raw.frames.at(-1)!
  expect(welcome.kind).toBe(frameKind.welcome)
  expect(decodeHello(unseal(keys.listenerHello, welcome.body)!)).toMatchObject({ from: 1, to: 2 })
})

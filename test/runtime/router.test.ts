import { describe, expect, test } from 'vitest'
import type { Definition } from '../../runtime/actor.ts'
import { carrierPair } from '../../runtime/carrier.ts'
import { CodecError } from '../../runtime/codec.ts'
import { envelopeEnd } from '../../runtime/envelope.ts'
import { createLogger } from '../../runtime/log.ts'
import { defineProtocol, peerDecoders } from '../../runtime/protocol.ts'
import { Router } from '../../runtime/router.ts'
import { System } from '../../runtime/system.ts'
import { manualHost } from '../../runtime/testkit.ts'

type Text =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'gone' }
  | { readonly kind: 'stop' }
const protocol = defineProtocol<Text>('text', { text: { text: 'string' }, gone: {}, stop: {} })
const target = { name: 'target', protocol }
const placement = { left: ['source', 'peers'], right: ['target'] }

function recorder(seen: string[]): Definition<Text, void> {
  return {
    name: 'target',
    protocol,
    start: context => message => {
      if (message.kind === 'stop') context.stop()
      else if (message.kind === 'text') seen.push(message.text)
      else seen.push('gone')
    },
  }
}

/** Two threads of one node on one clock. */
function twoThreads(): {
  left: System
  right: System
  routers: { left: Router; right: Router }
  run(): void
  loseRight(): void
  lines: string[]
} {
  const host = manualHost()
  const lines: string[] = []
  const log = createLogger({
    level: 'warn',
    format: 'text',
    wallMillis: () => 0,
    write: line => void lines.push(line),
  })
  const left = new System({ host, log, thread: 'left', placement, node: 1 })
  const right = new System({ host, log, thread: 'right', placement, node: 1 })
  const routers = {
    left: new Router(left, { nodesBy: 'peers' }),
    right: new Router(right, { nodesBy: 'peers' }),
  }
  const [one, other] = carrierPair(host.defer.bind(host))
  routers.left.connect('right', one)
  routers.right.connect('left', other)
  routers.left.open()
  routers.right.open()
  return {
    left,
    right,
    routers,
    lines,
    run: () => void host.runDeferred(),
    loseRight: () => other.close(),
  }
}

describe('between threads', () => {
  test('messages keep their order and wait for an actor that starts later', () => {
    const { left, right, run } = twoThreads()
    const seen: string[] = []
    const ref = left.find(target)
    for (let index = 0; index < 1_000; index++) ref.tell({ kind: 'text', text: String(index) })
    right.spawn(recorder(seen), 'target', undefined)
    run()
    expect(seen).toEqual(Array.from({ length: 1_000 }, (_, index) => String(index)))
  })

  test('an actor is told of a death on another thread', () => {
    const { left, right, run } = twoThreads()
    const seen: string[] = []
    right.spawn(recorder([]), 'target', undefined)
    const watcher: Definition<Text, void> = {
      ...recorder(seen),
      start: context => {
        context.watch(context.find(target), { kind: 'gone' })
        return message => void seen.push(message.kind)
      },
    }
    left.spawn(watcher, 'source', undefined)
    run()
    expect(seen).toEqual([])
    left.find(target).tell({ kind: 'stop' })
    run()
    expect(seen).toEqual(['gone'])
  })

  test('and of the loss of the thread; what is told afterwards is a dead letter', () => {
    const { left, right, run, loseRight, lines } = twoThreads()
    let gone = 0
    right.spawn(recorder([]), 'target', undefined)
    left.watch(left.find(target) as never, () => void gone++)
    run()
    loseRight()
    run()
    expect(gone).toBe(1)
    left.find(target).tell({ kind: 'text', text: 'late' })
    expect(left.deadLetters).toBe(1)
    expect(lines.some(line => line.includes('to=target') && line.includes('thread lost'))).toBe(
      true,
    )
  })

  test('a message that cannot be encoded is an error of who tells it, and harms nothing', () => {
    const { left, right, run } = twoThreads()
    const seen: string[] = []
    right.spawn(recorder(seen), 'target', undefined)
    const ref = left.find(target)
    ref.tell({ kind: 'text', text: 'before' })
    expect(() => ref.tell({ kind: 'text', text: 7 as never })).toThrow('cannot encode text.text')
    ref.tell({ kind: 'text', text: 'after' })
    run()
    expect(seen).toEqual(['before', 'after'])
  })
})

describe('between nodes', () => {
  /** What the peers actor of the left thread would send. */
  function capture(router: Router): { node: number; envelope: Buffer }[] {
    const sent: { node: number; envelope: Buffer }[] = []
    router.attachNodes({
      send(node, envelope) {
        sent.push({ node, envelope: Buffer.from(envelope) })
        return true
      },
    })
    return sent
  }

  test('an envelope leaves by the carrier, from its own thread or from another', () => {
    const { left, right, routers, run } = twoThreads()
    const sent = capture(routers.left)
    left.find(target, 2).tell({ kind: 'text', text: 'from the left' })
    right.find(target, 3).tell({ kind: 'text', text: 'from the right' })
    run()
    expect(sent.map(({ node }) => node)).toEqual([2, 3])
    expect(sent[1]!.envelope.includes('from the right')).toBe(true)
  })

  test('and arrives at its actor, on whatever thread that is', () => {
    const one = twoThreads()
    const sent = capture(one.routers.left)
    one.left.find(target, 2).tell({ kind: 'text', text: 'hello' })
    const { envelope } = sent[0]!
    const two = twoThreads()
    const seen: string[] = []
    two.right.spawn(recorder(seen), 'target', undefined)
    expect(two.routers.left.accept(1, envelope, 0, envelope.length)).toBe(envelope.length)
    expect(two.routers.right.accept(1, envelope, 0, envelope.length)).toBe(envelope.length)
    two.run()
    expect(seen).toEqual(['hello', 'hello'])
  })

  test('an older schema is resolved on the way', () => {
    type Old = { readonly kind: 'text'; readonly text: string; readonly more: number }
    const old = defineProtocol<Old>('text', { text: { text: 'string', more: 'long' } })
    const { left, routers } = twoThreads()
    const sent = capture(routers.left)
    left.find({ name: 'target', protocol: old }, 2).tell({ kind: 'text', text: 'old', more: 5 })
    const two = twoThreads()
    const seen: string[] = []
    two.right.spawn(recorder(seen), 'target', undefined)
    const schemas = new Map(old.kinds.map(kind => [kind.name, kind.codec.json]))
    const decoders = peerDecoders([protocol as never], schemas)
    const { envelope } = sent[0]!
    two.routers.right.accept(1, envelope, 0, envelope.length, decoders)
    two.run()
    expect(seen).toEqual(['old'])
  })

  test('watchers on every thread are told when a node is lost', () => {
    const { left, right, routers, run } = twoThreads()
    let gone = 0
    left.watch(left.find(target, 2) as never, () => void gone++)
    right.watch(right.find(target, 2) as never, () => void gone++)
    right.watch(right.find(target, 3) as never, () => void (gone += 100))
    routers.left.nodeLost(2)
    run()
    expect(gone).toBe(2)
  })

  test('damaged envelopes are refused', () => {
    const { routers } = twoThreads()
    const accept =
      (bytes: number[]): (() => void) =>
      () =>
        routers.right.accept(2, Buffer.from(bytes), 0, bytes.length)
    expect(accept([1, 2, 3])).toThrow(CodecError)
    expect(accept([0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0])).toThrow(CodecError)
    expect(accept([0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8])).toThrow('unknown actor')
    expect(envelopeEnd(Buffer.alloc(20), 0, 20)).toBe(12)
  })
})

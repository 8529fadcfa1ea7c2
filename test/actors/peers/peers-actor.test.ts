import { describe, expect, test } from 'vitest'
import type { CheckpointStore } from '../../../actors/peers/checkpoint-transfers.ts'
import type { PeerMember } from '../../../actors/peers/messages.ts'
import type { Disk, Jobs } from '../../../runtime/host.ts'
import { limits } from '../../../transport/peers/limits.ts'
import { calmNetwork, SimulatedNetwork } from '../../simulator/network.ts'
import { createScheduler, type Scheduler } from '../../simulator/scheduler.ts'
import { VirtualThread } from '../../simulator/thread.ts'
import { type NodeOptions, startNode, type TestNode } from './nodes.ts'

class TestWorld {
  readonly scheduler: Scheduler = createScheduler()
  readonly network = new SimulatedNetwork(this.scheduler, 'peers', calmNetwork)
  readonly nodes = new Map<number, TestNode>()
  readonly #threads = new Map<number, VirtualThread>()
  readonly members: PeerMember[]
  #starts = 0

  constructor(count: number) {
    this.members = Array.from({ length: count }, (_, index) => member(index + 1))
  }

  start(node: number, options: Partial<NodeOptions> = {}, machine = node): TestNode {
    const thread = new VirtualThread({
      name: `node${node}.${this.#starts++}`,
      machine: `machine${machine}`,
      seed: 'peers',
      scheduler: this.scheduler,
      network: this.network,
      disk: () => ({}) as Disk,
      jobs: () => ({}) as Jobs,
      clock: { wallOffsetMillis: 0, drift: 1 },
      failed: (_thread, error) => {
        throw error
      },
    })
    this.#threads.set(node, thread)
    const started = startNode({ host: thread.host, node, members: this.members, ...options })
    this.nodes.set(node, started)
    return started
  }

  kill(node: number): void {
    const thread = this.#threads.get(node)!
    thread.kill()
    this.network.closeAllOf(new Set([thread]))
  }

  run(millis: number): void {
    const until = this.scheduler.nowMillis + millis
    while (this.scheduler.step(until));
  }
}

function member(node: number): PeerMember {
  return { node, host: `machine${node}`, port: 7100 }
}

function note(from: number, text: string) {
  return { kind: 'note', from, text, data: new Uint8Array(0) } as const
}

function known(members: readonly PeerMember[]) {
  return { kind: 'members', members, formation: '', position: 0, bound: [] } as const
}

function startThree(): TestWorld {
  const world = new TestWorld(3)
  for (const node of [1, 2, 3]) world.start(node)
  world.run(100)
  return world
}

describe('peers', () => {
  test('link all nodes and tell consensus', () => {
    const world = startThree()
    expect(world.nodes.get(1)!.notices.sort()).toEqual(['up 2 1', 'up 3 1'])
    expect(world.nodes.get(2)!.notices.sort()).toEqual(['up 1 1', 'up 3 1'])
    expect(world.nodes.get(3)!.notices.sort()).toEqual(['up 1 1', 'up 2 1'])
  })

  test('carry messages to the named actor of another node, control first', () => {
    const world = startThree()
    const one = world.nodes.get(1)!
    const three = world.nodes.get(3)!
    one.tell(3, note(1, 'a'))
    one.tell(3, { kind: 'urgent', from: 1 })
    one.tell(3, note(1, 'b'))
    world.run(5)
    expect(three.notes).toEqual([{ kind: 'urgent', from: 1 }, note(1, 'a'), note(1, 'b')])
    three.tell(1, note(3, 'back'))
    world.run(5)
    expect(one.notes).toEqual([note(3, 'back')])
  })

  test('tell of a death and link the next incarnation, which refuses nothing but the old one', () => {
    const world = startThree()
    world.kill(2)
    world.run(20)
    expect(world.nodes.get(1)!.notices.at(-1)).toBe('down 2 closed')
    expect(world.nodes.get(3)!.notices.at(-1)).toBe('down 2 closed')
    world.start(2, { incarnation: 2 })
    world.run(1000)
    expect(world.nodes.get(1)!.notices.at(-1)).toBe('up 2 2')
    expect(world.nodes.get(3)!.notices.at(-1)).toBe('up 2 2')
  })

  test('refuse a second process of an incarnation, and say so on both sides', () => {
    const world = startThree()
    world.kill(2)
    world.run(20)
    const twin = world.start(2, { incarnation: 1 })
    world.run(1000)
    const reason =
      'incarnation 1 of node 2 runs in another process too: one data directory, two nodes'
    expect(world.nodes.get(1)!.notices.at(-1)).toBe('down 2 closed')
    expect(world.nodes.get(1)!.logs.join('\n')).toContain(reason)
    expect(twin.logs.join('\n')).toContain(reason)
    expect(twin.logs.filter(line => line.includes(reason)).length).toBeLessThan(20)
  })

  test('link a node that is no member, which only consensus hears until it is one', () => {
    const world = startThree()
    world.members.push(member(4))
    const four = world.start(4)
    world.run(1000)
    expect(four.notices.sort()).toEqual(['up 1 1', 'up 2 1', 'up 3 1'])
    const one = world.nodes.get(1)!
    expect(one.notices).toContain('up 4 1')
    expect(status(world, 1).stores[4]).toBe('4'.repeat(32))
    four.tell(1, note(4, 'unheard'))
    world.run(10)
    expect(one.notes).toEqual([])
    for (const node of [1, 2, 3]) world.nodes.get(node)!.peers.tell(known(world.members))
    world.run(10)
    four.tell(1, note(4, 'heard'))
    world.run(10)
    expect(one.notes).toEqual([note(4, 'heard')])
    expect(four.notices).toHaveLength(3)
  })

  test('link no more than a few nodes that are no members', () => {
    const world = startThree()
    const last = 3 + limits.strangersMax
    for (let node = 4; node <= last; node++) {
      world.start(node, { members: [...world.members, member(node)] })
    }
    world.run(1000)
    expect(world.nodes.get(last)!.notices).toHaveLength(3)
    const more = world.start(last + 1, { members: [...world.members, member(last + 1)] })
    world.run(1000)
    expect(more.notices).toEqual([])
    expect(more.logs.join('\n')).toContain('16 others that are none are linked already')
    // The place of one that ends is free again.
    world.kill(4)
    world.run(2000)
    expect(more.notices.sort()).toEqual(['up 1 1', 'up 2 1', 'up 3 1'])
  })

  test('link a node with a small id that is no member there, over its introduction', () => {
    const world = new TestWorld(3)
    const [first = member(1), ...others] = world.members
    for (const node of [2, 3]) world.start(node, { members: others })
    world.run(100)
    const one = world.start(1, { storeId: 'abcdef01'.repeat(4) })
    world.run(2 * limits.introductionMillis)
    expect(status(world, 3).stores[1]).toBe('abcdef01'.repeat(4))
    expect(one.notices.sort()).toEqual(['up 2 1', 'up 3 1'])
    for (const node of [2, 3]) world.nodes.get(node)!.peers.tell(known([first, ...others]))
    world.run(1000)
    expect(one.notices).toHaveLength(2)
    one.tell(3, note(1, 'a'))
    world.run(10)
    expect(world.nodes.get(3)!.notes).toEqual([note(1, 'a')])
    for (const { logs } of world.nodes.values())
      expect(logs.filter(line => line.includes('warn')).length).toBeLessThan(3)
  })

  test('link a member that nobody finds at the address that they know', () => {
    const world = new TestWorld(3)
    for (const node of [2, 3]) {
      const elsewhere = { node: 1, host: 'machine9', port: 7100 }
      world.start(node, { members: [elsewhere, ...world.members.slice(1)] })
    }
    const one = world.start(1)
    world.run(3 * limits.introductionMillis)
    expect(one.notices.sort()).toEqual(['up 2 1', 'up 3 1'])
  })

  test('greet nobody before consensus has said which cluster this is', () => {
    const world = new TestWorld(2)
    const one = world.start(1)
    const two = world.start(2, { formation: undefined })
    world.run(3000)
    expect([...one.notices, ...two.notices]).toEqual([])
    two.peers.tell({ ...known([]), formation: '' })
    world.run(100)
    expect(two.notices).toEqual(['up 1 1'])
  })

  test('refuse a node with the data of another cluster of that name, and say it once', () => {
    const [here, there] = ['a'.repeat(32), 'b'.repeat(32)]
    const world = new TestWorld(3)
    world.start(1, { formation: here })
    world.start(2, { formation: here })
    const three = world.start(3, { formation: there })
    world.run(3000)
    expect(three.notices).toEqual([])
    expect(world.nodes.get(1)!.notices).toEqual(['up 2 1'])
    const said = world.nodes.get(1)!.logs.filter(line => line.includes('of another cluster'))
    // As it is called, and as it calls.
    expect(said).toHaveLength(2)
    expect(said[0]).toContain(`it was formed as ${there}, and node 1 belongs to ${here}`)
    // One that has not formed yet may be linked, until it turns out to be of the other one.
    world.kill(3)
    const again = world.start(3, { formation: '', incarnation: 2 })
    world.run(1000)
    expect(again.notices.sort()).toEqual(['up 1 1', 'up 2 1'])
    again.peers.tell({ ...known(world.members), formation: there })
    world.run(1000)
    expect(again.notices.slice(2).sort()).toEqual(['down 1 lost', 'down 2 lost'])
  })

  test('refuse a store that is not the one of the member, unless it may be bound by a newer membership', () => {
    const world = new TestWorld(3)
    const stores = (third: string) =>
      [1, 2].map(node => ({ node, store: `${node}`.repeat(32) })).concat({ node: 3, store: third })
    const [old, young] = ['3'.repeat(32), 'c'.repeat(32)]
    for (const node of [1, 2, 3]) world.start(node)
    world.run(100)
    for (const node of [1, 2])
      world.nodes
        .get(node)!
        .peers.tell({ ...known(world.members), position: 9, bound: stores(young) })
    world.run(1000)
    const one = world.nodes.get(1)!
    expect(world.nodes.get(3)!.notices.at(-1)).toMatch(/^down/)
    expect(one.logs.join('\n')).toContain(
      `node 3 is a member with the store ${young}, and this one has ${old}: quorate member replace 3`,
    )
    expect(status(world, 1).stores[3]).toBe(old)
    // The one that is bound comes, and both run: the links of the right one stay.
    const right = world.start(3, { storeId: young }, 30)
    world.run(2000)
    expect(right.notices.sort()).toEqual(['up 1 1', 'up 2 1'])
    expect(one.notices.filter(notice => notice.startsWith('up 3'))).toHaveLength(2)
    // A node that is behind takes what it cannot know better.
    world.nodes.get(2)!.peers.tell({ ...known(world.members), position: 4, bound: stores(old) })
    right.peers.tell({ ...known(world.members), position: 9, bound: stores(young) })
    world.run(1000)
    expect(world.nodes.get(2)!.notices.at(-1)).toBe('up 3 1')
  })

  for (const lost of [1, 2]) {
    test(`dial seldom, and say once, while the store of node ${lost} is lost and nobody replaces it`, () => {
      const world = new TestWorld(2)
      const [bound, other] = [storeOf(lost), 'e'.repeat(32)]
      const healthy = world.start(3 - lost)
      const empty = world.start(lost, { storeId: other })
      healthy.peers.tell({
        ...known(world.members),
        position: 9,
        bound: [
          { node: 1, store: lost === 1 ? bound : storeOf(1) },
          { node: 2, store: lost === 2 ? bound : storeOf(2) },
        ],
      })
      world.run(55_000)
      for (const { logs } of [healthy, empty]) {
        const about = logs.filter(line =>
          /is lost|is linked|cannot be linked|is refused/.test(line),
        )
        expect(about.length).toBeLessThan(5)
      }
      const ups = empty.notices.filter(notice => notice.startsWith('up'))
      expect(ups.length).toBeLessThan(32)
      // The link that lasts is news again, and the next loss said at once.
      const anew = [1, 2].map(node => ({ node, store: node === lost ? other : storeOf(node) }))
      healthy.peers.tell({ ...known(world.members), position: 10, bound: anew })
      world.run(9000)
      expect(healthy.logs.at(-1)).toContain('A node is linked')
      world.kill(lost)
      world.run(100)
      expect(healthy.logs.at(-1)).toContain('The link to a node is lost')
    })
  }

  test('dial a member that introduces itself, over one link', () => {
    const world = new TestWorld(2)
    world.start(1)
    world.run(limits.unreachableMillis + 1000)
    world.start(2)
    world.run(3 * limits.introductionMillis)
    expect(world.nodes.get(1)!.notices).toEqual(['up 2 1'])
    expect(world.nodes.get(2)!.notices).toEqual(['up 1 1'])
  })

  test('end the link to a node that is removed, which is a stranger then', () => {
    const world = startThree()
    const members = world.members.slice(0, 2)
    for (const node of [1, 2]) world.nodes.get(node)!.peers.tell(known(members))
    world.run(1000)
    expect(world.nodes.get(1)!.notices.slice(2)).toEqual(['down 3 lost', 'up 3 1'])
    const { links } = status(world, 1)
    expect(links).toMatchObject([
      { node: 2, member: true },
      { node: 3, member: false },
    ])
  })

  test('follow a node to another address', () => {
    const world = startThree()
    world.kill(1)
    const moved = { node: 1, host: 'machine9', port: 7100 }
    world.members[0] = moved
    world.network.alias('machine9', 'machine1')
    world.start(1, { incarnation: 2 })
    world.run(500)
    for (const node of [2, 3]) world.nodes.get(node)!.peers.tell(known(world.members))
    world.run(1000)
    expect(world.nodes.get(2)!.notices.at(-1)).toBe('up 1 2')
  })

  test('answer what their links are like', () => {
    const world = startThree()
    world.nodes.get(1)!.tell(2, note(1, 'x'))
    world.run(limits.pingMillis * 2)
    const { links, port } = status(world, 1)
    expect(port).toBe(7100)
    expect(links[0]).toMatchObject({ node: 2, up: true, dropped: 0, queuedBytes: 0 })
    expect(links[0].roundTripMillis).toBeGreaterThan(0)
    expect(links[0].bytesSent).toBeGreaterThan(0)
  })

  test('bring a checkpoint to the state actor of another node', () => {
    const world = new TestWorld(2)
    const bytes = 3_000_000
    const stored: number[] = []
    let left = bytes
    const sender: CheckpointStore = {
      openForSending: () => ({
        position: 90,
        epoch: 4,
        bytes,
        read: target => {
          const count = Math.min(left, target.length)
          left -= count
          return count
        },
        close: () => {},
      }),
      openForReceiving: () => 'not here',
    }
    const receiver: CheckpointStore = {
      openForSending: () => undefined,
      openForReceiving: () => ({
        write: chunk => stored.push(chunk.length),
        finish: done => done(undefined, '/data/checkpoint-90'),
        abort: () => {},
      }),
    }
    world.start(1, { checkpoints: sender })
    world.start(2, { checkpoints: receiver })
    world.run(100)
    world.nodes.get(1)!.peers.tell({ kind: 'sendCheckpoint', node: 2 })
    world.run(1000)
    expect(world.nodes.get(1)!.notices.at(-1)).toBe('sent 2 true')
    expect(stored.reduce((sum, count) => sum + count, 0)).toBe(bytes)
    expect(world.nodes.get(2)!.arrivals).toEqual([
      '{"kind":"checkpointArrived","directory":"/data/checkpoint-90","position":90,"epoch":4}',
    ])
    world.nodes.get(2)!.peers.tell({ kind: 'sendCheckpoint', node: 1 })
    world.run(1000)
    expect(world.nodes.get(2)!.notices.at(-1)).toBe('sent 1 false')
  })

  test('do not try to send one to a node that is not linked, and say nothing of it', () => {
    const { world, one, opened } = startRefused('nobody asks')
    world.kill(2)
    world.run(50)
    askAsConsensusDoes(world, 10_000)
    expect(opened()).toBe(0)
    expect(one.logs.filter(line => line.includes('checkpoint'))).toEqual([])
    // Each answer makes consensus ask again at once.
    expect(one.notices.filter(notice => notice === 'sent 2 false').length).toBeLessThan(15)
  })

  test('try again later and later where one is refused, say it once, and start anew with a new link', () => {
    const { world, one, opened } = startRefused('no space for it')
    askAsConsensusDoes(world, 20_000)
    expect(opened()).toBeGreaterThan(4)
    expect(opened()).toBeLessThan(15)
    const loud = one.logs.filter(line => line.includes('A checkpoint cannot be sent'))
    expect(loud).toHaveLength(1)
    expect(loud[0]).toContain('no space for it')
    world.kill(2)
    world.run(50)
    world.start(2, { incarnation: 2, checkpoints: takingCheckpoints })
    askAsConsensusDoes(world, 1000)
    expect(one.notices.filter(notice => notice === 'sent 2 true').length).toBeGreaterThan(0)
  })

  test('say that a node cannot be reached only when it lasts', () => {
    const world = new TestWorld(3)
    const three = world.start(3)
    world.run(limits.unreachableMillis - 500)
    expect(three.logs.filter(line => line.includes('warn'))).toEqual([])
    world.start(1)
    world.run(20_000)
    const loud = three.logs.filter(line => line.includes('warn'))
    expect(loud).toHaveLength(1)
    expect(loud[0]).toContain('A node cannot be linked')
    expect(loud[0]).toContain('peer=2')
  })
})

const takingCheckpoints: CheckpointStore = {
  openForSending: () => undefined,
  openForReceiving: () => ({
    write: () => {},
    finish: done => done(undefined, '/data/checkpoint-90'),
    abort: () => {},
  }),
}

/** Two nodes; the second takes no checkpoint of the first. `opened` counts attempts. */
function startRefused(reason: string) {
  const world = new TestWorld(2)
  let opened = 0
  const sender: CheckpointStore = {
    openForSending: () => {
      opened++
      return { position: 90, epoch: 4, bytes: 0, read: () => 0, close: () => {} }
    },
    openForReceiving: () => 'not here',
  }
  const one = world.start(1, { checkpoints: sender })
  world.start(2, { checkpoints: { ...takingCheckpoints, openForReceiving: () => reason } })
  world.run(100)
  return { world, one, opened: () => opened }
}

/** With every heartbeat, for as long as that node needs one. */
function askAsConsensusDoes(world: TestWorld, millis: number): void {
  for (let passed = 0; passed < millis; passed += 100) {
    world.nodes.get(1)!.peers.tell({ kind: 'sendCheckpoint', node: 2 })
    world.run(100)
  }
}

function status(world: TestWorld, node: number) {
  const { peers, statuses } = world.nodes.get(node)!
  peers.tell({ kind: 'status', replyTo: 'control', id: 1 })
  world.run(5)
  return JSON.parse(statuses.at(-1)!)
}

/** That of a node to which the test gives none (nodes.ts). */
function storeOf(node: number): string {
  return String(node).repeat(32)
}

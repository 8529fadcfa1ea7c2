/** Peers actors over real sockets, on loopback. */
import { afterEach, describe, expect, test } from 'vitest'
import { directory } from '../../../actors/directory.ts'
import type { PeerMember } from '../../../actors/peers/messages.ts'
import type { Jobs } from '../../../runtime/host.ts'
import { nodeHost } from '../../../runtime/host-node.ts'
import type { KindCodec, Protocol } from '../../../runtime/protocol.ts'
import { createCodec, type RecordSchema } from '../../../runtime/codec.ts'
import { limits } from '../../../transport/peers/limits.ts'
import { schemasV0 } from '../../../transport/peers/schemas/v0.ts'
import type { OlderSchemas } from '../../../transport/peers/schemas.ts'
import { type NodeOptions, type NoteMessage, startNode, type TestNode } from './nodes.ts'

const host = nodeHost({} as Jobs)
const running: TestNode[] = []

afterEach(() => {
  for (const node of running.splice(0)) node.system.stop()
})

/** Ports that were free a moment ago. */
async function freeMembers(count: number): Promise<PeerMember[]> {
  const members: PeerMember[] = []
  for (let node = 1; node <= count; node++)
    members.push({ node, host: '127.0.0.1', port: await freePort() })
  return members
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const listener = host.network.listen(
      { host: '127.0.0.1', port: 0 },
      () => {},
      error => {
        if (error !== undefined) return reject(error)
        const { port } = listener
        listener.close()
        resolve(port)
      },
    )
  })
}

function start(
  node: number,
  members: readonly PeerMember[],
  options: Partial<NodeOptions> = {},
): TestNode {
  const started = startNode({ host, node, members, ...options })
  running.push(started)
  return started
}

async function until(condition: () => boolean): Promise<void> {
  for (let turns = 0; !condition(); turns++) {
    if (turns > 2000) throw new Error('it did not happen')
    await new Promise<void>(resolve => void host.timers.after(5, resolve))
  }
}

function note(from: number, text: string, bytes = 0) {
  return { kind: 'note', from, text, data: new Uint8Array(bytes).fill(from) } as const
}

describe('peers over loopback', () => {
  test('link, talk both ways, and notice a node that stops', async () => {
    const members = await freeMembers(3)
    const [one, two, three] = members.map(({ node }) => start(node, members)) as [
      TestNode,
      TestNode,
      TestNode,
    ]
    await until(() => [one, two, three].every(({ notices }) => notices.length === 2))
    one.tell(3, note(1, 'large', 3_000_000))
    one.tell(3, { kind: 'urgent', from: 1 })
    three.tell(1, note(3, 'small'))
    await until(() => three.notes.length === 2 && one.notes.length === 1)
    expect(three.notes.map(({ kind }) => kind)).toEqual(['urgent', 'note'])
    expect(three.notes[1]).toEqual(note(1, 'large', 3_000_000))
    two.system.stop()
    await until(() => one.notices.length === 3 && three.notices.length === 3)
    expect(one.notices[2]).toBe('down 2 closed')
    expect(three.notices[2]).toBe('down 2 closed')
    start(2, members, { incarnation: 2 })
    await until(() => one.notices.length === 4 && three.notices.length === 4)
    expect(one.notices[3]).toBe('up 2 2')
  })

  test('carry ten thousand messages in order', async () => {
    const members = await freeMembers(2)
    const [one, two] = members.map(({ node }) => start(node, members)) as [TestNode, TestNode]
    await until(() => one.notices.length === 1 && two.notices.length === 1)
    for (let count = 0; count < 10_000; count++) one.tell(2, note(1, String(count), 100))
    await until(() => two.notes.length === 10_000)
    const texts = two.notes.map(message => Number('text' in message && message.text))
    expect(texts.every((value, index) => value === index)).toBe(true)
  })

  test('hang up on a stranger that sends garbage', async () => {
    const members = await freeMembers(1)
    const one = start(1, members)
    await until(() => one.logs.some(line => line.includes('listens for other nodes')))
    for (const garbage of ['GET / HTTP/1.1\r\n\r\n', '\0'.repeat(16), 'x'.repeat(100_000)]) {
      let said = ''
      let closed = false
      const socket = host.network.connect({ host: '127.0.0.1', port: members[0]!.port })
      socket.open({
        connected: () => socket.write(Buffer.from(garbage)),
        data: chunk => (said += Buffer.from(chunk).toString('latin1')),
        closed: () => (closed = true),
      })
      await until(() => closed)
      expect(said).toMatch(/^(.{16}notProven not proven)?$/s)
    }
    const refused = one.logs.filter(line => line.includes('A stranger is turned away'))
    expect(refused).toHaveLength(1)
    expect(refused[0]).toMatch(/code=badFormat .*not a Quorate peer/)
  })

  test('greet a node while strangers hold on to the port and say nothing', async () => {
    const members = await freeMembers(2)
    const one = start(1, members)
    await until(() => one.logs.some(line => line.includes('listens for other nodes')))
    let ended = 0
    const call = (): void => {
      const socket = host.network.connect(members[0]!)
      socket.open({ data: () => {}, closed: () => ended++ })
    }
    for (let count = 0; count < 300; count++) call()
    await until(() => ended >= 300 - limits.greetingsPerAddressMax)
    const two = start(2, members)
    await until(() => two.notices.includes('up 1 1'))
    // The last ones have their time, and no more.
    await until(() => ended === 300)
    const lines = one.logs.filter(line => line.includes('A stranger is turned away'))
    expect(lines.length).toBeLessThan(4)
  })

  test('live with members whose addresses are none, and link to the others', async () => {
    const members = await freeMembers(2)
    const nowhere = (node: number) => ({ node, host: '127.0.0.1', port: Number.NaN })
    const failures: string[] = []
    const onFailure = (error: Error) => failures.push(error.message)
    // Those with smaller ids are dialled, to those with larger ones a node introduces itself.
    const shifted = members.map(one => ({ ...one, node: one.node + 1 }))
    const all = [nowhere(1), ...shifted, nowhere(9)]
    const [two] = [2, 3].map(node => start(node, all, { onFailure })) as [TestNode, TestNode]
    await until(() => two.notices.includes('up 3 1'))
    await new Promise<void>(
      resolve => void host.timers.after(limits.introductionMillis + 500, resolve),
    )
    expect(failures).toEqual([])
  })

  test('a taken port fails the actor with a sentence that names it', async () => {
    const members = await freeMembers(2)
    start(1, members)
    const failures: string[] = []
    const own = { node: 2, host: '127.0.0.1', port: members[0]!.port }
    await until(() => running[0]!.logs.some(line => line.includes('listens for other nodes')))
    start(2, [members[0]!, own], { onFailure: error => failures.push(error.message) })
    await until(() => failures.length > 0)
    expect(failures[0]).toContain(`cannot listen for other nodes on 127.0.0.1:${own.port}`)
    expect(failures[0]).toContain('EADDRINUSE')
  })
})

describe('an older node', () => {
  const current = directory.consensus.protocol as unknown as Protocol<NoteMessage>
  const kinds = ['append', 'appendReply', 'voteRequest'].map(kind => current.kindOf(kind as never))
  const vote = { kind: 'voteRequest', from: 1, epoch: 5, pre: true, last: 90, lastEpoch: 4 }
  const append = {
    kind: 'append',
    from: 2,
    epoch: 5,
    commit: 7,
    previous: 8,
    previousEpoch: 5,
    count: 0,
  }
  const entries = new Uint8Array([1, 2, 3])

  /** A message of today, with zeros for what the test does not say. */
  function whole(kind: string, values: object): NoteMessage {
    const { fields } = JSON.parse(current.kindOf(kind as never).codec.json) as RecordSchema
    const zeros: Readonly<Record<string, unknown>> = { int: 0, long: 0, string: '', boolean: false }
    const filled = fields.map(({ name, type }) => [name, zeros[String(type)]])
    return { ...Object.fromEntries(filled), ...values } as NoteMessage
  }

  /** A node that has never heard of anything newer than version 0. */
  function startOlder(
    members: readonly PeerMember[],
    olderSchemas: readonly OlderSchemas[] = [],
  ): TestNode {
    const older = kinds.map(kind => ({ ...kind, codec: createCodec(schemasV0[kind.name]!) }))
    const protocol = { ...current, kinds: older, ...lookup(older) } as Protocol<NoteMessage>
    return start(2, members, { protocol, kinds: older, olderSchemas })
  }

  function lookup(older: readonly KindCodec[]) {
    return {
      kindOf: (kind: string) => older.find(one => one.kind === kind)!,
      kindById: (id: number) => older.find(one => one.id === id),
    }
  }

  test('is understood, and written to in its own schemas', async () => {
    const members = await freeMembers(2)
    const one = start(1, members, { protocol: current, kinds, olderSchemas: [schemasV0] })
    const two = startOlder(members)
    await until(() => one.notices.length === 1 && two.notices.length === 1)
    one.tell(2, whole('voteRequest', { ...vote, transfer: true }))
    two.tell(1, { ...append, entries } as never)
    await until(() => one.notes.length === 1 && two.notes.length === 1)
    expect(two.notes[0]).toEqual({ ...vote, round: 0 })
    expect(one.notes[0]).toEqual(whole('append', { ...append, entries, confirm: 0 }))
  })

  test('is refused by one that has no record of its schemas', async () => {
    const members = await freeMembers(2)
    const one = start(1, members, { protocol: current, kinds })
    const two = startOlder(members)
    const reason = /code=unknownSchema .*schema [0-9a-f]{32} of consensus\.append is unknown here/
    await until(
      () => two.logs.some(line => reason.test(line)) && one.logs.some(line => reason.test(line)),
    )
    expect(one.notices).toEqual([])
    expect(two.notices).toEqual([])
  })

  test('gets nothing of a kind that it does not know', async () => {
    const members = await freeMembers(2)
    const all = directory.consensus.protocol.kinds
    const one = start(1, members, { protocol: current, kinds: all, olderSchemas: [schemasV0] })
    const two = startOlder(members)
    await until(() => one.notices.length === 1 && two.notices.length === 1)
    one.tell(2, { kind: 'timeoutNow', from: 1, epoch: 5 } as never)
    one.tell(2, whole('voteRequest', vote))
    await until(() => two.notes.length === 1)
    expect(two.notes[0]).toMatchObject({ kind: 'voteRequest' })
  })
})

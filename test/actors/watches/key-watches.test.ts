import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { encodeHistoryRequest, etcdRead } from '../../../actors/state/etcd-commands.ts'
import { etcdFace } from '../../../actors/state/etcd-face.ts'
import { roomUnlimited, stream } from '../../../actors/state/messages.ts'
import { KeyWatchOf, WatchStream } from '../../../actors/watches/key-watch.ts'
import { KeyWatches } from '../../../actors/watches/key-watches.ts'
import type { KeyEvent, RevisionChanges, WatchesMessage } from '../../../actors/watches/messages.ts'
import { WatchResponses } from '../../../actors/watches/watch-responses.ts'
import { Reader } from '../../../transport/etcd/messages/reader.ts'
import { decodeWatch, type WatchCreate } from '../../../transport/etcd/messages/watch.ts'
import { EtcdWorld } from '../state/etcd-world.ts'
import { type Decoded, decode, decodeFull, encode } from '../../transport/etcd/messages/schema.ts'

const bytes = (text: string) => Buffer.from(text, 'latin1')

/**
 * A real state with the watches behind it: what the state emits is handed on at once, questions for
 * history wait until the test lets them through.
 */
class Scene {
  readonly world = new EtcdWorld()
  readonly watches: KeyWatches
  readonly questions: { id: number; first: number; most: number }[] = []
  readonly sent: { connection: number; tag: number; body: Uint8Array }[] = []
  /** Changes come one by one then, and this runs in between. */
  between: (() => void) | undefined

  constructor(
    gatheredBytesMax = 1 << 28,
    room = { bytesMax: 1 << 28, connectionBytesMax: 1 << 27 },
  ) {
    this.world.emitter.keysWatched = true
    this.watches = new KeyWatches({
      ...this.world.identity,
      progressMillis: 1000,
      gatheredBytesMax,
      room,
      send: (connection, tag, body) => this.sent.push({ connection, tag, body }),
      askHistory: (id, first, most) => this.questions.push({ id, first, most }),
    })
  }

  put(...keys: string[]): void {
    for (const key of keys) this.world.put(key, `${this.world.keyspace.revision + 1}`)
    this.pump()
  }

  remove(key: string): void {
    this.world.run('deleteRange', { key: bytes(key) })
    this.pump()
  }

  /** One request of the client, on stream 3 of connection 1 unless said otherwise. */
  request(request: object, tag = 3, connection = 1): void {
    const message = Uint8Array.of(etcdRead.watch, ...encode('WatchRequest', request))
    const read = { stream: stream.etcd, connection, tag, roomBytes: roomUnlimited }
    etcdFace.read(this.world.world, { ...read, request: message })
    this.pump()
  }

  create(create: object, tag = 3): void {
    this.request({ create_request: create }, tag)
  }

  progress(): void {
    this.request({ progress_request: {} })
  }

  /** Answers a question for history; `most` revisions of it. */
  answer(most = 1000): void {
    const question = this.questions.shift()
    if (question === undefined) throw new Error('nothing was asked')
    const request = encodeHistoryRequest(question.first, most)
    etcdFace.read(this.world.world, {
      stream: stream.etcd,
      connection: 0,
      tag: question.id,
      roomBytes: roomUnlimited,
      request,
    })
    this.pump()
  }

  answerAll(most = 1000): void {
    while (this.questions.length > 0) this.answer(most)
  }

  pump(): void {
    for (const message of this.world.emitter.emitted.splice(0)) this.#take(message)
  }

  #take(message: WatchesMessage): void {
    if (message.kind === 'keyWatch') this.watches.register(message)
    else if (message.kind === 'keysChanged') {
      if (this.between !== undefined) {
        for (const events of parts(message)) {
          this.watches.changed({ ...message, events, more: true })
          this.between()
        }
        this.watches.changed({ ...message, events: [] })
      } else this.watches.changed(message)
    } else if (message.kind === 'keyHistory') {
      const { between } = this
      if (between !== undefined) {
        for (const change of message.changes.flatMap(one => separate(one))) {
          this.watches.history({ ...message, upTo: 0, changes: [change], more: true })
          between()
        }
        this.watches.history({ ...message, changes: [] })
      } else this.watches.history(message)
    }
  }

  /** What the client got since the last time, in short. */
  got(tag = 3): string[] {
    this.watches.flush()
    const own = this.sent.filter(one => one.tag === tag)
    for (const one of own) this.sent.splice(this.sent.indexOf(one), 1)
    return own.map(one => short(decodeFull('WatchResponse', one.body)))
  }
}

function decodeCreate(create_request: object): WatchCreate {
  const request = decodeWatch(new Reader().open(encode('WatchRequest', { create_request })))
  if (request.kind !== 'create') throw new Error('no request for a watch')
  return request
}

function parts({ events }: RevisionChanges): KeyEvent[][] {
  return events.map(event => [event])
}

function separate(change: RevisionChanges): RevisionChanges[] {
  return parts(change).map(events => ({ ...change, events }))
}

/** `0@5 a=5 b!` is watch 0, header at 5, a put at revision 5, b deleted. */
function short(response: Decoded): string {
  const words = [`${response.watch_id}@${response.header.revision}`]
  if (response.created) words.push('created')
  if (response.canceled) words.push('canceled')
  if (response.compact_revision !== '0') words.push(`compacted:${response.compact_revision}`)
  if (response.cancel_reason !== '') words.push(`"${response.cancel_reason}"`)
  if (response.fragment) words.push('fragment')
  for (const event of response.events) words.push(eventWord(event))
  return words.join(' ')
}

function eventWord({ type, kv, prev_kv }: Decoded): string {
  const change = type === 1 ? `${kv.key}!${kv.mod_revision}` : `${kv.key}=${kv.mod_revision}`
  return prev_kv ? `${change}(${prev_kv.mod_revision})` : change
}

describe('creating', () => {
  test('ids count up from 0 in each stream and step over those in use', () => {
    const scene = new Scene()
    scene.create({ key: bytes('a') })
    scene.create({ key: bytes('a'), watch_id: 1 })
    scene.create({ key: bytes('a') })
    scene.create({ key: bytes('a') }, 9)
    expect(scene.got()).toEqual(['0@1 created', '1@1 created', '2@1 created'])
    expect(scene.got(9)).toEqual(['0@1 created'])
  })

  test('an id that is in use, an empty range and a negative start are refused', () => {
    const scene = new Scene()
    scene.create({ key: bytes('a'), watch_id: 7 })
    scene.create({ key: bytes('a'), watch_id: 7 })
    scene.create({ key: bytes('b'), range_end: bytes('b') })
    scene.create({ key: bytes('b'), range_end: bytes('a') })
    scene.create({ key: bytes('b'), start_revision: -1 })
    scene.create({ key: bytes('b') })
    expect(scene.got()).toEqual([
      '7@1 created',
      '-1@1 created canceled "mvcc: duplicate watch ID provided on the WatchStream"',
      '-1@1 created canceled "mvcc: watcher range is empty"',
      '-1@1 created canceled "mvcc: watcher range is empty"',
      '-1@1 created canceled "etcdserver: mvcc: required revision has been compacted"',
      '0@1 created',
    ])
  })

  test('ids beyond 2^53 come back exactly', () => {
    const scene = new Scene()
    scene.create({ key: bytes('a'), watch_id: '9223372036854775807' })
    scene.request({ cancel_request: { watch_id: '9223372036854775807' } })
    expect(scene.got()).toEqual(['9223372036854775807@1 created', '9223372036854775807@1 canceled'])
  })

  test('a watch without a start begins after the revision that its creation shows', () => {
    const scene = new Scene()
    scene.put('a')
    scene.create({ key: bytes('a') })
    scene.put('a')
    expect(scene.got()).toEqual(['0@2 created', '0@3 a=3'])
  })

  test('which keys: one, a range, all from a key, all', () => {
    const scene = new Scene()
    scene.create({ key: bytes('b') })
    scene.create({ key: bytes('b'), range_end: bytes('d') })
    scene.create({ key: bytes('c'), range_end: bytes('\0') })
    scene.create({ range_end: bytes('\0') })
    scene.got()
    scene.put('a', 'b', 'c', 'd')
    expect(scene.got().sort()).toEqual([
      '0@3 b=3',
      '1@4 b=3 c=4',
      '2@5 c=4 d=5',
      '3@5 a=2 b=3 c=4 d=5',
    ])
  })
})

describe('events', () => {
  test('of one revision come together, in their order', () => {
    const scene = new Scene()
    scene.create({ key: bytes('a'), range_end: bytes('z') })
    const put = (key: string) => ({ request_put: { key: bytes(key) } })
    scene.world.run('txn', { success: [put('c'), put('a'), put('b')] })
    scene.pump()
    expect(scene.got()).toEqual(['0@1 created', '0@2 c=2 a=2 b=2'])
  })

  test('of all watches of one stream come behind one another', () => {
    const scene = new Scene()
    for (const tag of [3, 5, 3, 5]) scene.create({ key: bytes('a') }, tag)
    scene.sent.length = 0
    scene.put('a')
    scene.watches.flush()
    expect(scene.sent.map(({ tag }) => tag)).toEqual([3, 3, 5, 5])
  })

  test('a deletion names the key and its revision alone', () => {
    const scene = new Scene()
    scene.put('a')
    scene.create({ key: bytes('a') })
    scene.got()
    scene.remove('a')
    scene.watches.flush()
    expect(decode('WatchResponse', scene.sent[0]!.body).events).toEqual([
      { type: 1, kv: { key: bytes('a'), mod_revision: '3' } },
    ])
  })

  test('the version before comes to those that asked, if there was one', () => {
    const scene = new Scene()
    scene.create({ key: bytes('a'), prev_kv: true })
    scene.create({ key: bytes('a') })
    scene.put('a', 'a')
    scene.remove('a')
    expect(scene.got()).toEqual([
      '0@1 created',
      '1@1 created',
      '0@4 a=2 a=3(2) a!4(3)',
      '1@4 a=2 a=3 a!4',
    ])
  })

  test('the version before is that of the revision before, also where one command changes a key twice', () => {
    const scene = new Scene()
    scene.put('a')
    const all = { request_delete_range: { key: bytes('\0'), range_end: bytes('\0') } }
    const put = { request_put: { key: bytes('a') } }
    scene.create({ key: bytes('a'), prev_kv: true })
    scene.world.run('txn', { success: [all, put] })
    scene.world.run('txn', { success: [put, all] })
    scene.pump()
    const expected = 'a!3(2) a=3 a=4(3) a!4(3)'
    expect(scene.got()).toEqual(['0@2 created', `0@4 ${expected}`])
    scene.create({ key: bytes('a'), prev_kv: true, start_revision: 3 })
    scene.answerAll()
    expect(scene.got()).toEqual(['1@4 created', `1@4 ${expected}`])
  })

  test('filters drop kinds of events, and nothing empty is sent', () => {
    const scene = new Scene()
    scene.create({ key: bytes('a'), filters: [0] })
    scene.create({ key: bytes('a'), filters: [1] })
    scene.create({ key: bytes('a'), filters: [0, 1] })
    scene.got()
    scene.put('a')
    scene.remove('a')
    expect(scene.got()).toEqual(['1@2 a=2', '0@3 a!3'])
  })

  test('the header shows the epoch', () => {
    const scene = new Scene()
    scene.create({ key: bytes('a') })
    expect(decode('WatchResponse', scene.sent[0]!.body).header).toMatchObject({
      cluster_id: '9',
      raft_term: '3',
    })
  })

  test('a large batch is split where the client allows it, at any event', () => {
    const scene = new Scene()
    scene.create({ key: bytes('a'), range_end: bytes('z'), fragment: true, start_revision: 2 })
    scene.create({ key: bytes('a'), range_end: bytes('z'), start_revision: 2 }, 9)
    scene.got()
    const put = (key: string) => ({
      request_put: { key: bytes(key), value: Buffer.alloc(900_000) },
    })
    scene.world.run('txn', { success: ['a', 'b', 'c', 'd', 'e'].map(put) })
    scene.pump()
    expect(scene.got()).toEqual(['0@2 fragment a=2 b=2', '0@2 fragment c=2 d=2', '0@2 e=2'])
    expect(scene.got(9)).toEqual(['0@1 created', '0@2 a=2 b=2 c=2 d=2 e=2'])
  })
})

describe('starting in the past', () => {
  test('history first, then what is new, nothing twice and nothing missing', () => {
    const scene = new Scene()
    scene.put('a', 'b', 'a')
    scene.create({ key: bytes('a'), start_revision: 2 })
    scene.put('a')
    expect(scene.got()).toEqual(['0@4 created'])
    scene.answerAll()
    scene.put('a')
    expect(scene.got()).toEqual(['0@6 a=2 a=4 a=5 a=6'])
  })

  test('in slices; the header never shows more than was delivered', () => {
    const scene = new Scene()
    scene.put('a', 'a', 'a', 'a')
    scene.create({ key: bytes('a'), start_revision: 2, prev_kv: true })
    scene.got()
    scene.answer(2)
    expect(scene.got()).toEqual(['0@3 a=2 a=3(2)'])
    scene.put('a')
    scene.answer(2)
    expect(scene.got()).toEqual(['0@5 a=4(3) a=5(4)'])
    scene.answerAll(2)
    expect(scene.got()).toEqual(['0@6 a=6(5)'])
  })

  test('several watches walk together; one further back waits for its turn', () => {
    const scene = new Scene()
    scene.put('a', 'a', 'a', 'a')
    scene.create({ key: bytes('a'), start_revision: 4 })
    scene.create({ key: bytes('a'), start_revision: 5 })
    scene.create({ key: bytes('a'), start_revision: 2 })
    scene.got()
    scene.answer()
    expect(scene.got().sort()).toEqual(['0@5 a=4 a=5', '1@5 a=5'])
    scene.answerAll()
    expect(scene.got()).toEqual(['2@5 a=2 a=3 a=4 a=5'])
  })

  test('at the compacted revision works, below it is cancelled', () => {
    const scene = new Scene()
    scene.put('a', 'a')
    scene.remove('a')
    scene.world.run('compact', { revision: 4 })
    while (!scene.world.keyspace.compactStep(10));
    scene.create({ key: bytes('a'), start_revision: 3 })
    scene.create({ key: bytes('a'), start_revision: 4, prev_kv: true })
    scene.answerAll()
    expect(scene.got()).toEqual([
      '0@4 created',
      '0@0 canceled compacted:4',
      '1@4 created',
      '1@4 a!4',
    ])
    expect(scene.watches.count).toBe(1)
  })

  test('compacted while it walks', () => {
    const scene = new Scene()
    scene.put('a', 'a', 'a')
    scene.create({ key: bytes('a'), start_revision: 2 })
    scene.world.run('compact', { revision: 4 })
    scene.answerAll()
    expect(scene.got()).toEqual(['0@4 created', '0@0 canceled compacted:4'])
    expect(scene.watches.count).toBe(0)
  })

  test('in the future: nothing before it', () => {
    const scene = new Scene()
    scene.create({ key: bytes('a'), start_revision: 4 })
    scene.put('a', 'a')
    scene.progress()
    expect(scene.got()).toEqual(['0@1 created'])
    scene.put('a')
    scene.progress()
    expect(scene.got()).toEqual(['0@4 a=4', '-1@4'])
  })

  test('changes that nobody told of come from history', () => {
    const scene = new Scene()
    scene.create({ key: bytes('a') })
    scene.got()
    // As when a checkpoint takes the place of a stretch of log.
    scene.world.put('a')
    scene.world.put('a')
    scene.world.emitter.emitted = []
    scene.put('a')
    expect(scene.got()).toEqual([])
    scene.answerAll()
    scene.put('a')
    expect(scene.got()).toEqual(['0@5 a=2 a=3 a=4 a=5'])
  })

  test('and need no change after them: the state says how far a checkpoint goes', () => {
    const scene = new Scene()
    scene.create({ key: bytes('a') })
    scene.got()
    scene.world.put('a')
    scene.world.emitter.emitted = []
    const { revision, compactRevision } = scene.world.keyspace
    const about = { id: -1, upTo: 0, revision, compactRevision, changes: [], more: false }
    scene.watches.history({ kind: 'keyHistory', ...about })
    scene.answerAll()
    expect(scene.got()).toEqual(['0@2 a=2'])
  })
})

describe('progress', () => {
  test('on request: one answer for all watches of the stream, behind their events', () => {
    const scene = new Scene()
    scene.progress()
    expect(scene.got()).toEqual([])
    scene.create({ key: bytes('a') })
    scene.create({ key: bytes('b') })
    scene.put('a', 'c')
    scene.progress()
    expect(scene.got()).toEqual(['0@1 created', '1@1 created', '0@2 a=2', '-1@3'])
  })

  test('on request: none while a watch of the stream is behind', () => {
    const scene = new Scene()
    scene.put('a', 'a')
    scene.create({ key: bytes('b') })
    scene.create({ key: bytes('a'), start_revision: 2 })
    scene.got()
    scene.progress()
    expect(scene.got()).toEqual([])
    scene.answerAll()
    scene.progress()
    expect(scene.got()).toEqual(['1@3 a=2 a=3', '-1@3'])
  })

  test('by itself: to quiet watches that asked for it, each period', () => {
    const scene = new Scene()
    scene.watches.tick(0)
    scene.create({ key: bytes('a'), progress_notify: true })
    scene.create({ key: bytes('b'), progress_notify: true })
    scene.create({ key: bytes('c') })
    scene.got()
    scene.put('b')
    expect(scene.got()).toEqual(['1@2 b=2'])
    scene.watches.tick(900)
    expect(scene.got()).toEqual([])
    scene.watches.tick(1000)
    expect(scene.got()).toEqual(['0@2'])
    scene.watches.tick(2000)
    expect(scene.got()).toEqual(['0@2', '1@2'])
  })
})

describe('cancelling', () => {
  test('ends the watch; what is gathered for it is dropped', () => {
    const scene = new Scene()
    scene.create({ key: bytes('a') })
    scene.got()
    scene.put('a')
    scene.request({ cancel_request: { watch_id: 0 } })
    scene.put('a')
    expect(scene.got()).toEqual(['0@2 canceled'])
    expect(scene.watches.count).toBe(0)
  })

  test('an id that is not there gets no answer', () => {
    const scene = new Scene()
    scene.request({ cancel_request: { watch_id: 4 } })
    scene.create({ key: bytes('a') })
    scene.request({ cancel_request: { watch_id: 4 } })
    expect(scene.got()).toEqual(['0@1 created'])
  })

  test('the end of a call, or of a connection, ends all its watches', () => {
    const scene = new Scene()
    scene.create({ key: bytes('a') }, 3)
    scene.create({ key: bytes('a'), start_revision: 1 }, 5)
    scene.create({ key: bytes('a') }, 7)
    scene.watches.streamClosed(1, 3)
    expect(scene.watches.count).toBe(2)
    scene.watches.connectionClosed(1)
    expect(scene.watches.count).toBe(0)
    expect(scene.watches.hasStreams(1)).toBe(false)
    scene.sent.length = 0
    scene.put('a')
    scene.answerAll()
    expect(scene.got(3).length + scene.got(5).length + scene.got(7).length).toBe(0)
  })
})

describe('a slow client', () => {
  test('gets nothing while it is held, and then all of it from history', () => {
    const scene = new Scene()
    scene.create({ key: bytes('a') })
    scene.put('a')
    expect(scene.got()).toEqual(['0@1 created', '0@2 a=2'])
    scene.put('a')
    scene.watches.setHeld(1, 3, true)
    scene.put('a', 'a')
    scene.progress()
    expect(scene.got()).toEqual([])
    expect(scene.questions).toEqual([])
    scene.watches.setHeld(1, 3, false)
    scene.answerAll()
    scene.put('a')
    expect(scene.got()).toEqual(['0@6 a=3 a=4 a=5 a=6'])
  })

  test('does not stop other streams', () => {
    const scene = new Scene()
    scene.create({ key: bytes('a') }, 3)
    scene.create({ key: bytes('a') }, 5)
    scene.watches.setHeld(1, 3, true)
    scene.put('a')
    expect(scene.got(5)).toEqual(['0@1 created', '0@2 a=2'])
  })

  test('too much at once for one stream pauses it until the next tick, and nothing is lost', () => {
    const scene = new Scene()
    scene.create({ key: bytes('a'), range_end: bytes('z') })
    for (let id = 0; id < 9; id += 1) scene.create({ key: bytes('a'), range_end: bytes('z') })
    scene.got()
    scene.world.put('a', 'x'.repeat(1_200_000))
    scene.world.put('b', 'small')
    scene.pump()
    const first = scene.got()
    expect(first.length).toBeLessThan(10)
    scene.put('c')
    expect(scene.got()).toEqual([])
    const rest: string[] = []
    for (let round = 1; round <= 4; round += 1) {
      scene.watches.tick(round * 100)
      scene.answerAll()
      rest.push(...scene.got())
    }
    for (let id = 0; id < 10; id += 1) {
      const own = [...first, ...rest].filter(line => line.startsWith(`${id}@`))
      expect(own.flatMap(line => line.split(' ').slice(1))).toEqual(['a=2', 'b=3', 'c=4'])
    }
  })
})

describe('a revision that comes in parts', () => {
  const pair = ['a', 'b'].map(name => ({ request_put: { key: bytes(name) } }))

  test('is sent as one', () => {
    const scene = new Scene()
    scene.create({ key: bytes('a'), range_end: bytes('c') })
    const early: string[] = []
    scene.between = () => early.push(...scene.got())
    scene.world.run('txn', { success: pair })
    scene.pump()
    expect(early).toEqual(['0@1 created'])
    expect(scene.got()).toEqual(['0@2 a=2 b=2'])
  })

  test('who found no room for its first part does not join for the rest', () => {
    const scene = new Scene(1)
    scene.create({ key: bytes('a'), range_end: bytes('c') }, 3)
    scene.create({ key: bytes('a'), range_end: bytes('c') }, 5)
    for (const tag of [3, 5]) scene.got(tag)
    scene.between = () => {
      scene.watches.setHeld(1, 3, true)
      scene.watches.tick(1)
    }
    scene.world.run('txn', { success: pair })
    scene.pump()
    scene.between = undefined
    scene.watches.tick(2)
    scene.answerAll()
    expect(scene.got(5)).toEqual(['0@2 a=2 b=2'])
    expect(scene.got(3)).toEqual([])
    scene.watches.setHeld(1, 3, false)
    scene.answerAll()
    expect(scene.got(3)).toEqual(['0@2 a=2 b=2'])
  })
})

describe('much at once', () => {
  test('watches that gather more than there is room for get it one after the other', () => {
    const scene = new Scene(50_000)
    for (let tag = 1; tag <= 6; tag += 1)
      scene.create({ key: bytes('a'), range_end: bytes('z') }, tag)
    const puts = Array.from({ length: 40 }, (_, at) => ({
      request_put: { key: bytes(`k${at}`), value: Buffer.alloc(1000) },
    }))
    scene.world.run('txn', { success: puts })
    scene.pump()
    const served: number[] = []
    for (let round = 0; round < 6; round += 1) {
      scene.answerAll()
      scene.watches.flush()
      const tags = scene.sent.filter(one => one.body.length > 1000).map(one => one.tag)
      expect(tags.length).toBeLessThanOrEqual(1)
      served.push(...tags)
      scene.sent.length = 0
      scene.watches.tick(round)
    }
    expect(served.sort()).toEqual([1, 2, 3, 4, 5, 6])
  })

  test('fragments take the memory of what is in them', () => {
    const scene = new Scene()
    scene.create({ key: bytes('a'), range_end: bytes('z'), fragment: true })
    const puts = Array.from({ length: 100 }, (_, at) => ({
      request_put: { key: bytes(`k${at}`), value: Buffer.alloc(100_000) },
    }))
    scene.world.run('txn', { success: puts })
    scene.pump()
    scene.watches.flush()
    const buffers = new Set(scene.sent.map(({ body }) => body.buffer))
    let heldBytes = 0
    for (const buffer of buffers) heldBytes += buffer.byteLength
    expect(scene.sent.length).toBeGreaterThan(4)
    expect(heldBytes).toBeLessThan(12_000_000)
  })

  test('what is longer than any response may be goes in several, of whole events', () => {
    const sent: Uint8Array[] = []
    const send = (_connection: number, _tag: number, body: Uint8Array) => void sent.push(body)
    const { clusterId, memberId } = new EtcdWorld().identity
    const responses = new WatchResponses({ clusterId, memberId, send })
    const watch = new KeyWatchOf(
      new WatchStream(1, 3, 0),
      0,
      decodeCreate({ key: bytes('a'), range_end: bytes('z') }),
      1,
    )
    const event = new Uint8Array(40 * 1024 * 1024)
    watch.pending = Array.from({ length: 8 }, () => event)
    watch.pendingBytes = 8 * event.length
    responses.events(watch)
    expect(sent.map(body => Math.floor(body.length / event.length))).toEqual([6, 2])
  })
})

/** The six guarantees, whatever happens in whatever order. */
test('every watch gets every change of its keys once, in order, in whole revisions', () => {
  const key = fc.constantFrom('a', 'b', 'c')
  const step = fc.oneof(
    { weight: 4, arbitrary: fc.record({ do: fc.constant('put' as const), key }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('remove' as const), key }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('pair' as const), key }) },
    {
      weight: 2,
      arbitrary: fc.record({
        do: fc.constant('watch' as const),
        key,
        back: fc.nat({ max: 6 }),
        tag: fc.constantFrom(3, 5),
      }),
    },
    {
      weight: 2,
      arbitrary: fc.record({
        do: fc.constant('answer' as const),
        most: fc.integer({ min: 1, max: 3 }),
      }),
    },
    {
      weight: 1,
      arbitrary: fc.record({
        do: fc.constant('hold' as const),
        tag: fc.constantFrom(3, 5),
        held: fc.boolean(),
      }),
    },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('flush' as const) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('progress' as const) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('silence' as const), key }) },
  )
  const meanwhile = fc.array(
    fc.constantFrom('nothing', 'flush', 'tick', 'hold 3', 'hold 5', 'release 3', 'release 5'),
    { maxLength: 12 },
  )
  // In parts; and with room for hardly any event.
  const way = fc.record({
    inParts: fc.boolean(),
    gatheredBytesMax: fc.constantFrom(1 << 28, 60, 1),
  })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), meanwhile, way, (steps, acts, how) => {
      const scene = new Scene(how.gatheredBytesMax)
      let at = 0
      let nowMillis = 0
      const tick = (): void => scene.watches.tick((nowMillis += 1))
      if (how.inParts) {
        scene.between = () => {
          const [act, tag] = (acts[at % acts.length] ?? 'nothing').split(' ')
          at += 1
          if (act === 'flush') scene.watches.flush()
          else if (act === 'tick') tick()
          else if (act !== 'nothing') scene.watches.setHeld(1, Number(tag), act === 'hold')
        }
      }
      const created: { tag: number; id: number; from: string; start: number }[] = []
      for (const one of steps) {
        const { revision } = scene.world.keyspace
        if (one.do === 'put') scene.put(one.key)
        else if (one.do === 'remove') scene.remove(one.key)
        else if (one.do === 'pair') {
          const other = one.key === 'a' ? 'b' : 'a'
          const puts = [one.key, other].map(name => ({ request_put: { key: bytes(name) } }))
          scene.world.run('txn', { success: puts })
          scene.pump()
        } else if (one.do === 'watch') {
          const start = Math.max(1, revision + 2 - one.back)
          const id = created.filter(known => known.tag === one.tag).length
          created.push({ tag: one.tag, id, from: one.key, start })
          scene.create(
            { key: bytes(one.key), range_end: bytes('d'), start_revision: start },
            one.tag,
          )
        } else if (one.do === 'answer') {
          if (scene.questions.length > 0) scene.answer(one.most)
        } else if (one.do === 'hold') scene.watches.setHeld(1, one.tag, one.held)
        else if (one.do === 'flush') scene.watches.flush()
        else if (one.do === 'progress') scene.progress()
        else {
          scene.world.put(one.key)
          scene.world.emitter.emitted = []
        }
      }
      scene.between = undefined
      for (const tag of [3, 5]) scene.watches.setHeld(1, tag, false)
      scene.put('a')
      // A tick for each watch that found no room, and one for the streams that waited.
      for (let left = created.length + 1; left >= 0; left -= 1) {
        scene.answerAll()
        scene.watches.flush()
        tick()
      }
      checkAll(scene, created)
    }),
    { numRuns: 600 },
  )
})

function checkAll(
  scene: Scene,
  created: readonly { tag: number; id: number; from: string; start: number }[],
): void {
  const versions: number[] = []
  const { keyspace } = scene.world
  keyspace.changes(1, 100_000, versions)
  for (const { tag, id, from, start } of created) {
    const expected = versions
      .map(pointer => ({
        key: bytes(Buffer.from(keyspace.key(pointer)).toString()),
        mod: keyspace.modRevision(pointer),
      }))
      .filter(
        change => change.mod >= start && String(change.key) >= from && String(change.key) < 'd',
      )
      .map(change => `${change.key}${change.mod}`)
    const responses = scene.sent
      .filter(one => one.tag === tag)
      .map(one => decodeFull('WatchResponse', one.body))
    const own = responses.filter(response => Number(response.watch_id) === id)
    const events = own.flatMap(response =>
      response.events.map((event: Decoded) => `${event.kv.key}${event.kv.mod_revision}`),
    )
    expect(events).toEqual(expected)
    checkHeaders(own.filter(response => response.events.length > 0))
    checkProgress(responses, id)
  }
}

/** A header shows exactly what has been delivered, and no revision is cut in two. */
function checkHeaders(responses: readonly Decoded[]): void {
  let last = 0
  for (const { header, events } of responses) {
    const revisions = events.map((event: Decoded) => Number(event.kv.mod_revision))
    expect(Math.min(...revisions)).toBeGreaterThan(last)
    last = Math.max(...revisions)
    expect(Number(header.revision)).toBe(last)
  }
}

/** After a notice of progress nothing at or below its revision comes any more. */
function checkProgress(responses: readonly Decoded[], id: number): void {
  let promised = 0
  let known = false
  for (const response of responses) {
    if (Number(response.watch_id) === id && response.created) known = true
    if (Number(response.watch_id) === -1 && known) promised = Number(response.header.revision)
    if (Number(response.watch_id) !== id) continue
    for (const event of response.events)
      expect(Number(event.kv.mod_revision)).toBeGreaterThan(promised)
  }
}

describe('events that clients do not take', () => {
  test('stay in history until there is room, and come once, in order', () => {
    const scene = new Scene(1 << 28, { bytesMax: 600, connectionBytesMax: 150 })
    scene.create({ key: bytes('a') })
    for (let count = 0; count < 10; count += 1) {
      scene.put('a')
      scene.watches.flush()
    }
    const before = scene.got()
    expect(before.length).toBeLessThan(11)
    expect(scene.questions).toEqual([])
    // Until the client has taken half of its share nothing is tried.
    scene.watches.taken([1], [10])
    expect(scene.questions).toEqual([])
    let rounds = 0
    const all = [...before]
    while (all.length < 11 && rounds++ < 20) {
      scene.watches.taken([1], [300])
      scene.answerAll()
      all.push(...scene.got())
    }
    const revisions = all.slice(1).flatMap(line => line.match(/a=\d+/g) ?? [])
    expect(revisions).toEqual(Array.from({ length: 10 }, (_, at) => `a=${at + 2}`))
    expect(rounds).toBeGreaterThan(1)
  })

  test('make others wait only while too much lies in all', () => {
    const scene = new Scene(1 << 28, { bytesMax: 800, connectionBytesMax: 200 })
    for (const connection of [1, 2, 3])
      scene.request({ create_request: { key: bytes('a') } }, 3, connection)
    for (let count = 0; count < 20; count += 1) {
      scene.put('a')
      scene.watches.flush()
    }
    expect(scene.watches.isStarved).toBe(true)
    scene.watches.connectionClosed(1)
    scene.watches.connectionClosed(2)
    scene.sent.length = 0
    for (let count = 0; count < 20; count += 1) {
      scene.watches.taken([3], [1000])
      scene.answerAll()
      scene.watches.flush()
    }
    expect(scene.watches.isStarved).toBe(false)
    expect(scene.watches.slowCount).toBe(0)
  })
})

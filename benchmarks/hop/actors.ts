/**
 * The skeleton of the path of a write, and nothing else: door (client sockets and a map for a
 * state), log (positions and commitment), journal (one write and one sync a round), peers (two
 * followers). Shapes of messages and rounds are those of the service.
 */
import type { Definition, Ref } from '../../runtime/actor.ts'
import type { Socket } from '../../runtime/host.ts'
import { defineProtocol } from '../../runtime/protocol.ts'
import { Growing } from './growing.ts'

export type DoorMessage =
  | { readonly kind: 'requests' }
  | {
      readonly kind: 'committed'
      readonly first: number
      readonly count: number
      readonly entries: Uint8Array
    }
export type LogMessage =
  | { readonly kind: 'propose'; readonly count: number; readonly entries: Uint8Array }
  | { readonly kind: 'persisted'; readonly position: number }
  | { readonly kind: 'stored'; readonly follower: number; readonly position: number }
export type BatchMessage = {
  readonly kind: 'batch'
  readonly last: number
  readonly entries: Uint8Array
}

const doorProtocol = defineProtocol<DoorMessage>('door', {
  requests: {},
  committed: { first: 'long', count: 'int', entries: 'bytes' },
})
const logProtocol = defineProtocol<LogMessage>('log', {
  propose: { count: 'int', entries: 'bytes' },
  persisted: { position: 'long' },
  stored: { follower: 'int', position: 'long' },
})
const batchProtocol = defineProtocol<BatchMessage>('batch', {
  batch: { last: 'long', entries: 'bytes' },
})

/** An entry: 80 bytes of header (4 length, 8 connection, 12 request), then the body. */
const entryHeaderBytes = 80
const requestHeaderBytes = 8
export const replyBytes = 12

interface Connection {
  readonly socket: Socket
  readonly input: Growing
  readonly output: Growing
  isDirty: boolean
}

export const door: Definition<DoorMessage, { port: number }> = {
  name: 'door',
  protocol: doorProtocol,
  start: (context, { port }) => {
    const logRef = context.find(log)
    const connections: Connection[] = []
    const dirty: Connection[] = []
    const batch = new Growing()
    const values = new Map<number, Buffer>()
    const hasRequests: DoorMessage = { kind: 'requests' }
    let count = 0

    context.host.network.listen(
      { host: '127.0.0.1', port },
      socket => {
        const index = connections.length
        const connection = { socket, input: new Growing(), output: new Growing(), isDirty: false }
        connections.push(connection)
        socket.open({
          data(chunk) {
            if (count === 0) context.self.tell(hasRequests)
            connection.input.append(chunk)
            takeRequests(connection.input, index)
          },
          closed() {},
        })
      },
      error => {
        if (error !== undefined) throw error
      },
    )

    context.onRoundEnd(() => {
      if (count > 0) {
        logRef.tell({ kind: 'propose', count, entries: batch.take() })
        count = 0
      }
      for (const connection of dirty) {
        connection.isDirty = false
        connection.socket.write(connection.output.view())
        connection.output.clear()
      }
      dirty.length = 0
    })

    function takeRequests(input: Growing, connection: number): void {
      let at = 0
      while (input.length - at >= 4) {
        const length = input.bytes.readUInt32LE(at)
        if (input.length - at < 4 + length) break
        const bodyBytes = length + 4 - requestHeaderBytes
        const entry = batch.reserve(entryHeaderBytes + bodyBytes)
        batch.bytes.fill(0, entry, entry + entryHeaderBytes)
        batch.bytes.writeUInt32LE(entryHeaderBytes + bodyBytes, entry)
        batch.bytes.writeUInt32LE(connection, entry + 8)
        batch.bytes.writeUInt32LE(input.bytes.readUInt32LE(at + 4), entry + 12)
        input.bytes.copy(
          batch.bytes,
          entry + entryHeaderBytes,
          at + requestHeaderBytes,
          at + 4 + length,
        )
        count++
        at += 4 + length
      }
      input.drop(at)
    }

    function apply(entries: Buffer): void {
      for (let at = 0; at < entries.length; ) {
        const next = at + entries.readUInt32LE(at)
        const connection = connections[entries.readUInt32LE(at + 8)]!
        const key = entries.readUInt32LE(at + entryHeaderBytes)
        values.set(key, Buffer.from(entries.subarray(at + entryHeaderBytes, next)))
        const reply = connection.output.reserve(replyBytes)
        connection.output.bytes.writeUInt32LE(replyBytes - 4, reply)
        connection.output.bytes.writeUInt32LE(entries.readUInt32LE(at + 12), reply + 4)
        connection.output.bytes.writeUInt32LE(0, reply + 8)
        if (!connection.isDirty) {
          connection.isDirty = true
          dirty.push(connection)
        }
        at = next
      }
    }

    return message => {
      if (message.kind !== 'committed') return
      apply(asBuffer(message.entries))
      context.recycle(message.entries)
    }
  },
}

export const log: Definition<LogMessage, void> = {
  name: 'log',
  protocol: logProtocol,
  start: context => {
    const doorRef = context.find(door)
    const peersRef = context.find(peers)
    const journalRef = context.find(journal)
    const uncommitted: {
      readonly last: number
      readonly count: number
      readonly entries: Uint8Array
    }[] = []
    const durable = [0, 0, 0]
    let last = 0
    let committed = 0

    context.onRoundEnd(() => {
      const [, median] = durable.toSorted((left, right) => left - right)
      while (uncommitted.length > 0 && uncommitted[0]!.last <= median!) {
        const { last: position, count, entries } = uncommitted.shift()!
        doorRef.tell({ kind: 'committed', first: committed + 1, count, entries })
        context.recycle(entries)
        committed = position
      }
    })

    return message => {
      if (message.kind === 'propose') {
        last += message.count
        uncommitted.push({ last, count: message.count, entries: message.entries })
        const batch: BatchMessage = { kind: 'batch', last, entries: message.entries }
        peersRef.tell(batch)
        journalRef.tell(batch)
      } else if (message.kind === 'persisted') durable[0] = message.position
      else durable[message.follower] = message.position
    }
  },
}

const journalBytes = 64 * 1024 * 1024

export const journal: Definition<BatchMessage, { path: string }> = {
  name: 'journal',
  protocol: batchProtocol,
  start: (context, { path }) => {
    const logRef: Ref<LogMessage> = context.find(log)
    const file = context.host.disk.open(path, 'create')
    file.write(Buffer.alloc(journalBytes), 0)
    file.syncNow()
    const batch = new Growing()
    let last = 0
    let at = 0
    context.onRoundEnd(() => {
      if (at + batch.length > journalBytes) at = 0
      file.write(batch.view(), at)
      file.syncNow()
      at += batch.length
      batch.clear()
      logRef.tell({ kind: 'persisted', position: last })
    })
    return message => {
      batch.append(message.entries)
      last = message.last
    }
  },
}

/** A frame to a follower: 4 length of the rest, 8 last position, entries. Its answer: 8 position. */
export const peers: Definition<BatchMessage, { ports: readonly number[] }> = {
  name: 'peers',
  protocol: batchProtocol,
  start: (context, { ports }) => {
    const logRef: Ref<LogMessage> = context.find(log)
    const frames = new Growing()
    const sockets = ports.map((port, index) => {
      const socket = context.host.network.connect({ host: '127.0.0.1', port })
      const input = new Growing()
      socket.open({
        data(chunk) {
          input.append(chunk)
          const whole = input.length - (input.length % 8)
          if (whole === 0) return
          const position = Number(input.bytes.readBigUInt64LE(whole - 8))
          input.drop(whole)
          logRef.tell({ kind: 'stored', follower: index + 1, position })
        },
        closed() {},
      })
      return socket
    })
    context.onRoundEnd(() => {
      for (const socket of sockets) socket.write(frames.view())
      frames.clear()
    })
    return message => {
      const at = frames.reserve(12)
      frames.bytes.writeUInt32LE(8 + message.entries.length, at)
      frames.bytes.writeBigUInt64LE(BigInt(message.last), at + 4)
      frames.append(message.entries)
    }
  },
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

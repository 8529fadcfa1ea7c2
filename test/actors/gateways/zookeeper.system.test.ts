import net from 'node:net'
import { afterEach, expect, test } from 'vitest'
import { nodeHost } from '../../../runtime/host-node.ts'
import { operation } from '../../../transport/zookeeper/operations.ts'
import { createRecord, watchRecord } from '../state/zookeeper-scene.ts'
import { ZookeeperClient } from './zookeeper-client.ts'
import { startZookeeperNode, type ZookeeperNode } from './zookeeper-node.ts'

let node: ZookeeperNode | undefined
const sockets: net.Socket[] = []

afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy()
  node?.stop()
  node = undefined
})

async function connected(): Promise<net.Socket> {
  node ??= startZookeeperNode(nodeHost({ run() {} }))
  const socket = net.connect(await node.port(), '127.0.0.1')
  sockets.push(socket)
  await new Promise(resolve => socket.once('connect', resolve))
  return socket
}

/** Frames as a client writes them, collected instead of sent. */
function bytesOf(make: (client: ZookeeperClient) => void): Buffer {
  const client = new ZookeeperClient()
  const parts: Buffer[] = []
  client.socket.handlers = { data: chunk => parts.push(Buffer.from(chunk)), closed() {} }
  make(client)
  return Buffer.concat(parts)
}

async function received(socket: net.Socket, isEnough: (bytes: Buffer) => boolean): Promise<Buffer> {
  let bytes = Buffer.alloc(0)
  for await (const chunk of socket) {
    bytes = Buffer.concat([bytes, chunk as Buffer])
    if (isEnough(bytes)) break
  }
  return bytes
}

test('a session over a real socket, a byte at a time', async () => {
  const socket = await connected()
  const bytes = bytesOf(client => {
    client.connect()
    client.request(operation.create, createRecord('/a'))
    client.request(operation.exists, watchRecord('/a'))
    client.request(operation.closeSession, () => {})
  })
  for (const byte of bytes) socket.write(Buffer.from([byte]))
  const answer = await received(socket, () => false)
  expect(answer.length).toBe(41 + (20 + 6) + (20 + 68) + 20)
})

test('a word is answered to a client that has finished writing', async () => {
  const socket = await connected()
  socket.end('srvr')
  const text = await received(socket, () => false)
  expect(text.toString()).toMatch(/Node count: \d+\n$/)
})

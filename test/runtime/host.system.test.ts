import { mkdtempSync, rmSync } from 'node:fs'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import tls from 'node:tls'
import { afterAll, describe, expect, test } from 'vitest'
import { systemTimers } from '../../runtime/clock.ts'
import { DiskError } from '../../runtime/disk-error.ts'
import { systemDisk } from '../../runtime/disk-node.ts'
import type { Listener, Socket, SocketHandlers } from '../../runtime/host.ts'
import { systemNetwork } from '../../runtime/network-node.ts'
import { writeCertificate } from './fixtures/certificate.ts'

const directory = mkdtempSync(join(tmpdir(), 'quorate-host-'))
afterAll(() => rmSync(directory, { recursive: true }))

function code(operation: () => unknown): string {
  try {
    operation()
  } catch (error) {
    expect(error).toBeInstanceOf(DiskError)
    return (error as DiskError).code
  }
  return 'none'
}

describe('disk', () => {
  test('files keep what was written, and say how much was read', () => {
    const file = systemDisk.open(join(directory, 'a'), 'create')
    file.write(Buffer.from('hello'), 3)
    file.syncNow()
    const target = Buffer.alloc(10)
    expect(file.read(target, 2)).toBe(6)
    expect(target.toString('latin1', 0, 6)).toBe('\0hello')
    expect(file.sizeBytes()).toBe(8)
    file.truncate(4)
    expect(file.sizeBytes()).toBe(4)
    file.close()
    // `create` keeps what is there.
    expect(systemDisk.open(join(directory, 'a'), 'create').sizeBytes()).toBe(4)
  })

  test('a sync off the thread reports by callback', async () => {
    const file = systemDisk.open(join(directory, 'b'), 'createNew')
    file.write(Buffer.alloc(100), 0)
    const error = await new Promise<Error | undefined>(resolve => void file.sync(resolve))
    expect(error).toBeUndefined()
    file.close()
  })

  test('a sync is waited for in place for a while, and goes on without its caller', async () => {
    const file = systemDisk.open(join(directory, 'd'), 'createNew')
    const within = (millisMax: number): Promise<'in place' | 'later'> =>
      new Promise((resolve, reject) => {
        file.write(Buffer.alloc(100), 0)
        const later = (error?: Error): void => (error ? reject(error) : resolve('later'))
        if (file.syncWithin(millisMax, later)) resolve('in place')
      })
    // Its thread is made meanwhile.
    expect(await within(60_000)).toBe('later')
    while ((await within(60_000)) === 'later') await new Promise(setImmediate)
    expect(await within(60_000)).toBe('in place')
    for (let count = 0; count < 50; count++) await within(0)
    expect(await within(60_000)).toBe('in place')
    file.close()
    await expect(within(60_000)).rejects.toThrow('EBADF')
  })

  test('errors carry the code of the system', () => {
    systemDisk.open(join(directory, 'c'), 'createNew').close()
    expect(code(() => systemDisk.open(join(directory, 'c'), 'createNew'))).toBe('EEXIST')
    expect(code(() => systemDisk.open(join(directory, 'missing'), 'write'))).toBe('ENOENT')
    expect(code(() => systemDisk.open(join(directory, 'missing'), 'read'))).toBe('ENOENT')
    expect(code(() => systemDisk.remove(join(directory, 'missing')))).toBe('ENOENT')
    expect(code(() => systemDisk.list(join(directory, 'c')))).toBe('ENOTDIR')
  })

  test('names are made, listed, renamed and removed', () => {
    const path = join(directory, 'sub', 'deep')
    expect(code(() => systemDisk.makeDirectory(path))).toBe('ENOENT')
    systemDisk.makeDirectory(join(directory, 'sub'))
    systemDisk.makeDirectory(path)
    systemDisk.open(join(path, 'x'), 'create').close()
    systemDisk.rename(join(path, 'x'), join(path, 'y'))
    systemDisk.syncDirectory(path)
    expect(systemDisk.list(path)).toEqual(['y'])
    systemDisk.remove(join(directory, 'sub'))
    expect(systemDisk.exists(path)).toBe(false)
    expect(systemDisk.freeBytes(directory)).toBeGreaterThan(0)
  })
})

describe('network', () => {
  interface Pair {
    readonly server: Socket
    readonly client: Socket
    readonly listener: Listener
    readonly closed: {
      server?: { byPeer: boolean; error?: Error }
      client?: { byPeer: boolean; error?: Error }
    }
  }

  function pair(
    onServer: Partial<SocketHandlers>,
    onClient: Partial<SocketHandlers>,
  ): Promise<Pair> {
    return new Promise((resolve, reject) => {
      const closed: Pair['closed'] = {}
      let server: Socket | undefined
      let client: Socket | undefined
      const done = (): void => {
        if (server !== undefined && client !== undefined && isConnected) {
          resolve({ server, client, listener, closed })
        }
      }
      let isConnected = false
      const listener = systemNetwork.listen(
        { host: '127.0.0.1', port: 0 },
        socket => {
          socket.open({ data() {}, closed: cause => void (closed.server = cause), ...onServer })
          server = socket
          done()
        },
        error => {
          if (error !== undefined) return reject(error)
          client = systemNetwork.connect({ host: '127.0.0.1', port: listener.port })
          client.open({
            data() {},
            closed: cause => void (closed.client = cause),
            ...onClient,
            connected() {
              isConnected = true
              done()
            },
          })
        },
      )
    })
  }

  const until = async (condition: () => boolean): Promise<void> => {
    while (!condition()) await new Promise<void>(resolve => void systemTimers.after(2, resolve))
  }

  test('what is written arrives, though its memory is used again at once', async () => {
    const chunks: Uint8Array[] = []
    let drained = 0
    const { client, listener } = await pair(
      { data: chunk => void chunks.push(chunk) },
      { drained: () => void drained++ },
    )
    const memory = Buffer.alloc(100_000)
    for (let round = 0; round < 100; round++) {
      memory.fill(round)
      client.write(memory)
    }
    expect(client.bufferedBytes).toBeGreaterThan(0)
    await until(() => drained > 0)
    expect(client.bufferedBytes).toBe(0)
    client.end()
    await until(() => chunks.reduce((sum, chunk) => sum + chunk.length, 0) === 10_000_000)
    const all = Buffer.concat(chunks)
    for (let round = 0; round < 100; round++) {
      const at = round * 100_000
      expect(all[at]).toBe(round)
      expect(all[at + 99_999]).toBe(round)
    }
    listener.close()
  })

  test('an orderly close is by the peer on one side', async () => {
    const { client, listener, closed } = await pair({}, {})
    client.end()
    await until(() => closed.server !== undefined && closed.client !== undefined)
    expect(closed.server).toEqual({ byPeer: true })
    listener.close()
  })

  test('a reset counts as closed by the peer, with the error', async () => {
    let got = 0
    const { client, server, listener, closed } = await pair({ data: () => void got++ }, {})
    client.write(Buffer.from('x'))
    await until(() => got === 1)
    server.pause()
    client.write(Buffer.alloc(1000))
    await until(() => client.bufferedBytes === 0)
    server.destroy()
    await until(() => closed.client !== undefined)
    expect(closed.client?.byPeer).toBe(true)
    expect(closed.server?.byPeer).toBe(false)
    listener.close()
  })

  test('a pause stops the flow until it is resumed', async () => {
    let bytes = 0
    const { client, server, listener } = await pair(
      { data: chunk => void (bytes += chunk.length) },
      {},
    )
    server.pause()
    client.write(Buffer.alloc(1000))
    await new Promise<void>(resolve => void systemTimers.after(50, resolve))
    expect(bytes).toBe(0)
    server.resume()
    await until(() => bytes === 1000)
    client.end()
    listener.close()
  })

  test('errors: a taken port, and nobody there', async () => {
    const { client, listener } = await pair({}, {})
    const error = await new Promise<Error | undefined>(resolve => {
      systemNetwork.listen({ host: '127.0.0.1', port: listener.port }, () => {}, resolve)
    })
    expect(error).toMatchObject({ code: 'EADDRINUSE' })
    client.end()
    listener.close()
    const cause = await new Promise<{ byPeer: boolean; error?: Error }>(resolve => {
      systemNetwork.connect({ host: '127.0.0.1', port: 1 }).open({ data() {}, closed: resolve })
    })
    expect(cause).toMatchObject({ byPeer: false, error: { code: 'ECONNREFUSED' } })
  })

  test('TLS lets clients in while strangers open connections and begin no handshake', async () => {
    const files = writeCertificate(directory)
    let accepted = 0
    const listener = systemNetwork.listen(
      { host: '127.0.0.1', port: 0, tls: files },
      socket => {
        accepted++
        socket.open({ data: chunk => socket.write(chunk), closed() {} })
      },
      () => {},
    )
    await until(() => listener.port !== 0)
    const { port } = listener
    let ended = 0
    const strangers = Array.from({ length: 300 }, () =>
      net
        .connect(port, '127.0.0.1')
        .on('close', () => ended++)
        .on('error', () => {})
        .resume(),
    )
    // No more than this may wait from one address: the oldest make room.
    await until(() => ended >= 300 - 128)
    const client = tls.connect({ host: '127.0.0.1', port, rejectUnauthorized: false })
    client.write('echo')
    const chunk = await new Promise<Buffer>(resolve => void client.once('data', resolve))
    expect(chunk.toString()).toBe('echo')
    expect(accepted).toBe(1)
    expect(ended).toBeLessThan(300)
    // A client that is in is none of them, whatever comes after it.
    for (let count = 0; count < 200; count++)
      strangers.push(
        net
          .connect(port, '127.0.0.1')
          .on('close', () => ended++)
          .on('error', () => {})
          .resume(),
      )
    await until(() => ended >= 500 - 128)
    client.write('again')
    const later = await new Promise<Buffer>(resolve => void client.once('data', resolve))
    expect(later.toString()).toBe('again')
    client.destroy()
    for (const stranger of strangers) stranger.destroy()
    listener.close()
  })

  test('TLS agrees on a protocol', async () => {
    const files = writeCertificate(directory)
    let protocol = ''
    const listener = systemNetwork.listen(
      { host: '127.0.0.1', port: 0, tls: { ...files, protocols: ['h2', 'http/1.1'] } },
      socket => {
        protocol = socket.protocol
        socket.open({ data: chunk => socket.write(chunk), closed() {} })
      },
      () => {},
    )
    await until(() => listener.port !== 0)
    const client = tls.connect({
      host: '127.0.0.1',
      port: listener.port,
      rejectUnauthorized: false,
      ALPNProtocols: ['http/1.1', 'h2'],
    })
    client.write('echo')
    const chunk = await new Promise<Buffer>(resolve => void client.once('data', resolve))
    expect(chunk.toString()).toBe('echo')
    expect(protocol).toBe('h2')
    client.destroy()
    listener.close()
  })
})

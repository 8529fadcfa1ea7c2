import { once } from 'node:events'
import http from 'node:http'
import net from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import type { EtcdServer } from '../../../transport/etcd/server.ts'
import { startEchoServer } from './echo-server.ts'

describe('HTTP/1.1 on the etcd port', () => {
  let server: EtcdServer

  afterEach(() => new Promise<void>(resolve => server.close(0, resolve)))

  it('keeps a connection for several requests, bodies included', async () => {
    server = await startEchoServer()
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 })
    const first = await request({ agent, path: '/health?serializable=true' })
    const second = await request({ agent, path: '/nothing', method: 'POST' }, '{"key":"Zm9v"}')
    const third = await request({ agent, path: '/', method: 'HEAD' })
    expect([first.status, second.status, third.status]).toEqual([200, 404, 200])
    expect(first.body).toBe('{"health":"true","reason":""}')
    expect(third.body).toBe('')
    expect(first.localPort).toBe(third.localPort)
    agent.destroy()
  })

  it('understands a request that comes byte by byte', async () => {
    server = await startEchoServer()
    const socket = net.connect({ port: server.port, host: '127.0.0.1', noDelay: true })
    await once(socket, 'connect')
    for (const byte of Buffer.from(
      'GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n',
    )) {
      socket.write(Buffer.of(byte))
      await new Promise(resolve => setImmediate(resolve))
    }
    expect(await readAll(socket)).toContain('{"health":"true","reason":""}')
  })

  it('refuses a body above messageBytesMax', async () => {
    server = await startEchoServer({ limits: { messageBytesMax: 1000 } })
    const answer = await request({ path: '/v3/kv/put', method: 'POST' }, 'x'.repeat(1001))
    expect(answer.status).toBe(413)
  })

  it('closes a client that does not finish its request (http1IdleMillisMax)', async () => {
    server = await startEchoServer({ limits: { http1IdleMillisMax: 500 } })
    const socket = net.connect({ port: server.port, host: '127.0.0.1' })
    socket.write('GET /health HTTP/1.1\r\nHost: x\r\n')
    expect(await readAll(socket)).toBe('')
    await expect.poll(() => server.status().connections).toBe(0)
  })

  it('closes a client whose headers do not end (http1HeadersMillisMax), of its second request too', async () => {
    server = await startEchoServer({ limits: { http1HeadersMillisMax: 500 } })
    const [first, second] = [0, 1].map(() => net.connect({ port: server.port, host: '127.0.0.1' }))
    first!.write('GET /health HTTP/1.1\r\nHost: x\r\nx-slow: ')
    second!.write('GET /health HTTP/1.1\r\nHost: x\r\n\r\nGET /he')
    expect(await readAll(first!)).toBe('')
    expect(await readAll(second!)).toContain('{"health":"true","reason":""}')
    await expect.poll(() => server.status().connections).toBe(0)
  })

  it('says GOAWAY to what is neither', async () => {
    server = await startEchoServer()
    const socket = net.connect({ port: server.port, host: '127.0.0.1' })
    socket.write('ruok')
    expect(await readAll(socket)).toContain('not the preface of HTTP/2')
  })

  function request(
    options: http.RequestOptions,
    body = '',
  ): Promise<{ status: number; body: string; localPort: number | undefined }> {
    return new Promise((resolve, reject) => {
      const outgoing = http.request(
        { host: '127.0.0.1', port: server.port, ...options },
        response => {
          // The agent takes the socket back when the answer ends.
          const { localPort } = response.socket
          let text = ''
          response.on('data', chunk => {
            text += chunk
          })
          response.on('end', () =>
            resolve({ status: response.statusCode ?? 0, body: text, localPort }),
          )
        },
      )
      outgoing.on('error', reject)
      outgoing.end(body)
    })
  }
})

async function readAll(socket: net.Socket): Promise<string> {
  let text = ''
  socket.on('data', chunk => {
    text += chunk
  })
  socket.on('error', () => {})
  await once(socket, 'close')
  return text
}

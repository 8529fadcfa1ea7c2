import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import http from 'node:http'
import http2 from 'node:http2'
import https from 'node:https'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as grpc from '@grpc/grpc-js'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { EtcdServer } from '../../../transport/etcd/server.ts'
import { type EchoEvent, startEchoServer } from './echo-server.ts'

const asIs = (bytes: Buffer) => bytes
const definition = (name: string, streaming: boolean) => ({
  path: `/test.Echo/${name}`,
  requestStream: streaming,
  responseStream: streaming || name === 'Repeat',
  requestSerialize: asIs,
  requestDeserialize: asIs,
  responseSerialize: asIs,
  responseDeserialize: asIs,
})
const EchoClient = grpc.makeGenericClientConstructor(
  {
    unary: definition('Unary', false),
    stream: definition('Stream', true),
    fail: definition('Fail', false),
    silent: definition('Silent', false),
    repeat: definition('Repeat', false),
    missing: definition('Missing', false),
  },
  'test.Echo',
)

type Result = { readonly error: grpc.ServiceError | null; readonly message: Buffer | undefined }

function unary(
  client: grpc.Client,
  method: string,
  message: Buffer,
  options = {},
): Promise<Result> {
  return new Promise(resolve =>
    client.makeUnaryRequest(
      `/test.Echo/${method}`,
      asIs,
      asIs,
      message,
      new grpc.Metadata(),
      options,
      (error, answer) => resolve({ error, message: answer }),
    ),
  )
}

describe.each(['plain', 'TLS'] as const)('gRPC clients (%s)', mode => {
  const directory = mkdtempSync(join(tmpdir(), 'quorate-tls-'))
  const tls = { certificate: join(directory, 'certificate.pem'), key: join(directory, 'key.pem') }
  const events: EchoEvent[] = []
  let server: EtcdServer
  let client: grpc.Client

  beforeAll(async () => {
    if (mode === 'TLS') selfSigned(tls)
    server = await startEchoServer({
      ...(mode === 'TLS' && { tls }),
      onEvent: event => events.push(event),
    })
    client = newClient()
  })

  afterAll(async () => {
    client.close()
    await new Promise<void>(resolve => server.close(500, resolve))
    rmSync(directory, { recursive: true })
  })

  function newClient(): grpc.Client {
    const options = { 'grpc.max_receive_message_length': -1, 'grpc.max_send_message_length': -1 }
    if (mode === 'plain')
      return new EchoClient(`127.0.0.1:${server.port}`, grpc.credentials.createInsecure(), options)
    const credentials = grpc.credentials.createSsl(readFileSync(tls.certificate))
    return new EchoClient(`localhost:${server.port}`, credentials, options)
  }

  it('answers a unary call', async () => {
    const { error, message } = await unary(client, 'Unary', Buffer.from('hello'))
    expect(error).toBeNull()
    expect(message?.toString()).toBe('hello')
  })

  it('answers many calls at once, each its own', async () => {
    const texts = Array.from({ length: 500 }, (_, at) => `message ${at}`)
    const answers = await Promise.all(texts.map(text => unary(client, 'Unary', Buffer.from(text))))
    expect(answers.map(answer => answer.message?.toString())).toEqual(texts)
  })

  it('carries the largest message, both ways, through the windows', async () => {
    const large = Buffer.alloc(2_097_152, 'abcdefg')
    const { error, message } = await unary(client, 'Unary', large)
    expect(error).toBeNull()
    expect(message?.equals(large)).toBe(true)
  })

  it('refuses a larger one as gRPC does', async () => {
    const { error } = await unary(client, 'Unary', Buffer.alloc(2_097_153))
    expect(error?.code).toBe(grpc.status.RESOURCE_EXHAUSTED)
    expect(error?.details).toBe('grpc: received message larger than max (2097153 vs. 2097152)')
  })

  it('gives errors their code and text, beyond ASCII too', async () => {
    const { error } = await unary(client, 'Fail', Buffer.from('100 % – não'))
    expect(error?.code).toBe(grpc.status.FAILED_PRECONDITION)
    expect(error?.details).toBe('100 % – não')
  })

  it('names an unknown method', async () => {
    const { error } = await unary(client, 'Missing', Buffer.from(''))
    expect(error?.code).toBe(grpc.status.UNIMPLEMENTED)
    expect(error?.details).toBe('unknown method Missing for service test.Echo')
  })

  it('takes messages in gzip, but none that is too large then, and no other encoding', async () => {
    const [deflate, gzip] = [1, 2].map(newCompressingClient) as [grpc.Client, grpc.Client]
    const message = Buffer.alloc(10_000, 'a')
    expect((await unary(gzip, 'Unary', message)).message).toEqual(message)
    const large = await unary(gzip, 'Unary', Buffer.alloc(10_000_000, 'a'))
    expect(large.error?.code).toBe(grpc.status.RESOURCE_EXHAUSTED)
    expect(large.error?.details).toMatch(/^grpc: received message after decompression larger than/)
    const other = await unary(deflate, 'Unary', message)
    expect(other.error?.code).toBe(grpc.status.UNIMPLEMENTED)
    expect(other.error?.details).toBe(
      'grpc: Decompressor is not installed for grpc-encoding "deflate"',
    )
    for (const client of [deflate, gzip]) client.close()
  })

  function newCompressingClient(algorithm: number): grpc.Client {
    const options = { 'grpc.default_compression_algorithm': algorithm }
    if (mode === 'plain')
      return new EchoClient(`127.0.0.1:${server.port}`, grpc.credentials.createInsecure(), options)
    const credentials = grpc.credentials.createSsl(readFileSync(tls.certificate))
    return new EchoClient(`localhost:${server.port}`, credentials, options)
  }

  it('learns that a client gave up', async () => {
    events.length = 0
    const { error } = await unary(client, 'Silent', Buffer.from(''), { deadline: Date.now() + 50 })
    expect(error?.code).toBe(grpc.status.DEADLINE_EXCEEDED)
    await expect.poll(() => events.map(event => event.kind)).toContain('cancelled')
  })

  it('streams both ways and ends with the client', async () => {
    const call = client.makeBidiStreamRequest('/test.Echo/Stream', asIs, asIs)
    const received: string[] = []
    call.on('data', (message: Buffer) => received.push(message.toString()))
    const status = new Promise<grpc.StatusObject>(resolve => call.on('status', resolve))
    for (let at = 0; at < 100; at++) call.write(Buffer.from(`part ${at}`))
    call.end()
    expect((await status).code).toBe(grpc.status.OK)
    expect(received).toEqual(Array.from({ length: 100 }, (_, at) => `part ${at}`))
  })

  it('streams more than the windows hold', async () => {
    const message = Buffer.alloc(8_000, 'x')
    const call = client.makeServerStreamRequest('/test.Echo/Repeat', asIs, asIs, message)
    let bytes = 0
    call.on('data', (part: Buffer) => {
      bytes += part.length
    })
    await new Promise(resolve => call.on('end', resolve))
    expect(bytes).toBe(1000 * message.length)
  })

  it('answers HTTP/1.1 and HTTP/2 requests on the same port', async () => {
    expect(await httpGet(mode, server.port, '/health', tls)).toEqual({
      status: 200,
      body: '{"health":"true","reason":""}',
    })
    expect((await httpGet(mode, server.port, '/nothing', tls)).status).toBe(404)
    expect(await http2Get(mode, server.port, '/health', tls)).toEqual({
      status: 200,
      body: '{"health":"true","reason":""}',
    })
  })
})

describe('closing', () => {
  it('lets a running stream finish and refuses what comes later', async () => {
    const server = await startEchoServer()
    const client = new EchoClient(`127.0.0.1:${server.port}`, grpc.credentials.createInsecure())
    const call = client.makeBidiStreamRequest('/test.Echo/Stream', asIs, asIs)
    const received: string[] = []
    call.on('data', (message: Buffer) => received.push(message.toString()))
    call.write(Buffer.from('before'))
    await expect.poll(() => received).toEqual(['before'])
    let closed = false
    server.close(10_000, () => {
      closed = true
    })
    call.write(Buffer.from('after'))
    await expect.poll(() => received).toEqual(['before', 'after'])
    expect(closed).toBe(false)
    const status = new Promise<grpc.StatusObject>(resolve => call.on('status', resolve))
    call.end()
    expect((await status).code).toBe(grpc.status.OK)
    await expect.poll(() => closed, { timeout: 5000 }).toBe(true)
    client.close()
  })

  it('says that a port is taken', async () => {
    const taken = net.createServer().listen(0, '127.0.0.1')
    await new Promise(resolve => taken.on('listening', resolve))
    const { port } = taken.address() as net.AddressInfo
    await expect(startEchoServer({ port })).rejects.toMatchObject({ code: 'EADDRINUSE' })
    taken.close()
  })
})

function selfSigned(files: { readonly certificate: string; readonly key: string }): void {
  const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1']
  const key = [
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:prime256v1',
    '-nodes',
    '-keyout',
    files.key,
  ]
  execFileSync(
    'openssl',
    ['req', '-x509', '-days', '2', ...subject, ...key, '-out', files.certificate],
    {
      stdio: 'ignore',
    },
  )
}

type Answer = { readonly status: number; readonly body: string }
type Files = { readonly certificate: string }

function httpGet(mode: 'plain' | 'TLS', port: number, path: string, files: Files): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const read = (response: http.IncomingMessage) => {
      let body = ''
      response.on('data', chunk => {
        body += chunk
      })
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body }))
    }
    const host = 'localhost'
    const request =
      mode === 'plain'
        ? http.get({ host, family: 4, port, path }, read)
        : https.get({ host, family: 4, port, path, ca: readFileSync(files.certificate) }, read)
    request.on('error', reject)
  })
}

function http2Get(
  mode: 'plain' | 'TLS',
  port: number,
  path: string,
  files: Files,
): Promise<Answer> {
  const origin = `${mode === 'plain' ? 'http' : 'https'}://localhost:${port}`
  const options = mode === 'plain' ? {} : { ca: readFileSync(files.certificate) }
  const session = http2.connect(origin, options)
  return new Promise((resolve, reject) => {
    session.on('error', reject)
    const request = session.request({ ':path': path })
    let status = 0
    let body = ''
    request.on('response', headers => {
      status = Number(headers[':status'])
    })
    request.on('data', chunk => {
      body += chunk
    })
    request.on('end', () => {
      session.close()
      resolve({ status, body })
    })
    request.end()
  })
}

/** Strangers at the admin port with TLS: bounded in number, and said in the log, a line a minute for each cause. */
import { mkdtempSync, rmSync } from 'node:fs'
import { get } from 'node:https'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { handshakeNews } from '../../../actors/handshake-news.ts'
import { createLogger } from '../../../runtime/log.ts'
import { startAdminServer } from '../../../transport/admin/admin-server.ts'
import { writeCertificate } from '../../runtime/fixtures/certificate.ts'

const directory = mkdtempSync(join(tmpdir(), 'admin-tls-'))
afterAll(() => rmSync(directory, { recursive: true }))

async function freePort(): Promise<number> {
  const server = net.createServer().listen(0, '127.0.0.1')
  await new Promise(resolve => void server.once('listening', resolve))
  const { port } = server.address() as net.AddressInfo
  await new Promise(resolve => void server.close(resolve))
  return port
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise(resolve => void setTimeout(resolve, 5))
}

function ready(port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    get({ host: '127.0.0.1', port, path: '/ready', rejectUnauthorized: false }, response => {
      response.on('data', chunk => resolve(String(chunk)))
    }).on('error', reject)
  })
}

test('callers that never finish a handshake make room for those who do, and the log stays short', async () => {
  const lines: string[] = []
  const write = (line: string): void => void lines.push(line)
  const log = createLogger({ level: 'info', format: 'text', wallMillis: () => 0, write })
  let failures = 0
  const news = handshakeNews(log, { monotonicMillis: () => 0 }, 'admin')
  const port = await freePort()
  const server = await startAdminServer({
    host: '127.0.0.1',
    port,
    tls: writeCertificate(directory),
    guard: () => undefined,
    handle: (_, answer) => answer({ status: 200, body: 'yes' }),
    onHandshakeFailed: (address, error) => {
      failures += 1
      news(address, error)
    },
  })
  let ended = 0
  const connect = (): net.Socket =>
    net
      .connect(port, '127.0.0.1')
      .on('close', () => ended++)
      .on('error', () => {})
      .resume()
  const silent = Array.from({ length: 300 }, connect)
  await until(() => ended >= 300 - 128)
  expect(await ready(port)).toBe('yes')
  for (let count = 0; count < 40; count += 1) connect().end('this is not TLS\r\n\r\n')
  await until(() => failures >= 40)
  expect(await ready(port)).toBe('yes')
  expect(lines.length).toBeLessThan(5)
  expect(lines.join()).toContain('A TLS handshake has failed port=admin')
  for (const socket of silent) socket.destroy()
  server.close()
})

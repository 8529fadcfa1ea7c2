/** The admin port of a running node: foreign pages, tokens, the socket; signals and certificates that change. */
import { execFile } from 'node:child_process'
import { copyFileSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect as connectSecurely, type TLSSocket } from 'node:tls'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type Authority, writeAuthority, writeSigned } from '../../runtime/fixtures/certificate.ts'
import { LocalCluster, sleep } from '../../support/local-cluster.ts'

const run = promisify(execFile)
const main = fileURLToPath(new URL('../../../actors/node/main.ts', import.meta.url))
let cluster: LocalCluster
let directory: string

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'quorate-admin-'))
  cluster = new LocalCluster({ portBase: 20_900, nodeCount: 1 })
})
afterEach(async () => {
  await cluster.stop()
  rmSync(directory, { recursive: true })
})

async function transfer(headers: Record<string, string>): Promise<string> {
  const body = JSON.stringify({ node: 'node9' })
  const answer = await rawRequest(
    `POST /transfer HTTP/1.1\r\nHost: 127.0.0.1:20921\r\nConnection: close\r\n` +
      Object.entries(headers)
        .map(([name, value]) => `${name}: ${value}\r\n`)
        .join('') +
      `Content-Length: ${body.length}\r\n\r\n${body}`,
  )
  return answer
}

function rawRequest(text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let answer = ''
    const socket = connect(20_921, '127.0.0.1', () => socket.write(text))
    socket.on('data', part => (answer += part.toString()))
    socket.on('end', () => resolve(`${answer.slice(9, 12)} ${answer.split('\r\n\r\n')[1]?.trim()}`))
    socket.on('error', reject)
  })
}

function command(...args: string[]): Promise<string> {
  return run(process.execPath, [main, ...args]).then(
    ({ stdout }) => stdout,
    (error: { stdout: string; stderr: string }) => error.stdout + error.stderr,
  )
}

const json = { 'Content-Type': 'application/json' }

test('what a foreign page can send changes and shows nothing', async () => {
  await cluster.startAll()
  // What a browser sends of a form or of fetch() in another origin.
  const form = { Origin: 'http://evil.example', 'Content-Type': 'text/plain' }
  expect(await transfer(form)).toMatch(/^403 .*another origin/)
  expect(await transfer({ 'Content-Type': 'text/plain' })).toMatch(/^415 .*application\/json/)
  expect(await transfer({ ...json, Origin: 'null' })).toMatch(/^403/)
  // Got past all of that: the node itself answers.
  expect(await transfer(json)).toMatch(/^400 .*is no node/)
  const rebound = 'GET /status HTTP/1.1\r\nHost: evil.example:20921\r\nConnection: close\r\n\r\n'
  expect(await rawRequest(rebound)).toMatch(/^403 .*evil\.example\\" is no name of this node/)
  expect(await rawRequest(rebound.replace('evil.example', 'localhost'))).toMatch(/^200 .*"node1"/)
})

test('a token opens changes to the command line, and the socket does without one', async () => {
  const tokenFile = join(directory, 'token')
  const socket = join(directory, 'admin.sock')
  writeFileSync(tokenFile, 'a-token-of-sixteen-characters\n', { mode: 0o600 })
  cluster.configure(1, ({ listeners }) =>
    Object.assign(listeners!['admin'] as object, { tokenFile, socket }),
  )
  await cluster.startAll()
  expect(statSync(socket).mode & 0o777).toBe(0o600)
  const promote = ['member', 'promote', 'node1', '--endpoints']
  const answered = /is no learner|a member already|not a learner|learner/
  expect(await command(...promote, cluster.admin(1))).toMatch(/changes need the token/)
  expect(await command(...promote, cluster.admin(1), '--token', 'another-one-of-length')).toMatch(
    /the token is not one of/,
  )
  expect(await command(...promote, cluster.admin(1), '--token-file', tokenFile)).toMatch(answered)
  expect(await command(...promote, `unix:${socket}`)).toMatch(answered)
  expect(await command('status', '--endpoints', `unix:${socket}`)).toMatch(/^node1 +leader/m)
  expect(await command('status', '--endpoints', cluster.admin(1))).toMatch(/^node1 +leader/m)
  expect(await command('status', '--token-file', '/none')).toContain('--token-file: ENOENT')
  // What a killed process left behind does not keep the next one from starting.
  await cluster.signal(1, 'SIGKILL')
  await cluster.startAll()
  expect(await command('status', '--endpoints', `unix:${socket}`)).toMatch(/^node1 +leader/m)
})

test('SIGHUP and SIGUSR1 leave a node as it is', async () => {
  await cluster.startAll()
  process.kill(cluster.pid(1), 'SIGHUP')
  process.kill(cluster.pid(1), 'SIGUSR1')
  await sleep(500)
  await cluster.untilReady(1)
  expect(cluster.output(1)).not.toContain('Debugger listening')
  const inspector = new Promise<string>(resolve => {
    const socket = connect(9229, '127.0.0.1', () => resolve('open'))
    socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? ''))
  })
  expect(await inspector).toBe('ECONNREFUSED')
})

const doors = { zookeeper: 20_901, etcd: 20_911, admin: 20_921, peers: 20_931 } as const

/** Opens TLS as a peer would, who shows a certificate where one is asked for. */
function open(port: number, authority: Authority): Promise<TLSSocket> {
  const own = writeSigned(directory, authority, 'client', ['127.0.0.1'])
  const [ca, cert, key] = [authority.file, own.certificate, own.key].map(file => readFileSync(file))
  return new Promise((resolve, reject) => {
    const options = { port, host: '127.0.0.1', ca: ca!, cert: cert!, key: key! }
    const socket = connectSecurely(options, () => resolve(socket))
    socket.on('error', reject)
  })
}

/** The common name of the certificate that each port shows. */
async function shown(authority: Authority): Promise<string[]> {
  const names: string[] = []
  for (const port of Object.values(doors)) {
    const socket = await open(port, authority)
    names.push(String(socket.getPeerCertificate().subject.CN))
    socket.destroy()
  }
  return names
}

function lines(what: RegExp): number {
  return cluster.output(1).match(new RegExp(what, 'g'))?.length ?? 0
}

async function untilLines(what: RegExp, count: number): Promise<void> {
  for (let tries = 0; lines(what) < count; tries++) {
    if (tries > 3000) throw new Error(`${lines(what)} times ${what} in:\n${cluster.output(1)}`)
    await sleep(20)
  }
}

test('certificates of all ports change with their files, and connections go on', async () => {
  const authority = writeAuthority(directory)
  const issue = (name: string) => writeSigned(directory, authority, name, ['127.0.0.1'])
  const { certificate, key } = issue('current')
  const change = (to: { certificate: string; key: string }): void => {
    copyFileSync(to.certificate, certificate)
    copyFileSync(to.key, key)
  }
  cluster.configure(1, ({ listeners = {} }) => {
    for (const door of ['zookeeper', 'etcd', 'admin'])
      Object.assign(listeners[door] as object, { certificate, key })
    listeners['peers'] = { certificate, key, authority: authority.file }
  })
  cluster.start(1)
  await untilLines(/ready to serve client requests/i, 1)
  expect(await shown(authority)).toEqual(['current', 'current', 'current', 'current'])
  const session = await open(doors.zookeeper, authority)

  change(issue('second'))
  await untilLines(/The certificate has been read again/, 4)
  expect(await shown(authority)).toEqual(['second', 'second', 'second', 'second'])

  // Half a rotation: a key that does not fit. One line a port, and what was there stays.
  const third = issue('third')
  copyFileSync(third.certificate, certificate)
  await untilLines(/error The changed certificate cannot be used/, 4)
  expect(await shown(authority)).toEqual(['second', 'second', 'second', 'second'])
  writeFileSync(certificate, 'nothing that is a certificate')
  process.kill(cluster.pid(1), 'SIGHUP')
  await untilLines(/error The changed certificate cannot be used/, 8)
  expect(await shown(authority)).toEqual(['second', 'second', 'second', 'second'])
  copyFileSync(third.certificate, certificate)
  copyFileSync(third.key, key)
  process.kill(cluster.pid(1), 'SIGHUP')
  await untilLines(/The certificate has been read again/, 8)
  expect(await shown(authority)).toEqual(['third', 'third', 'third', 'third'])

  // The connection of the beginning still answers.
  expect(await word(session, 'isro')).toBe('rw')
})

function word(socket: TLSSocket, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let answer = ''
    socket.on('data', (part: Buffer) => (answer += part.toString()))
    socket.on('end', () => resolve(answer))
    socket.on('error', reject)
    socket.write(text)
  })
}

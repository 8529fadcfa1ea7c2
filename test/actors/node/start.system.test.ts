/** Starts that cannot be: each ends with one line that names what is wrong, and exit code 1. */
import { execFile, execFileSync, spawn } from 'node:child_process'
import {
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { createServer as createHttpServer } from 'node:http'
import { connect, createServer } from 'node:net'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { crc32c } from '../../../runtime/crc32c.ts'
import { at, sectorBytes } from '../../../storage/journal-record.ts'
import { writeCertificate } from '../../runtime/fixtures/certificate.ts'
import { LocalCluster, sleep } from '../../support/local-cluster.ts'

const run = promisify(execFile)
const main = fileURLToPath(new URL('../../../actors/node/main.ts', import.meta.url))
let cluster: LocalCluster

beforeEach(() => {
  cluster = new LocalCluster({ portBase: 20_500, nodeCount: 1 })
})
afterEach(() => cluster.stop())

async function faultOf(...args: string[]): Promise<string> {
  try {
    const { stdout } = await run(process.execPath, [main, ...args])
    return `no fault: ${stdout}`
  } catch (error) {
    const { code, stderr } = error as { code: number; stderr: string }
    expect(code).toBe(1)
    return stderr.trim()
  }
}

function startFault(): Promise<string> {
  return faultOf('start', '--config', cluster.configFile(1))
}

test.each([
  [20_501, 'zookeeper'],
  [20_511, 'etcd'],
  [20_521, 'admin'],
  [20_531, 'peers'],
] as const)('port %i that another process has', async (port, use) => {
  const other = createServer()
  await new Promise<void>(resolve => other.listen(port, '127.0.0.1', resolve))
  expect(await startFault()).toBe(
    `quorate: port ${port} on 127.0.0.1 (${use}, node1) is taken by another process`,
  )
  await new Promise(resolve => other.close(resolve))
})

test('a node of another run on the same ports is not taken for our own', async () => {
  await cluster.startAll()
  const second = new LocalCluster({ portBase: 20_500, nodeCount: 1 })
  try {
    await expect(second.startAll()).rejects.toThrow('port 20501 on 127.0.0.1 (zookeeper, node1)')
  } finally {
    await second.stop()
  }
})

test('--fresh while the cluster of that directory runs throws nothing away', async () => {
  const directory = join(cluster.directory, 'dev')
  await run(process.execPath, [main, 'init', '--nodes', '1', '--dir', directory])
  const file = join(directory, 'node1.yaml')
  writeFileSync(file, readFileSync(file, 'utf8').replace('port: 2181', 'port: 20501'))
  const other = createServer()
  await new Promise<void>(resolve => other.listen(20_501, '127.0.0.1', resolve))
  expect(await faultOf('dev', '--nodes', '1', '--dir', directory, '--fresh')).toBe(
    'quorate: port 20501 on 127.0.0.1 (zookeeper, node1) is taken by another process',
  )
  expect(readFileSync(file, 'utf8')).toContain('port: 20501')
  await new Promise(resolve => other.close(resolve))
})

test('--fresh throws data away and keeps the config file that the user has changed', async () => {
  const directory = join(cluster.directory, 'dev')
  await run(process.execPath, [main, 'init', '--nodes', '1', '--dir', directory])
  const file = join(directory, 'node1.yaml')
  const ports = [
    ['port: 2181', 'port: 20501'],
    ['port: 2379', 'port: 20511'],
    ['port: 7201', 'port: 20521'],
    ['127.0.0.1:7101', '127.0.0.1:20531'],
  ] as const
  let text = readFileSync(file, 'utf8')
  for (const [from, to] of ports) text = text.replace(from, to)
  writeFileSync(file, text)
  const secretFile = join(directory, 'secret')
  const secret = readFileSync(secretFile, 'utf8')
  expect(statSync(secretFile).mode & 0o777).toBe(0o600)
  const old = join(directory, 'node1', 'old')
  mkdirSync(dirname(old))
  writeFileSync(old, '')
  const args = [main, 'dev', '--nodes', '1', '--dir', directory, '--fresh']
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  let output = ''
  const ended = new Promise(resolve => child.on('exit', resolve))
  await new Promise<void>(resolve => {
    child.stdout.on('data', (part: Buffer) => {
      output += part.toString()
      if (output.includes('Ctrl-C stops all nodes')) resolve()
    })
    void ended.then(() => resolve())
  })
  child.kill('SIGINT')
  expect(await ended).toBe(0)
  expect(output).toContain('127.0.0.1:20501')
  expect(readFileSync(file, 'utf8')).toBe(text)
  expect(readdirSync(dirname(old))).not.toContain('old')
  expect(readFileSync(secretFile, 'utf8')).toBe(secret)
  expect(output).not.toContain('Nothing proves')
})

test('lag is measured against the highest commit of all nodes that were asked', async () => {
  const servers = [
    { commit: 12, applied: 9 },
    { commit: 8, applied: 8 },
  ].map(({ commit, applied }, at) =>
    createHttpServer((_request, response) => {
      const consensus = { role: 'follower', epoch: 1, leader: 1, commit }
      const state = { applied, revision: 1, zxid: 1, sessions: 0 }
      const watches = { watches: 0 }
      const peers = { links: [] }
      response.end(
        JSON.stringify({
          node: `node${at + 1}`,
          differences: [],
          consensus,
          state,
          watches,
          peers,
        }),
      )
    }).listen(20_501 + at, '127.0.0.1'),
  )
  const endpoints = '127.0.0.1:20501,127.0.0.1:20502'
  const asked = run(process.execPath, [main, 'status', '--endpoints', endpoints])
  const { stdout } = await asked.finally(() => {
    for (const server of servers) server.close()
  })
  expect(stdout).toMatch(/^node1 .* 3 +-\s*$/m)
  expect(stdout).toMatch(/^node2 .* 4 +-\s*$/m)
})

test('status fails without a leader and with nodes missing, and keeps its columns', async () => {
  const answer = (leader: number, role: string, up: boolean) => ({
    node: 'node1',
    differences: [],
    consensus: { role, epoch: 4, leader, commit: 7 },
    peers: { links: [{ node: 2, up, member: true, roundTripMillis: 1 }] },
    state: { applied: 7, revision: 3, zxid: 2, sessions: 5 },
    watches: { watches: 6 },
  })
  let current = answer(1, 'leader', true)
  const server = createHttpServer((_request, response) => response.end(JSON.stringify(current)))
  await new Promise<void>(resolve => server.listen(20_501, '127.0.0.1', resolve))
  const status = async (...more: string[]) => {
    const args = [main, 'status', '--endpoints', ['127.0.0.1:20501', ...more].join(',')]
    const { code = 0, stdout } = await run(process.execPath, args).catch(error => error)
    return [code, stdout] as [number, string]
  }
  try {
    expect(await status()).toEqual([0, expect.stringMatching(/^node1 +leader +4 +7 +3 /m)])
    const [code, table] = await status('127.0.0.1:20502')
    expect([code, /^127.0.0.1:20502 +unreachable( +-){8} *$/m.test(table)]).toEqual([1, true])
    expect(table).toContain('127.0.0.1:20502 is unreachable: connect ECONNREFUSED')
    current = answer(1, 'leader', false)
    expect(await status()).toEqual([1, expect.stringContaining('node 2 has no link to the leader')])
    current = answer(0, 'candidate', true)
    expect(await status()).toEqual([1, expect.stringContaining('no leader is known')])
  } finally {
    await new Promise(resolve => server.close(resolve))
  }
})

test('a configuration that is not there', async () => {
  rmSync(cluster.configFile(1))
  expect(await startFault()).toContain(`${cluster.configFile(1)}: cannot be read: ENOENT`)
})

test('directories that cannot be used, and endpoints that are none', async () => {
  const plain = join(cluster.directory, 'plain')
  writeFileSync(plain, '')
  for (const command of ['init', 'dev']) {
    expect(await faultOf(command, '--nodes', '1', '--dir', plain)).toMatch(
      new RegExp(`^quorate: ENOTDIR: .* '${plain}(/node1.yaml|/secret)?'$`),
    )
    expect(await faultOf(command, '--nodes', '1', '--dir', '/proc/quorate/dev')).toMatch(
      /^quorate: ENOENT: .*mkdir '\/proc\/quorate'$/,
    )
  }
  const text = readFileSync(cluster.configFile(1), 'utf8')
  for (const path of [plain, '/sys/quorate', '/proc/quorate/data']) {
    writeFileSync(cluster.configFile(1), text.replace(cluster.dataDirectory(1), path))
    expect(await startFault()).toMatch(
      new RegExp(`^quorate: the data directory ${path} cannot be used: E[A-Z]+: .*$`, 'm'),
    )
  }
  for (const endpoints of ['', '127.0.0.1', 'a:1,,b:2', 'ftp://a:1']) {
    expect(await faultOf('status', '--endpoints', endpoints)).toContain('is not host:port.')
  }
})

test('the admin port over TLS serves the command line, and nobody who does not trust it', async () => {
  const { certificate, key } = writeCertificate(cluster.directory)
  const text = readFileSync(cluster.configFile(1), 'utf8')
  const config = JSON.parse(text) as { listeners: { admin: object } }
  Object.assign(config.listeners.admin, { certificate, key })
  writeFileSync(cluster.configFile(1), JSON.stringify(config))
  cluster.start(1)
  while (!cluster.output(1).includes('ready to serve client requests')) await sleep(20)
  const status = ['status', '--endpoints', 'https://localhost:20521']
  const trusting = { env: { ...process.env, NODE_EXTRA_CA_CERTS: certificate } }
  const { stdout } = await run(process.execPath, [main, ...status], trusting)
  expect(stdout).toMatch(/^node1 +leader +/m)
  const named = await run(process.execPath, [main, ...status, '--cacert', certificate])
  expect(named.stdout).toMatch(/^node1 +leader +/m)
  const untrusting = run(process.execPath, [main, ...status])
  await expect(untrusting).rejects.toMatchObject({
    code: 1,
    stdout: expect.stringMatching(/unreachable: self-signed certificate/),
  })
  const plain = run(process.execPath, [main, 'status', '--endpoints', '127.0.0.1:20521'])
  await expect(plain).rejects.toMatchObject({ code: 1 })
})

test('the admin port answers what makes no sense, and goes on', async () => {
  cluster.start(1)
  await cluster.untilReady(1)
  const own = { change: 'replace', node: 'node1', store: '0'.repeat(32) }
  const nowhere = { ...own, change: 'add', node: '4', peer: 'nonsense' }
  const cases: [
    method: 'GET' | 'POST',
    path: string,
    body: string,
    status: number,
    error: RegExp,
  ][] = [
    ['GET', '/none', '', 404, /no GET \/none/],
    ['POST', '/members', '{', 400, /not JSON/],
    ['POST', '/members', 'null', 400, /not JSON|change and node/],
    ['POST', '/members', '{"change":"add","node":"4","peer":5}', 400, /as texts/],
    ['POST', '/members', JSON.stringify(nowhere), 409, /--peer nonsense: must be "host:port"/],
    ['POST', '/members', JSON.stringify(own), 409, /node 1 leads, so its data is not lost/],
    ['POST', '/transfer', '{', 400, /is no node/],
    ['POST', '/transfer', 'null', 400, /is no node/],
    ['POST', '/transfer', '{"node":"7"}', 409, /did not take over/],
  ]
  for (const [method, path, body, status, error] of cases) {
    const response = await fetch(`http://${cluster.admin(1)}${path}`, {
      method,
      ...(method === 'POST' ? { body, headers: { 'content-type': 'application/json' } } : {}),
    })
    expect([body, response.status]).toEqual([body, status])
    expect(((await response.json()) as { error: string }).error).toMatch(error)
  }
  // No URL, so it is written by hand.
  expect(
    await rawAnswer(20_521, 'GET //:x HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n'),
  ).toMatch(/^HTTP\/1\.1 404 /)
  await cluster.untilReady(1)
})

function rawAnswer(port: number, request: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let answer = ''
    const socket = connect(port, '127.0.0.1', () => socket.write(request))
    socket.on('data', part => (answer += part.toString()))
    socket.on('end', () => resolve(answer))
    socket.on('error', reject)
  })
}

test('data of a newer version', async () => {
  cluster.start(1)
  await cluster.untilReady(1)
  await cluster.signal(1, 'SIGTERM')
  const identity = join(cluster.dataDirectory(1), 'identity')
  const bytes = readFileSync(identity)
  writeFileSync(identity, newerIdentity(bytes))
  expect(await startFault()).toMatch(/^quorate: .*identity has format 99; this version knows \d+$/)
  writeFileSync(identity, bytes)
  const journal = join(cluster.dataDirectory(1), 'journal')
  const segment = join(journal, readdirSync(journal).toSorted()[0] ?? '')
  const written = readFileSync(segment)
  // A later version began this segment, or went on with it.
  for (const sector of [0, 1]) {
    writeFileSync(segment, newerBatch(written, sector * sectorBytes))
    expect(await startFault()).toMatch(
      /^quorate: .*journal has journal format 99; this version knows \d+$/,
    )
  }
})

test('a store made again at once is a later incarnation of its node', async () => {
  const startedMillis = Date.now()
  await cluster.startAll()
  const identity = readFileSync(join(cluster.dataDirectory(1), 'identity'), 'utf8')
  const { incarnation } = JSON.parse(identity.split('\n')[0] ?? '')
  expect(incarnation).toBeGreaterThanOrEqual(startedMillis)
})

function newerIdentity(bytes: Buffer): string {
  const line =
    bytes
      .toString()
      .split('\n')[0]
      ?.replace(/"format":\d+/, '"format":99') ?? ''
  return `${line}\n${crc32c(Buffer.from(line)).toString(16).padStart(8, '0')}\n`
}

function newerBatch(bytes: Buffer, start: number): Buffer {
  const newer = Buffer.from(bytes)
  newer.writeUInt8(99, start + at.format)
  const checksum = crc32c(newer, 0, start, start + at.headerChecksum)
  newer.writeUInt32LE(checksum, start + at.headerChecksum)
  return newer
}

test('a data directory in use, of another node, or damaged', async () => {
  const directory = cluster.dataDirectory(1)
  cluster.start(1)
  await cluster.untilReady(1)
  const config = JSON.parse(readFileSync(cluster.configFile(1), 'utf8')) as Record<string, unknown>
  const other = join(cluster.directory, 'other.yaml')
  const listeners = { zookeeper: { port: 0 }, etcd: { port: 0 }, admin: { port: 0 } }
  const member = { name: 'node1', id: 1, peer: '127.0.0.1:20599' }
  const clusterKeys = { name: 'other', members: [member] }
  writeFileSync(other, JSON.stringify({ ...config, listeners, cluster: clusterKeys }))
  expect(await faultOf('start', '--config', other)).toMatch(
    new RegExp(`^quorate: ${directory} is in use by process \\d+$`, 'm'),
  )
  const elsewhere = join(cluster.directory, 'elsewhere')
  const shared = { ...config, listeners, dataDirectory: elsewhere, logDirectory: directory }
  writeFileSync(other, JSON.stringify({ ...shared, cluster: clusterKeys }))
  expect(await faultOf('start', '--config', other)).toMatch(
    new RegExp(`^quorate: ${directory} is in use by process \\d+$`, 'm'),
  )
  writeFileSync(other, JSON.stringify({ ...config, listeners, cluster: clusterKeys }))
  await cluster.signal(1, 'SIGTERM')
  expect(await faultOf('start', '--config', other)).toBe(
    `quorate: ${directory} belongs to node 1 of cluster test-20500, not to node 1 of cluster other`,
  )

  const identity = join(directory, 'identity')
  const bytes = readFileSync(identity)
  writeFileSync(identity, Buffer.concat([bytes.subarray(0, 10), Buffer.from('?')]))
  expect(await startFault()).toMatch(/^quorate: .*identity/)
  writeFileSync(identity, bytes)

  const aside = `${directory}-journal`
  cpSync(join(directory, 'journal'), aside, { recursive: true })
  for (const name of readdirSync(join(directory, 'journal')))
    rmSync(join(directory, 'journal', name))
  expect(await startFault()).toMatch(/holds no journal: is its disk mounted\?$/)
})

test('a journal that was damaged is set aside, and the node says what it waits for', async () => {
  cluster.start(1)
  await cluster.untilReady(1)
  await cluster.signal(1, 'SIGTERM')
  const journal = join(cluster.dataDirectory(1), 'journal')
  const [segment = ''] = readdirSync(journal).sort()
  // Within the records, after the header of the segment.
  execFileSync(
    'dd',
    [
      'if=/dev/urandom',
      `of=${join(journal, segment)}`,
      'bs=1',
      'count=64',
      'seek=600',
      'conv=notrunc',
    ],
    { stdio: 'pipe' },
  )
  cluster.start(1)
  await cluster.untilAnswers(1)
  expect(cluster.output(1)).toMatch(
    /error This store is damaged: the node begins as a new one and waits to be bound .*quorate member replace node1/,
  )
})

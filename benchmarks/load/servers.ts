/** Starts and stops the clusters under test: three nodes of Quorate, of ZooKeeper, or of etcd, on loopback. */
import { type ChildProcess, spawn } from 'node:child_process'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
  openSync,
} from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { localPorts } from '../../actors/node/config-template.ts'
import { writeConfigs } from '../../actors/node/commands/init.ts'
import { nodeEnvironment } from '../../actors/node/node-environment.mjs'
import type { Endpoint } from './workload.ts'

export type ServerName = 'quorate' | 'zookeeper' | 'etcd'

export interface Cluster {
  readonly name: ServerName
  readonly zookeeper: readonly Endpoint[]
  readonly etcd: readonly Endpoint[]
  /** CPU seconds that each node's process has used so far. */
  cpuSeconds(): number[]
  residentBytes(): number[]
  stop(): Promise<void>
}

const nodeCount = 3
const cache = fileURLToPath(new URL('../.cache', import.meta.url))
const readyMillisMax = 60_000

/** Undefined when this server is not installed (install-peers.sh). */
export async function startCluster(name: ServerName): Promise<Cluster | undefined> {
  if (name === 'zookeeper' && !existsSync(join(cache, 'zookeeper/lib'))) return undefined
  if (name === 'etcd' && !existsSync(etcdBinary('etcd'))) return undefined
  const directory = mkdtempSync(join(tmpdir(), `bench-${name}-`))
  const start = { quorate: startQuorate, zookeeper: startZookeeper, etcd: startEtcd }[name]
  const { processes, zookeeper, etcd } = start(directory)
  const cluster: Cluster = {
    name,
    zookeeper,
    etcd,
    cpuSeconds: () => processes.map(one => cpuSecondsOf(one.pid)),
    residentBytes: () => processes.map(one => residentBytesOf(one.pid)),
    async stop() {
      await Promise.all(processes.map(endProcess))
      rmSync(directory, { recursive: true, force: true })
    },
  }
  try {
    for (const endpoint of [...zookeeper, ...etcd]) await untilOpen(endpoint, processes)
  } catch (error) {
    await cluster.stop()
    throw error
  }
  // A cluster that listens may still be electing; one whose ports were taken has ended by now.
  await new Promise(resolve => setTimeout(resolve, 3000))
  if (processes.some(hasEnded)) {
    await cluster.stop()
    throw new Error('a node ended: is something else using its ports?')
  }
  return cluster
}

export function etcdBinary(name: string): string {
  return join(cache, 'etcd', name)
}

interface Started {
  readonly processes: ChildProcess[]
  readonly zookeeper: Endpoint[]
  readonly etcd: Endpoint[]
}

function startQuorate(directory: string): Started {
  const main = fileURLToPath(new URL('../../actors/node/main.ts', import.meta.url))
  const processes = writeConfigs(directory, nodeCount).map(file =>
    start(process.execPath, [main, 'start', '--config', file], directory),
  )
  const ids = [1, 2, 3]
  return {
    processes,
    zookeeper: ids.map(id => local(localPorts(id).zookeeper)),
    etcd: ids.map(id => local(localPorts(id).etcd)),
  }
}

function startZookeeper(directory: string): Started {
  const classPath = `${join(cache, 'zookeeper/lib')}/*`
  const ids = [1, 2, 3]
  const members = ids.map(id => `server.${id}=127.0.0.1:${12887 + id}:${13887 + id}`).join('\n')
  const processes = ids.map(id => {
    const data = join(directory, `node${id}`)
    mkdirSync(data)
    writeFileSync(join(data, 'myid'), String(id))
    const file = join(directory, `node${id}.cfg`)
    const settings = [
      'tickTime=2000',
      'initLimit=10',
      'syncLimit=5',
      'maxClientCnxns=0',
      'admin.enableServer=false',
      '4lw.commands.whitelist=*',
    ]
    const own = [`dataDir=${data}`, `clientPort=${12180 + id}`, 'clientPortAddress=127.0.0.1']
    writeFileSync(file, [...settings, ...own, members, ''].join('\n'))
    const args = [
      '-Xmx1g',
      '-cp',
      classPath,
      'org.apache.zookeeper.server.quorum.QuorumPeerMain',
      file,
    ]
    return start('java', args, directory)
  })
  return { processes, zookeeper: ids.map(id => local(12180 + id)), etcd: [] }
}

function startEtcd(directory: string): Started {
  const ids = [1, 2, 3]
  const members = ids.map(id => `n${id}=http://127.0.0.1:${id}2480`).join(',')
  const processes = ids.map(id => {
    const client = `http://127.0.0.1:${id}2479`
    const peer = `http://127.0.0.1:${id}2480`
    const urls = [
      '--listen-client-urls',
      client,
      '--advertise-client-urls',
      client,
      '--listen-peer-urls',
      peer,
    ]
    const cluster = ['--initial-advertise-peer-urls', peer, '--initial-cluster', members]
    const args = ['--name', `n${id}`, '--data-dir', join(directory, `n${id}`), ...urls, ...cluster]
    return start(etcdBinary('etcd'), [...args, '--log-level', 'fatal'], directory)
  })
  return { processes, zookeeper: [], etcd: ids.map(id => local(Number(`${id}2479`))) }
}

/** All load comes from one address, and clients that are tried ask all words, as `startZookeeper` has it. */
const unlimited = {
  QUORATE_LIMITS__ZOOKEEPER_CONNECTIONS_PER_ADDRESS_MAX: '0',
  QUORATE_ZOOKEEPER__FOUR_LETTER_WORDS: '["*"]',
}

function start(command: string, args: readonly string[], directory: string): ChildProcess {
  // What the others have to say at their end is thousands of lines.
  const errors =
    command === process.execPath ? 'inherit' : openSync(join(directory, 'errors.log'), 'a')
  const child = spawn(command, args, {
    cwd: directory,
    stdio: ['ignore', 'ignore', errors],
    env: { ...nodeEnvironment, ...unlimited, ...process.env },
  })
  child.on('error', error => console.error(`${command}: ${error.message}`))
  return child
}

function local(port: number): Endpoint {
  return { host: '127.0.0.1', port }
}

async function untilOpen(endpoint: Endpoint, processes: readonly ChildProcess[]): Promise<void> {
  const deadline = performance.now() + readyMillisMax
  for (;;) {
    if (await isOpen(endpoint)) return
    if (processes.some(hasEnded)) throw new Error('a node ended before it served')
    if (performance.now() > deadline)
      throw new Error(`nobody listens on ${endpoint.host}:${endpoint.port}`)
    await new Promise(resolve => setTimeout(resolve, 100))
  }
}

function hasEnded(one: ChildProcess): boolean {
  return one.exitCode !== null || one.signalCode !== null
}

function isOpen(endpoint: Endpoint): Promise<boolean> {
  return new Promise(resolve => {
    const socket = connect(endpoint)
    socket.on('error', () => resolve(false))
    socket.on('connect', () => {
      socket.destroy()
      resolve(true)
    })
  })
}

function endProcess(child: ChildProcess): Promise<void> {
  return new Promise(resolve => {
    if (child.exitCode !== null || child.signalCode !== null) return resolve()
    const hard = setTimeout(() => child.kill('SIGKILL'), 8000)
    child.on('exit', () => {
      clearTimeout(hard)
      resolve()
    })
    child.kill('SIGTERM')
  })
}

const clockTicksPerSecond = 100

function cpuSecondsOf(pid: number | undefined): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? []
  return (Number(fields[11]) + Number(fields[12])) / clockTicksPerSecond
}

function residentBytesOf(pid: number | undefined): number {
  const line = readFileSync(`/proc/${pid}/status`, 'utf8').match(/VmRSS:\s+(\d+) kB/)
  return Number(line?.[1] ?? 0) * 1024
}

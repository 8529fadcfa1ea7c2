/** A real ZooKeeper and a Quorate, one node each or three, fresh, on ports of their own. */
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { nodeEnvironment } from '../../../actors/node/node-environment.mjs'

export interface Server {
  readonly name: string
  readonly ports: readonly number[]
  /** `kill -9`, until it is gone. */
  kill(index: number): Promise<void>
  restart(index: number): void
  stop(): Promise<void>
}

interface Program {
  readonly command: string
  readonly args: readonly string[]
}

const libraries = fileURLToPath(
  new URL('../../../benchmarks/.cache/zookeeper/lib', import.meta.url),
)
const main = fileURLToPath(new URL('../../../actors/node/main.ts', import.meta.url))
const readyMillisMax = 60_000

export async function startZookeeper(nodeCount: number, firstPort: number): Promise<Server> {
  if (!existsSync(libraries)) throw new Error('ZooKeeper is not installed: run install.sh')
  const directory = mkdtempSync(join(tmpdir(), 'differential-zookeeper-'))
  const ids = Array.from({ length: nodeCount }, (_, at) => at + 1)
  const members = ids.map(
    id => `server.${id}=127.0.0.1:${firstPort + 10 + id}:${firstPort + 20 + id}`,
  )
  const programs = ids.map((id): Program => {
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
      '4lw.commands.whitelist=ruok,srvr,stat,mntr,isro',
      `dataDir=${data}`,
      `clientPort=${firstPort + id - 1}`,
      'clientPortAddress=127.0.0.1',
    ]
    writeFileSync(file, [...settings, ...(nodeCount > 1 ? members : []), ''].join('\n'))
    const mainClass = 'org.apache.zookeeper.server.quorum.QuorumPeerMain'
    return { command: 'java', args: ['-Xmx512m', '-cp', `${libraries}/*`, mainClass, file] }
  })
  return await ready(
    'zookeeper',
    directory,
    ids.map(id => firstPort + id - 1),
    programs,
  )
}

export async function startQuorate(
  nodeCount: number,
  firstPort: number,
  placement: string,
): Promise<Server> {
  const directory = mkdtempSync(join(tmpdir(), 'differential-quorate-'))
  const ids = Array.from({ length: nodeCount }, (_, at) => at + 1)
  const members = ids
    .map(id => {
      const peer = `"127.0.0.1:${firstPort + 10 + id}"`
      return `    - { name: node${id}, id: ${id}, peer: ${peer}, etcd: "127.0.0.1:${firstPort + 20 + id}" }`
    })
    .join('\n')
  const programs = ids.map((id): Program => {
    const file = join(directory, `node${id}.yaml`)
    const listeners = [
      ['zookeeper', firstPort + id - 1],
      ['etcd', firstPort + 20 + id],
      ['admin', firstPort + 30 + id],
    ].map(([name, port]) => `  ${name}: { host: 127.0.0.1, port: ${port} }`)
    const text = `node: node${id}
dataDirectory: ${JSON.stringify(join(directory, `node${id}`))}
cluster:
  name: differential
  consensus: raft
  members:
${members}
listeners:
${listeners.join('\n')}
placement: ${placement}
zookeeper: { fourLetterWords: [ruok, srvr, stat, mntr, isro] }
limits: { zookeeperConnectionsPerAddressMax: 0 }
`
    writeFileSync(file, text)
    return { command: process.execPath, args: [main, 'start', '--config', file] }
  })
  return await ready(
    'quorate',
    directory,
    ids.map(id => firstPort + id - 1),
    programs,
  )
}

function start({ command, args }: Program): ChildProcess {
  return spawn(command, args, { stdio: 'ignore', env: { ...nodeEnvironment, ...process.env } })
}

async function ready(
  name: string,
  directory: string,
  ports: readonly number[],
  programs: readonly Program[],
): Promise<Server> {
  const processes = programs.map(start)
  const stop = async (): Promise<void> => {
    await Promise.all(processes.map(end))
    rmSync(directory, { recursive: true, force: true })
  }
  const deadline = performance.now() + readyMillisMax
  for (const port of ports) {
    while (!(await isServing(port))) {
      if (performance.now() > deadline || processes.some(one => one.exitCode !== null)) {
        await stop()
        throw new Error(`${name} does not serve on port ${port}`)
      }
      await new Promise(resolve => setTimeout(resolve, 100))
    }
  }
  return {
    name,
    ports,
    stop,
    kill: index => kill(processes[index]),
    restart(index) {
      const program = programs[index]
      if (program !== undefined) processes[index] = start(program)
    },
  }
}

function kill(child: ChildProcess | undefined): Promise<void> {
  return new Promise(resolve => {
    child?.on('exit', () => resolve())
    child?.kill('SIGKILL')
  })
}

function isServing(port: number): Promise<boolean> {
  return new Promise(resolve => {
    let text = ''
    const socket = connect({ host: '127.0.0.1', port })
    socket.on('connect', () => socket.write('srvr'))
    socket.on('data', chunk => {
      text += chunk
    })
    socket.on('error', () => resolve(false))
    socket.on('close', () => resolve(text.includes('Mode:')))
  })
}

function end(child: ChildProcess): Promise<void> {
  return new Promise(resolve => {
    if (child.exitCode !== null || child.signalCode !== null) return resolve()
    const hard = setTimeout(() => child.kill('SIGKILL'), 8_000)
    child.on('exit', () => {
      clearTimeout(hard)
      resolve()
    })
    child.kill('SIGTERM')
  })
}

/**
 * `quorate dev`: a whole local cluster, one process a node, from config files that stay in place for
 * the user to read and change. Says when every node serves, and which node died and how to start it.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, readdirSync, rmSync } from 'node:fs'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { ownerOf } from '../../../storage/directory-lock.ts'
import { requestAdmin } from '../admin-client.ts'
import { loadConfig } from '../config.ts'
import type { Config } from '../config-schema.ts'
import { CommandError } from '../errors.ts'
import { checkNotOwned, checkPorts } from '../ports.ts'
import { table } from '../table.ts'
import { secretName, writeConfigs } from './init.ts'

interface Node {
  readonly config: Config
  readonly file: string
  process: ChildProcess
  /** Ends with what the node said last, for the report of its death. */
  lastLine: string
}

const readyMillisMax = 60_000
/** What a process may take beyond its time to stop. */
const endMillis = 1_000
/** They are nodes that this process has started. */
const anyCertificate = { anyCertificate: true }

export async function dev(options: { nodes: number; dir: string; fresh: boolean }): Promise<void> {
  await checkDirectory(options.dir, options.nodes, options.fresh)
  const more = { compaction: 'periodic', fourLetterWords: '["*"]' } as const
  const files = writeConfigs(options.dir, options.nodes, more)
  const configs = files.map(file => loadConfig(file, process.env, () => {}))
  // Before any node starts, so that a second `dev` says one clear thing.
  for (const config of configs) await checkFree(config)
  let stopping = false
  const nodes = configs.map((config, at) => startNode(config, files[at] ?? ''))
  const stop = (): void => {
    if (stopping) return
    stopping = true
    for (const node of nodes) {
      if (!node.process.kill('SIGTERM')) stopAgain(node)
    }
  }
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, stop)
  const ended = nodes.map(node => untilEnd(node, () => stopping))
  const allEnded = Promise.all(ended)
  const ready = await Promise.race([untilReady(nodes, () => stopping), allEnded.then(() => false)])
  if (ready) console.log(welcome(nodes, options.dir))
  const codes = await allEnded
  if (stopping) await untilFree(nodes)
  process.exit(stopping ? 0 : Math.max(1, ...codes))
}

async function checkDirectory(directory: string, nodeCount: number, fresh: boolean): Promise<void> {
  if (!existsSync(directory)) return
  const names = readdirSync(directory)
  const foreign = names.find(name => name !== secretName && !/^node\d(\.yaml)?$/.test(name))
  if (foreign !== undefined) {
    throw new CommandError(
      `${directory} holds "${foreign}", which is not of a local cluster; choose another --dir`,
    )
  }
  const configs = names.filter(name => name.endsWith('.yaml')).length
  if (fresh) {
    await checkNotRunning(
      names.filter(name => name.endsWith('.yaml')).map(name => join(directory, name)),
    )
    // Config files that the user may have changed stay, unless they are of a cluster of another size.
    const gone = configs === nodeCount ? names.filter(name => !isKept(name)) : names
    for (const name of gone) rmSync(join(directory, name), { recursive: true })
  } else if (configs > 0 && configs !== nodeCount) {
    throw new CommandError(
      `${directory} holds a cluster of ${configs} (--nodes ${configs}), not ${nodeCount}; use --fresh to throw it away, or another --dir`,
    )
  }
}

/** What `--fresh` leaves: the user may have changed it, and it is no data. */
function isKept(name: string): boolean {
  return name === secretName || name.endsWith('.yaml')
}

/** What a running cluster stands on is not thrown away under its feet. */
async function checkNotRunning(files: readonly string[]): Promise<void> {
  for (const file of files) {
    let config: Config
    try {
      config = loadConfig(file, process.env, () => {})
    } catch {
      // Nothing runs from a configuration that cannot be read.
      continue
    }
    await checkFree(config)
  }
}

async function checkFree(config: Config): Promise<void> {
  checkNotOwned(config)
  await checkPorts(config)
}

function startNode(config: Config, file: string): Node {
  const main = fileURLToPath(new URL('../main.ts', import.meta.url))
  const flags = ['--disable-warning=ExperimentalWarning', '--disable-sigusr1']
  // Its own process group: Ctrl-C reaches `dev`, which stops the nodes in order.
  const child = spawn(process.execPath, [...flags, main, 'start', '--config', file], {
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  })
  const node: Node = { config, file, process: child, lastLine: '' }
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8')
    let rest = ''
    stream?.on('data', (text: string) => {
      const lines = (rest + text).split('\n')
      rest = lines.pop() ?? ''
      for (const line of lines) {
        node.lastLine = line
        console.log(`[${config.node}] ${line}`)
      }
    })
  }
  return node
}

async function untilEnd(node: Node, stopping: () => boolean): Promise<number> {
  const code = await new Promise<number | string>(resolve => {
    node.process.on('exit', (exitCode, signal) => resolve(exitCode ?? signal ?? 1))
  })
  if (!stopping()) {
    const how = typeof code === 'number' ? `exit code ${code}` : code
    console.log(
      `\n${node.config.node} has ended (${how}). Its last line:\n  ${node.lastLine}\nStart it again with:\n  ${startCommand(node)}\n`,
    )
  }
  return typeof code === 'number' ? code : 1
}

/** A node of this cluster that has ended here may run again, started by hand: it is stopped too. */
function stopAgain({ config }: Node): void {
  const pid = ownerOf(config.dataDirectory)
  if (pid === undefined) return
  console.log(`${config.node}, which was started again as process ${pid}, is stopped too`)
  try {
    process.kill(pid, 'SIGTERM')
  } catch (error) {
    console.log(`${config.node} could not be stopped: ${(error as Error).message}`)
  }
}

/** Of those that are no children of this process nothing else tells the end. */
async function untilFree(nodes: readonly Node[]): Promise<void> {
  for (const { config } of nodes) {
    const deadline = performance.now() + config.timings.shutdownMillis + endMillis
    while (ownerOf(config.dataDirectory) !== undefined && performance.now() < deadline) {
      await new Promise(resolve => setTimeout(resolve, 50))
    }
  }
}

function startCommand(node: Node): string {
  return `npx quorate start --config ${relative('.', node.file)}`
}

/** Ready is: each node has answered a linearizable read. */
async function untilReady(nodes: readonly Node[], stopping: () => boolean): Promise<boolean> {
  const deadline = performance.now() + readyMillisMax
  for (const node of nodes) {
    const admin = adminEndpoint(node)
    for (;;) {
      if (stopping() || node.process.exitCode !== null || performance.now() > deadline) return false
      const answer = await requestAdmin(admin, 'GET', '/ready', undefined, anyCertificate).catch(
        () => undefined,
      )
      if (answer?.status === 200) break
      await new Promise(resolve => setTimeout(resolve, 50))
    }
  }
  return true
}

function welcome(nodes: readonly Node[], directory: string): string {
  const rows = nodes.map(({ config }) => [
    config.node,
    endpoint(config.listeners.zookeeper),
    endpoint(config.listeners.etcd),
    endpoint(config.listeners.admin),
  ])
  const all = (door: 'zookeeper' | 'etcd'): string =>
    nodes.map(({ config }) => endpoint(config.listeners[door])).join(',')
  return [
    '',
    table([['node', 'ZooKeeper', 'etcd', 'admin (HTTP)'], ...rows]),
    '',
    'Try:',
    `  zkCli.sh -server ${all('zookeeper')} create /hello world`,
    `  etcdctl --endpoints ${all('etcd')} put hello world`,
    `  npx quorate status --endpoints ${nodes.map(adminEndpoint).join(',')}`,
    '',
    `Config files and data are in ${directory}/. Ctrl-C stops all nodes.`,
  ].join('\n')
}

function adminEndpoint({ config }: Node): string {
  const { admin } = config.listeners
  return admin.certificate === undefined ? endpoint(admin) : `https://${endpoint(admin)}`
}

function endpoint(listener: { host: string; port: number }): string {
  return `${listener.host}:${listener.port}`
}

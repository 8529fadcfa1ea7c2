/**
 * A real cluster on loopback for tests: one process a node, on ports of its own, that can be killed,
 * paused and started again. Everything lies in one temporary directory and goes with `stop`.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { requestAdmin } from '../../actors/node/admin-client.ts'
import { nodeEnvironment } from '../../actors/node/node-environment.mjs'
import type { NodeStatus } from '../../actors/node/status.ts'
import type { Endpoint } from './zookeeper-session.ts'

export interface ClusterOptions {
  readonly nodeCount?: number
  /** Nodes that join later: their configuration names all, that of the first ones only themselves. */
  readonly laterNodes?: number
  /** Node i listens on portBase + i (ZooKeeper), + 10 + i (etcd), + 20 + i (admin), + 30 + i (peers). */
  readonly portBase: number
  /** Instead of the `quorate` command; gets the same arguments. */
  readonly main?: string
  /** A module that every thread of a node loads first, and what it finds in the environment. */
  readonly preload?: { readonly module: string; env(node: number): NodeJS.ProcessEnv }
  /** Merged into every node's configuration. */
  readonly config?: Readonly<Record<string, unknown>>
}

const readyMillisMax = 30_000
/** For all clusters that do not ask for a placement of their own: the same tests, other threads. */
const placement = process.env['TEST_PLACEMENT']
const main = fileURLToPath(new URL('../../actors/node/main.ts', import.meta.url))

export class LocalCluster {
  readonly directory = mkdtempSync(join(tmpdir(), 'quorate-test-'))
  readonly nodes: readonly number[]
  readonly #options: ClusterOptions
  readonly #processes = new Map<number, ChildProcess>()

  constructor(options: ClusterOptions) {
    this.#options = options
    this.nodes = Array.from({ length: options.nodeCount ?? 3 }, (_, at) => at + 1)
    for (const node of this.nodes) this.#writeConfig(node, this.nodes.length)
    for (let later = 1; later <= (options.laterNodes ?? 0); later += 1) {
      this.#writeConfig(this.nodes.length + later, this.nodes.length + later)
    }
  }

  zookeeper(node: number): Endpoint {
    return { host: '127.0.0.1', port: this.#options.portBase + node }
  }

  etcd(node: number): Endpoint {
    return { host: '127.0.0.1', port: this.#options.portBase + 10 + node }
  }

  admin(node: number): string {
    return `127.0.0.1:${this.#options.portBase + 20 + node}`
  }

  peer(node: number): string {
    return `127.0.0.1:${this.#options.portBase + 30 + node}`
  }

  configFile(node: number): string {
    return join(this.directory, `node${node}.yaml`)
  }

  /** Changes what a node is started with the next time. */
  configure(node: number, change: (config: Record<string, Record<string, unknown>>) => void): void {
    const config = JSON.parse(readFileSync(this.configFile(node), 'utf8'))
    change(config)
    writeFileSync(this.configFile(node), JSON.stringify(config, null, 2))
  }

  dataDirectory(node: number): string {
    return join(this.directory, `node${node}`)
  }

  /** What the node has printed since the beginning, over all its processes. */
  output(node: number): string {
    return readFileSync(this.#logFile(node), 'utf8')
  }

  async startAll(): Promise<void> {
    for (const node of this.nodes) this.start(node)
    for (const node of this.nodes) await this.untilReady(node)
  }

  start(node: number): ChildProcess {
    const { main: command = main, preload } = this.#options
    const first = preload === undefined ? [] : ['--import', preload.module]
    const parts = [...first, command, 'start', '--config', this.configFile(node)]
    const child = spawn(process.execPath, parts, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...nodeEnvironment, ...process.env, ...preload?.env(node) },
    })
    for (const stream of [child.stdout, child.stderr]) {
      stream?.on('data', (text: Buffer) => appendFileSync(this.#logFile(node), text))
    }
    this.#processes.set(node, child)
    return child
  }

  /** Ready is a linearizable read answered. */
  untilReady(node: number): Promise<void> {
    return this.#until(node, '/ready')
  }

  /** The process is up, whatever it can do. */
  untilAnswers(node: number): Promise<void> {
    return this.#until(node, '/status')
  }

  async #until(node: number, path: string): Promise<void> {
    const deadline = performance.now() + readyMillisMax
    for (;;) {
      // Another run of the same test would answer on the same port, and mix its writes with ours.
      const isOwn = (await this.status(node).catch(() => undefined))?.pid === this.pid(node)
      const answer = isOwn
        ? await requestAdmin(this.admin(node), 'GET', path).catch(() => undefined)
        : undefined
      if (answer?.status === 200) return
      const child = this.#processes.get(node)
      if (child?.exitCode != null || performance.now() > deadline) {
        throw new Error(`node ${node} is not ready:\n${this.output(node).slice(-3000)}`)
      }
      await sleep(20)
    }
  }

  async status(node: number): Promise<NodeStatus> {
    const { status, text } = await requestAdmin(this.admin(node), 'GET', '/status')
    if (status !== 200) throw new Error(`HTTP ${status}: ${text}`)
    return JSON.parse(text) as NodeStatus
  }

  /** The node that leads, as the others see it. */
  async leader(): Promise<number> {
    for (;;) {
      for (const node of this.nodes) {
        const status = await this.status(node).catch(() => undefined)
        if (status !== undefined && status.consensus.leader !== 0) return status.consensus.leader
      }
      await sleep(20)
    }
  }

  pid(node: number): number {
    const pid = this.#processes.get(node)?.pid
    if (pid === undefined) throw new Error(`node ${node} does not run`)
    return pid
  }

  /** Sends a signal and, if it ends the process, waits for the end. Returns the exit code. */
  async signal(node: number, signal: NodeJS.Signals): Promise<number | null> {
    const child = this.#processes.get(node)
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return null
    if (signal === 'SIGSTOP' || signal === 'SIGCONT') {
      child.kill(signal)
      return null
    }
    const ended = new Promise<number | null>(resolve => child.on('exit', code => resolve(code)))
    child.kill(signal)
    return await ended
  }

  /** Waits for the end of its process; returns the exit code. */
  async ended(node: number): Promise<number | null> {
    const child = this.#processes.get(node)
    if (child === undefined || child.exitCode !== null) return child?.exitCode ?? null
    return await new Promise<number | null>(resolve => child.on('exit', resolve))
  }

  /** All nodes at one applied position, and their state hashes there. */
  async settledHashes(): Promise<string[]> {
    for (;;) {
      const all = await Promise.all(this.nodes.map(node => this.status(node)))
      const [first] = all
      if (all.every(one => one.state.applied === first?.state.applied))
        return all.map(one => one.state.hash)
      await sleep(50)
    }
  }

  /** `ended` runs when no process is left and the files are still there. */
  async stop(ended = (): void => {}): Promise<void> {
    await Promise.all([...this.#processes.keys()].map(node => this.signal(node, 'SIGKILL')))
    ended()
    rmSync(this.directory, { recursive: true, force: true })
  }

  #logFile(node: number): string {
    return join(this.directory, `node${node}.log`)
  }

  #writeConfig(node: number, memberCount: number): void {
    const { portBase, config } = this.#options
    const host = '127.0.0.1'
    const members = Array.from({ length: memberCount }, (_, at) => at + 1).map(id => ({
      name: `node${id}`,
      id,
      peer: this.peer(id),
    }))
    const listeners = {
      zookeeper: { host, port: portBase + node },
      etcd: { host, port: portBase + 10 + node },
      admin: { host, port: portBase + 20 + node },
    }
    const own = { node: `node${node}`, dataDirectory: this.dataDirectory(node), listeners }
    const cluster = { name: `test-${portBase}`, members }
    const all = { ...own, cluster, placement: placement ?? 'default', ...config }
    writeFileSync(this.configFile(node), JSON.stringify(all, null, 2))
    writeFileSync(this.#logFile(node), '')
  }
}

export function sleep(millis: number): Promise<void> {
  return new Promise(resolve => setTimeout(resolve, millis))
}

/** `quorate dev` as its user sees it, through the launcher: the table, a node that dies, a second start, Ctrl-C. */
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { availableParallelism, loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterEach, expect, test } from 'vitest'
import { requestAdmin } from '../../../actors/node/admin-client.ts'
import { writeCertificate } from '../../runtime/fixtures/certificate.ts'
import { sleep } from '../../support/local-cluster.ts'

const run = promisify(execFile)
const launcher = fileURLToPath(new URL('../../../actors/node/launcher.mjs', import.meta.url))
const ports = { zookeeper: 20_700, etcd: 20_710, admin: 20_720, peer: 20_730 }
const running: ChildProcess[] = []
let directory: string

/** As a user does who has something else on the usual ports. */
async function writeConfigs(nodeCount: number): Promise<void> {
  directory = join(mkdtempSync(join(tmpdir(), 'quorate-dev-')), 'cluster')
  await run(process.execPath, [launcher, 'init', '--nodes', String(nodeCount), '--dir', directory])
  for (let node = 1; node <= nodeCount; node += 1) {
    const file = configFile(node)
    const text = readFileSync(file, 'utf8')
      .replace(/(zookeeper: .*port: )\d+/, `$1${ports.zookeeper + node}`)
      .replace(/(etcd: \{ host.*port: )\d+/, `$1${ports.etcd + node}`)
      .replace(/(admin: .*port: )\d+/, `$1${ports.admin + node}`)
      .replace(/:710(\d)"/g, (_, id: string) => `:${ports.peer + Number(id)}"`)
    writeFileSync(file, text)
  }
}

afterEach(async () => {
  for (const child of running.splice(0)) {
    if (child.exitCode !== null || child.signalCode !== null) continue
    const ended = new Promise(resolve => child.on('exit', resolve))
    child.kill('SIGTERM')
    await ended
  }
  rmSync(join(directory, '..'), { recursive: true, force: true })
})

interface Running {
  readonly child: ChildProcess
  readonly ended: Promise<number | null>
  output(): string
  untilSays(what: string | RegExp): Promise<void>
}

function start(...args: string[]): Running {
  const child = spawn(process.execPath, [launcher, ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
  running.push(child)
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', (text: Buffer) => (output += text.toString()))
  }
  const ended = new Promise<number | null>(resolve => child.on('exit', code => resolve(code)))
  return {
    child,
    ended,
    output: () => output,
    async untilSays(what) {
      while (!(typeof what === 'string' ? output.includes(what) : what.test(output))) {
        if (child.exitCode !== null) throw new Error(`it ended:\n${output}`)
        await sleep(20)
      }
    },
  }
}

function dev(): Running {
  return start('dev', '--nodes', '2', '--dir', directory)
}

async function consensus(node: number): Promise<{ role: string; epoch: number } | undefined> {
  const answer = await requestAdmin(`127.0.0.1:${ports.admin + node}`, 'GET', '/status').catch(
    () => undefined,
  )
  if (answer === undefined) return undefined
  return (JSON.parse(answer.text) as { consensus: { role: string; epoch: number } }).consensus
}

/** Of the process that owns the data directory of a node. */
function pidOf(node: number): number {
  return Number(/\d+/.exec(readFileSync(join(directory, `node${node}`, 'lock'), 'utf8'))?.[0])
}

test('prints the endpoints, names a node that died and how to start it again, and stops all', async () => {
  await writeConfigs(2)
  const cluster = dev()
  await cluster.untilSays('Ctrl-C stops all nodes.')
  const rows = [1, 2].map(node =>
    ['zookeeper', 'etcd', 'admin'].map(
      door => `127.0.0.1:${ports[door as 'zookeeper' | 'etcd' | 'admin'] + node}`,
    ),
  )
  expect(cluster.output()).toMatch(/^node +ZooKeeper +etcd +admin \(HTTP\)$/m)
  rows.forEach((row, at) => {
    expect(cluster.output()).toMatch(new RegExp(`^node${at + 1} +${row.join(' +')}$`, 'm'))
  })
  const all = (door: number): string => rows.map(row => row[door]).join(',')
  expect(cluster.output()).toContain(`zkCli.sh -server ${all(0)} create /hello world`)
  expect(cluster.output()).toContain(`etcdctl --endpoints ${all(1)} put hello world`)
  expect(cluster.output()).toContain(`npx quorate status --endpoints ${all(2)}`)

  const second = dev()
  expect(await second.ended).toBe(1)
  expect(second.output()).toMatch(
    new RegExp(`^quorate: ${directory}/node1 is in use by process ${pidOf(1)}$`, 'm'),
  )

  process.kill(pidOf(2), 'SIGKILL')
  await cluster.untilSays('node2 has ended (SIGKILL)')
  const file = /^ {2}npx quorate start --config (.*)$/m
  await cluster.untilSays(file)
  const again = start('start', '--config', file.exec(cluster.output())?.[1] ?? '')
  await again.untilSays('ready to serve client requests')

  cluster.child.kill('SIGINT')
  expect(await cluster.ended).toBe(0)
  expect(await consensus(1)).toBeUndefined()
  expect(await consensus(2)).toBeUndefined()
  expect(cluster.output()).toMatch(
    /^node2, which was started again as process \d+, is stopped too$/m,
  )
  expect(await again.ended).toBe(0)
}, 120_000)

test('waits for a node whose admin port has TLS, and names it so', async () => {
  await writeConfigs(1)
  const { certificate, key } = writeCertificate(join(directory, '..'))
  const text = readFileSync(configFile(1), 'utf8')
  const own = `admin: { certificate: ${certificate}, key: ${key}, host`
  writeFileSync(configFile(1), text.replace('admin: { host', own))
  const cluster = start('dev', '--nodes', '1', '--dir', directory)
  await cluster.untilSays('Ctrl-C stops all nodes.')
  expect(cluster.output()).toContain(`--endpoints https://127.0.0.1:${ports.admin + 1}\n`)
}, 120_000)

test.each(['SIGTERM', 'SIGINT'] as const)(
  '%s to `start` hands over, and exits 0 within 5 s',
  async signal => {
    await writeConfigs(3)
    const nodes = [1, 2, 3].map(node => start('start', '--config', configFile(node)))
    for (const node of nodes) await node.untilSays('ready to serve client requests')
    const statuses = await Promise.all([1, 2, 3].map(consensus))
    const leader = nodes[statuses.findIndex(status => status?.role === 'leader')]
    const epoch = (statuses[0]?.epoch ?? 0) + 1
    const began = performance.now()
    leader?.child.kill(signal)
    expect(await leader?.ended).toBe(0)
    expect(performance.now() - began).toBeLessThan(5000 * slowness())
    expect(leader?.output()).toMatch(/info {2}The process ends node=/)
    // It is still there when its successor, which it asked to lead, begins to.
    expect(leader?.output()).toContain(`role=follower epoch=${epoch}`)
  },
  120_000,
)

function configFile(node: number): string {
  return join(directory, `node${node}.yaml`)
}

/** 1, or more where other programs take this machine's time. */
function slowness(): number {
  return Math.max(1, (loadavg()[0] ?? 0) / availableParallelism())
}

/** The two servers that are compared: one node of Quorate and one real etcd, each empty, on ports of their own. */
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { LocalCluster, sleep } from '../../support/local-cluster.ts'

export interface Servers {
  readonly quorate: number
  readonly etcd: number
  stop(): Promise<void>
}

/** `program` is the etcd to start. */
export async function startServers(portBase: number, program: string): Promise<Servers> {
  if (!existsSync(program)) throw new Error(`${program}: run test/interop/install.sh`)
  const directory = mkdtempSync(join(tmpdir(), 'differential-'))
  const cluster = new LocalCluster({ nodeCount: 1, portBase })
  const client = `http://127.0.0.1:${portBase + 50}`
  const peer = `http://127.0.0.1:${portBase + 51}`
  const args = [
    '--data-dir',
    directory,
    '--log-level',
    'fatal',
    '--initial-cluster',
    `default=${peer}`,
  ]
  const urls = ['--listen-client-urls', client, '--advertise-client-urls', client]
  const peers = ['--listen-peer-urls', peer, '--initial-advertise-peer-urls', peer]
  const etcd = spawn(program, [...args, ...urls, ...peers], { stdio: 'inherit' })
  await cluster.startAll()
  await untilHealthy(`${client}/health`, etcd)
  return {
    quorate: cluster.etcd(1).port,
    etcd: portBase + 50,
    async stop() {
      await cluster.stop()
      await new Promise(resolve => {
        etcd.on('exit', resolve)
        etcd.kill('SIGKILL')
      })
      rmSync(directory, { recursive: true, force: true })
    },
  }
}

async function untilHealthy(url: string, process: ChildProcess): Promise<void> {
  for (;;) {
    const answer = await fetch(url).catch(() => undefined)
    if (answer?.status === 200) return
    if (process.exitCode !== null) throw new Error('etcd ended before it served')
    await sleep(50)
  }
}

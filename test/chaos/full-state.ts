/**
 * What happens when clients write without end: fills three nodes until the quota refuses, tries what
 * has to work then, compacts, and writes again. Prints what each node keeps resident and what it says
 * of its sizes at each step; exit code 1 if something was refused that should not be, or taken.
 *
 *     launcher.mjs --script test/chaos/full-state.ts [--quota BYTES] [--rounds N] [--port BASE]
 */
import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { requestAdmin } from '../../actors/node/admin-client.ts'
import type { NodeStatus } from '../../actors/node/status.ts'
import { EtcdCaller } from '../actors/gateways/etcd-caller.ts'
import { LocalCluster, sleep } from '../support/local-cluster.ts'
import type { Decoded } from '../transport/etcd/messages/schema.ts'

const { values } = parseArgs({
  options: {
    quota: { type: 'string', default: '67108864' },
    rounds: { type: 'string', default: '3' },
    port: { type: 'string', default: '24300' },
  },
})
const quotaBytes = Number(values.quota)
const limits = { quotaBytes }
const cluster = new LocalCluster({ portBase: Number(values.port), config: { limits } })
const key = Buffer.from('k')
const value = Buffer.alloc(10_000, 'x')
let failures = 0
try {
  await cluster.startAll()
  const etcd = new EtcdCaller(cluster.etcd(1).port)
  await show('empty', etcd)
  for (let round = 1; round <= Number(values.rounds); round += 1) await fillAndCompact(etcd)
  await sleep(5_000)
  await show('5 s later', etcd)
  const hashes = new Set<string>()
  for (const node of cluster.nodes) hashes.add(await heldOf(node))
  check('all nodes hold the same', hashes.size === 1)
  etcd.close()
} finally {
  await cluster.stop()
}
console.log(failures === 0 ? 'all as it should be' : `${failures} wrong`)
process.exitCode = failures === 0 ? 0 : 1

async function fillAndCompact(etcd: EtcdCaller): Promise<void> {
  const puts = await putUntilRefused(etcd)
  check('puts were taken', puts * value.length > quotaBytes / 2)
  await show(`full, after ${puts} puts of one key`, etcd)
  const alarms = await etcd.call('Alarm', {})
  check('there is an alarm', alarms.alarms?.length === 1)
  check('a range is answered', !refused(await etcd.call('Range', { key })))
  check('a delete is taken', !refused(await etcd.call('DeleteRange', { key })))
  check('a put is refused', refused(await etcd.call('Put', { key, value })))
  const { header } = await etcd.call('Range', { key })
  const compaction = { revision: header.revision, physical: true }
  check('a compaction is taken', !refused(await etcd.call('Compact', compaction)))
  await show('compacted', etcd)
  check('the alarm has ended', (await etcd.call('Alarm', {})).alarms === undefined)
  check('a put is taken again', !refused(await etcd.call('Put', { key, value })))
}

async function putUntilRefused(etcd: EtcdCaller): Promise<number> {
  for (let done = 0; ; done += 50) {
    const batch = Array.from({ length: 50 }, () => etcd.call('Put', { key, value }))
    const at = (await Promise.all(batch)).findIndex(refused)
    if (at >= 0) return done + at
  }
}

function refused(answer: Decoded): boolean {
  return Array.isArray(answer)
}

async function heldOf(node: number): Promise<string> {
  const { text } = await requestAdmin(cluster.admin(node), 'GET', '/status')
  const { state } = JSON.parse(text) as { state: { heldBytes: number; hash: string } }
  return `${state.heldBytes} ${state.hash}`
}

async function show(step: string, etcd: EtcdCaller): Promise<void> {
  const { dbSize, dbSizeInUse } = await etcd.call('Status', {})
  const resident: string[] = []
  for (const node of cluster.nodes) {
    const { text } = await requestAdmin(cluster.admin(node), 'GET', '/status')
    const { pid } = JSON.parse(text) as NodeStatus
    const status = readFileSync(`/proc/${pid}/status`, 'utf8')
    resident.push(mebibytes(Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1] ?? 0) * 1024))
  }
  console.log(
    `${step}: dbSize ${mebibytes(Number(dbSize))}, in use ${mebibytes(Number(dbSizeInUse))}, resident ${resident.join(' / ')} MiB`,
  )
}

function mebibytes(bytes: number): string {
  return (bytes / 1024 / 1024).toFixed(1)
}

function check(what: string, holds: boolean): void {
  if (!holds) failures += 1
  console.log(`  ${holds ? 'ok  ' : 'FAIL'} ${what}`)
}

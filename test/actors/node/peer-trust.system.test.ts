/** Nodes that prove nothing, or something else, at the peer ports of a cluster that runs. */
import { execFile } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterEach, expect, test } from 'vitest'
import { writeAuthority, writeSigned } from '../../runtime/fixtures/certificate.ts'
import { LocalCluster, sleep } from '../../support/local-cluster.ts'

const run = promisify(execFile)
const main = fileURLToPath(new URL('../../../actors/node/main.ts', import.meta.url))
const secret = 'of the cluster, forty characters or so..'
const directories: string[] = []
let cluster: LocalCluster

afterEach(async () => {
  await cluster.stop()
  for (const directory of directories.splice(0)) rmSync(directory, { recursive: true })
})

function scratch(): string {
  const directory = mkdtempSync(join(tmpdir(), 'quorate-trust-'))
  directories.push(directory)
  return directory
}

/** Node 3 runs stock software with an empty directory, on the configuration that `change` leaves. */
async function startImpostor(
  change: (config: Record<string, Record<string, unknown>>) => void,
): Promise<void> {
  await cluster.signal(3, 'SIGKILL')
  const empty = join(scratch(), 'empty')
  mkdirSync(empty)
  cluster.configure(3, config => {
    Object.assign(config, { dataDirectory: empty })
    change(config)
  })
  cluster.start(3)
  await cluster.untilAnswers(3)
}

async function untilOutput(node: number, what: RegExp): Promise<void> {
  for (let tries = 0; !what.test(cluster.output(node)); tries++) {
    if (tries > 3000) throw new Error(`${what} in none of:\n${cluster.output(node)}`)
    await sleep(20)
  }
}

async function replaceNode3(): Promise<string> {
  const args = [main, 'member', 'replace', 'node3', '--endpoints', cluster.admin(1)]
  return run(process.execPath, args).then(
    ({ stdout }) => `replaced: ${stdout}`,
    (error: { stderr: string }) => error.stderr,
  )
}

test('a node with stock software and no secret gets in nowhere, and the cluster goes on', async () => {
  cluster = new LocalCluster({ portBase: 20_200 })
  for (const node of cluster.nodes)
    cluster.configure(node, config => Object.assign(config['cluster']!, { secret }))
  await cluster.startAll()
  await startImpostor(config => delete config['cluster']!['secret'])
  const why =
    /A node cannot be linked .*code=notProven reason="it did not prove|hung up before the proof/
  await untilOutput(3, why)
  expect(await replaceNode3()).toContain(
    'that node, with the store it has now, is a member already',
  )
  await sleep(1500)
  for (const node of [1, 2]) {
    await cluster.untilReady(node)
    const lines = cluster.output(node).split('\n')
    const strangers = lines.filter(line => line.includes('A stranger is turned away'))
    expect(strangers.length).toBeGreaterThan(0)
    expect(strangers.length).toBeLessThan(4)
    expect(strangers[0]).toMatch(/address=127\.0\.0\.1 code=notProven/)
    expect(cluster.output(node).match(/A node is linked .*peer=3/g)).toHaveLength(1)
  }
  // Those of the true node 3.
  expect(cluster.output(3).match(/A node is linked/g)).toHaveLength(2)
  // The true one comes back with what it had.
  await cluster.signal(3, 'SIGKILL')
  cluster.configure(3, config => {
    Object.assign(config, { dataDirectory: cluster.dataDirectory(3) })
    Object.assign(config['cluster']!, { secret })
  })
  cluster.start(3)
  await cluster.untilReady(3)
})

test('beyond loopback a node that asks for no proof does not start', async () => {
  cluster = new LocalCluster({ portBase: 20_200, nodeCount: 2 })
  cluster.configure(1, config => {
    const members = config['cluster']!['members'] as { peer: string }[]
    members[1]!.peer = '192.0.2.7:7100'
  })
  const child = cluster.start(1)
  expect(await new Promise(resolve => child.on('exit', resolve))).toBe(1)
  await untilOutput(1, /^quorate: node node2 is at 192\.0\.2\.7:7100, which is not loopback/)
})

test('nodes whose secrets differ do not link; a secret is exchanged node by node', async () => {
  cluster = new LocalCluster({ portBase: 20_200, nodeCount: 2 })
  const file = join(scratch(), 'secret')
  cluster.configure(1, config => Object.assign(config['cluster']!, { secret }))
  writeFileSync(file, `${'another'.repeat(6)}\n`, { mode: 0o600 })
  cluster.configure(2, config => Object.assign(config['cluster']!, { secretFile: file }))
  for (const node of cluster.nodes) cluster.start(node)
  await untilOutput(1, /A stranger is turned away from the peer port .*code=notProven/)
  await untilOutput(2, /A node cannot be linked .*code=notProven/)
  for (const node of cluster.nodes) expect(cluster.output(node)).not.toContain('Linked')
  await cluster.signal(2, 'SIGKILL')
  // Proves with the first line; takes the second too.
  writeFileSync(file, `${secret}\n${'another'.repeat(6)}\n`)
  cluster.start(2)
  for (const node of cluster.nodes) await cluster.untilReady(node)
})

test('with TLS a certificate of the authority, for the address of the node, is what links', async () => {
  cluster = new LocalCluster({ portBase: 20_200 })
  const directory = scratch()
  const ours = writeAuthority(directory, 'ours')
  const theirs = writeAuthority(directory, 'theirs')
  const files = (name: string, authority: typeof ours, host: string) => ({
    ...writeSigned(directory, authority, name, [host]),
    authority: ours.file,
  })
  for (const node of cluster.nodes) {
    const peers = files(`node${node}`, ours, '127.0.0.1')
    cluster.configure(node, config => Object.assign(config['listeners']!, { peers }))
  }
  await cluster.startAll()
  const stranger = { ...files('stranger', theirs, '127.0.0.1'), authority: theirs.file }
  await startImpostor(config => Object.assign(config['listeners']!, { peers: stranger }))
  await untilOutput(3, /A node cannot be linked .*(UNABLE_TO_VERIFY|SELF_SIGNED|certificate)/)
  // One that takes our certificates, and shows its own.
  await startImpostor(config =>
    Object.assign(config['listeners']!, { peers: { ...stranger, authority: ours.file } }),
  )
  await untilOutput(
    1,
    /A stranger is turned away .*address=127\.0\.0\.1 code=badCertificate reason="the certificate was not accepted: /,
  )
  // One whose certificate is of the authority, and for another host.
  const elsewhere = files('elsewhere', ours, '10.9.8.7')
  await startImpostor(config => Object.assign(config['listeners']!, { peers: elsewhere }))
  await untilOutput(3, /code=wrongCertificate .*certificate of node 3 does not name 127\.0\.0\.1/)
  // And one with plain TCP.
  await startImpostor(config => delete config['listeners']!['peers'])
  await sleep(1500)
  expect(cluster.output(3).match(/A node is linked/g) ?? []).toHaveLength(2)
  for (const node of [1, 2]) await cluster.untilReady(node)
})

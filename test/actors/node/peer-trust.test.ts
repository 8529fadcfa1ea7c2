import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { parseConfig } from '../../../actors/node/config.ts'
import { configTemplate } from '../../../actors/node/config-template.ts'
import {
  checkPeerTrust,
  clusterSecrets,
  trustWarnings,
  writeSecret,
} from '../../../actors/node/peer-trust.ts'

const directory = mkdtempSync(join(tmpdir(), 'quorate-trust-'))
afterAll(() => rmSync(directory, { recursive: true }))

const own = { index: 1, nodeCount: 3, dataDirectory: '/d', clusterName: 'c' }
const open = configTemplate(own)
const remote = open.replace('127.0.0.1:7102', '10.0.0.2:7102')

function withFile(name: string, lines: string): string {
  const secretFile = join(directory, name)
  writeFileSync(secretFile, lines, { mode: 0o600 })
  return configTemplate({ ...own, secretFile }).replace('127.0.0.1:7102', '10.0.0.2:7102')
}

function check(text: string): void {
  checkPeerTrust(parseConfig(text, 'node.yaml'))
}

test('nodes on loopback may do without a proof, with one warning', () => {
  check(open)
  expect(trustWarnings(parseConfig(open, 'node.yaml'))).toEqual([
    'Nothing proves who calls at the peer port: any process of this machine can join',
  ])
})

test('nodes elsewhere may not, and the fault says what to do', () => {
  expect(() => check(remote)).toThrow(
    'node node2 is at 10.0.0.2:7102, which is not loopback, and nothing proves who calls there: ' +
      'give all nodes the same cluster.secretFile (make it with: ' +
      '(umask 077; openssl rand -base64 32 > FILE)), or certificates in listeners.peers',
  )
  check(withFile('good', `${'s'.repeat(32)}\n`))
  const secret = `  consensus: raft\n  secret: ${'s'.repeat(32)}`
  check(remote.replace('  consensus: raft', secret))
  const files = 'peers: { certificate: a.pem, key: a.key, authority: ca.pem }'
  check(remote.replace('listeners:', `listeners:\n  ${files}`))
})

test('a secret has a length, and its file lines that are taken too', () => {
  expect(() => check(withFile('short', 'short\n'))).toThrow(
    `cluster.secretFile: ${directory}/short must hold a secret of at least 32 characters a line`,
  )
  expect(() => check(withFile('empty', '\n'))).toThrow('at least 32 characters')
  const config = parseConfig(
    withFile('two', `${'n'.repeat(40)}\n\n  ${'o'.repeat(40)}\n`),
    'node.yaml',
  )
  expect(clusterSecrets(config)).toEqual(['n'.repeat(40), 'o'.repeat(40)])
  rmSync(join(directory, 'two'))
  expect(() => checkPeerTrust(config)).toThrow(
    /two cannot be read: ENOENT.*make one with: \(umask 077/,
  )
})

test('a secret that is made is long, its owner’s alone, and never written over', () => {
  const file = join(directory, 'made')
  writeSecret(file)
  expect(statSync(file).mode & 0o777).toBe(0o600)
  const text = configTemplate({ ...own, secretFile: file })
  expect(clusterSecrets(parseConfig(text, 'node.yaml'))[0]).toHaveLength(44)
  expect(trustWarnings(parseConfig(text, 'node.yaml'))).toEqual([])
  expect(() => writeSecret(file)).toThrow('EEXIST')
})

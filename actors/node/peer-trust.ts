/** How the nodes of a configuration prove to each other that they belong together (README, Security). */
import { randomBytes } from 'node:crypto'
import { readFileSync, statSync, writeFileSync } from 'node:fs'
import type { TlsFiles } from '../../runtime/host.ts'
import { splitAddress } from '../../transport/peers/address.ts'
import { type Config, secretCharactersMin } from './config-schema.ts'
import { CommandError } from './errors.ts'

const loopback = /^(localhost|127\.\d{1,3}\.\d{1,3}\.\d{1,3}|\[?::1\]?)$/
const secretBytes = 32
const secretsMax = 8

export function isLoopback(host: string): boolean {
  return loopback.test(host)
}

/** Of the cluster, the first is what this node proves with; none: there is none. @throws CommandError */
export function clusterSecrets({ cluster }: Config): readonly string[] {
  const { secret, secretFile } = cluster
  if (secret !== undefined) return [secret]
  if (secretFile === undefined) return []
  const secrets = readSecrets('cluster.secretFile', secretFile, secretCharactersMin)
  if (secrets.length <= secretsMax) return secrets
  throw new CommandError(`cluster.secretFile: ${secretFile} has more than ${secretsMax} lines`)
}

/** The lines of a file that only its owner should read. @throws CommandError where one is too short, or none is there. */
export function readSecrets(key: string, file: string, charactersMin: number): string[] {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (error) {
    const how = `make one with: (umask 077; openssl rand -base64 32 > ${file})`
    throw new CommandError(`${key}: ${file} cannot be read: ${(error as Error).message}; ${how}`)
  }
  const secrets = text
    .split('\n')
    .map(line => line.trim())
    .filter(line => line !== '')
  if (secrets.length > 0 && secrets.every(one => one.length >= charactersMin)) return secrets
  throw new CommandError(
    `${key}: ${file} must hold a secret of at least ${charactersMin} characters a line`,
  )
}

export function writeSecret(file: string): void {
  writeFileSync(file, `${randomBytes(secretBytes).toString('base64')}\n`, {
    mode: 0o600,
    flag: 'wx',
  })
}

export function peerTls({ listeners }: Config): TlsFiles | undefined {
  if (listeners.peers === undefined) return undefined
  const { name, ...files } = listeners.peers
  return name === undefined ? files : { ...files, name }
}

/**
 * Whoever reaches the peer port of a node that asks for no proof can take the cluster over.
 * @throws CommandError where others than processes of this machine may reach it.
 */
export function checkPeerTrust(config: Config): void {
  clusterSecrets(config)
  if (hasProof(config)) return
  const open = config.cluster.members.find(({ peer }) => !isLoopback(splitAddress(peer).host))
  if (open === undefined) return
  throw new CommandError(
    `node ${open.name} is at ${open.peer}, which is not loopback, and nothing proves who calls there: ` +
      'give all nodes the same cluster.secretFile (make it with: ' +
      '(umask 077; openssl rand -base64 32 > FILE)), or certificates in listeners.peers',
  )
}

/** What an operator should know, one sentence each. */
export function trustWarnings(config: Config): string[] {
  const warnings: string[] = []
  if (!hasProof(config)) {
    warnings.push('Nothing proves who calls at the peer port: any process of this machine can join')
  }
  const { secretFile } = config.cluster
  if (secretFile !== undefined && (statSync(secretFile).mode & 0o004) !== 0) {
    warnings.push(`Every user of this machine can read cluster.secretFile ${secretFile}`)
  }
  return warnings
}

function hasProof({ cluster, listeners }: Config): boolean {
  const { secret, secretFile } = cluster
  return secret !== undefined || secretFile !== undefined || listeners.peers !== undefined
}

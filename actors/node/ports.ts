/** Whether the data directory and the ports of a configuration are free, asked before anything is started (DESIGN.md D21). */
import { createPrivateKey, X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { resolve } from 'node:path'
import { ownerOf } from '../../storage/directory-lock.ts'
import { splitAddress } from '../../transport/peers/address.ts'
import type { Config } from './config-schema.ts'
import { CommandError } from './errors.ts'

/** @throws CommandError that names the process that has this data directory, whatever ports it was given. */
export function checkNotOwned({ dataDirectory }: Config): void {
  const pid = ownerOf(dataDirectory)
  if (pid === undefined) return
  throw new CommandError(`${resolve(dataDirectory)} is in use by process ${pid}`)
}

/** @throws CommandError that names the first port that is taken. */
export async function checkPorts(config: Config): Promise<void> {
  const { zookeeper, etcd, admin } = config.listeners
  const peer = splitAddress(ownMember(config).peer)
  const ports = [
    ['zookeeper', zookeeper.host, zookeeper.port],
    ['etcd', etcd.host, etcd.port],
    ['admin', admin.host, admin.port],
    ['peers', peer.host, peer.port],
  ] as const
  for (const [use, host, port] of ports) {
    if (await isTaken(host, port)) {
      throw new CommandError(
        `port ${port} on ${host} (${use}, ${config.node}) is taken by another process`,
      )
    }
  }
}

/** @throws CommandError that names the first certificate or key that cannot be used. */
export function checkCertificates({ listeners }: Config): void {
  for (const door of ['zookeeper', 'etcd', 'admin', 'peers'] as const) {
    const { certificate, key } = listeners[door] ?? {}
    if (certificate === undefined || key === undefined) continue
    const where = `listeners.${door}`
    const own = parsed(`${where}.certificate`, certificate, text => new X509Certificate(text))
    const secret = parsed(`${where}.key`, key, text => createPrivateKey(text))
    if (!own.checkPrivateKey(secret)) {
      throw new CommandError(`${where}.key: ${key} is not the key of ${certificate}`)
    }
  }
  const authority = listeners.peers?.authority
  if (authority === undefined) return
  parsed('listeners.peers.authority', authority, text => new X509Certificate(text))
}

function parsed<T>(where: string, file: string, parse: (text: Buffer) => T): T {
  let text: Buffer
  try {
    text = readFileSync(file)
  } catch (error) {
    throw new CommandError(`${where}: ${file} cannot be read: ${(error as Error).message}`)
  }
  try {
    return parse(text)
  } catch (error) {
    const why = (error as Error).message
    throw new CommandError(`${where}: ${file} holds none in PEM format: ${why}`)
  }
}

export function ownMember(config: Config): Config['cluster']['members'][number] {
  const own = config.cluster.members.find(member => member.name === config.node)
  if (own === undefined) throw new CommandError(`${config.node} is not a member of the cluster`)
  return own
}

function isTaken(host: string, port: number): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const probe = createServer()
    probe.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE') resolve(true)
      else reject(new CommandError(`cannot listen on ${host}:${port}: ${error.message}`))
    })
    probe.listen({ host, port, exclusive: true }, () => probe.close(() => resolve(false)))
  })
}

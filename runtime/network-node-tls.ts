/**
 * Certificates of a process: read once a thread for each set of files, and again when a file changes or
 * somebody asks (SIGHUP). Connections that stand go on with what they began with. New files that cannot
 * be used change nothing but the log.
 */
import { readFileSync, unwatchFile, watchFile } from 'node:fs'
import type net from 'node:net'
import tls from 'node:tls'
import { BroadcastChannel } from 'node:worker_threads'
import { CallerBound } from './caller-bound.ts'
import type { TlsFiles } from './host.ts'

/** No error: the new files are in use. */
export type OnReload = (error?: Error) => void

/** Polled, because a mounted directory changes under a link, which no event tells. */
const pollMillis = 1000
/** Certificate and key are two files: while they do not fit, the second one may be on its way. */
const settleMillis = 2000
const channelName = 'quorate-certificates'

/** Of one set of files. */
class Credentials {
  options: tls.SecureContextOptions
  /** For connections that this process opens. */
  context: tls.SecureContext
  readonly #files: TlsFiles
  readonly #users = new Map<tls.Server | undefined, OnReload>()
  #timer: NodeJS.Timeout | undefined

  constructor(files: TlsFiles) {
    this.#files = files
    this.options = read(files)
    this.context = tls.createSecureContext(this.options)
  }

  follow(server: tls.Server, onReload: OnReload): void {
    if (this.#users.size === 0) {
      for (const file of this.#paths()) {
        watchFile(file, { interval: pollMillis, persistent: false }, () => this.#changed())
      }
    }
    this.#users.set(server, onReload)
    server.once('close', () => this.#leave(server))
  }

  /** `isLast`: what does not work now is reported. */
  reload(isLast: boolean): void {
    clearTimeout(this.#timer)
    let error: Error | undefined
    try {
      const options = read(this.#files)
      this.context = tls.createSecureContext(options)
      this.options = options
      for (const server of this.#users.keys()) server?.setSecureContext(options)
    } catch (fault) {
      error = fault as Error
    }
    if (error !== undefined && !isLast) {
      this.#timer = setTimeout(() => this.reload(true), settleMillis).unref()
      return
    }
    for (const onReload of this.#users.values()) onReload(error)
  }

  /** Both files usually change together. */
  #changed(): void {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => this.reload(false), pollMillis / 4).unref()
  }

  #leave(server: tls.Server): void {
    this.#users.delete(server)
    if (this.#users.size > 0) return
    clearTimeout(this.#timer)
    for (const file of this.#paths()) unwatchFile(file)
  }

  #paths(): string[] {
    const { certificate, key, authority } = this.#files
    return authority === undefined ? [certificate, key] : [certificate, key, authority]
  }
}

const known = new Map<string, Credentials>()

/** @throws Error where the files cannot be read or used. */
export function credentialsOf(files: TlsFiles): Credentials {
  const name = JSON.stringify([files.certificate, files.key, files.authority])
  let credentials = known.get(name)
  if (credentials === undefined) {
    if (known.size === 0) listen()
    credentials = new Credentials(files)
    known.set(name, credentials)
  }
  return credentials
}

/** The files are read again on every thread of the process. */
export function reloadCertificates(): void {
  const channel = new BroadcastChannel(channelName)
  channel.postMessage('reload')
  channel.close()
}

function listen(): void {
  const channel = new BroadcastChannel(channelName)
  channel.onmessage = () => {
    for (const credentials of known.values()) credentials.reload(true)
  }
  channel.unref()
}

function read({ certificate, key, authority }: TlsFiles): tls.SecureContextOptions {
  const own = { cert: readFileSync(certificate), key: readFileSync(key) }
  if (authority === undefined) return own
  // Only nodes talk here, all of them ours.
  return { ...own, ca: readFileSync(authority), minVersion: 'TLSv1.3' }
}

/** Of one port: callers whose TLS handshake is not done. */
export const tlsLimits = { handshakeMillisMax: 5000, callersMax: 512, perAddressMax: 128 } as const

export function boundHandshakes(server: tls.Server): void {
  const bound = new CallerBound(tlsLimits)
  const handshakes = new Map<string, () => void>()
  server.on('connection', (raw: net.Socket) => {
    const caller = callerOf(raw)
    const leave = bound.add(raw.remoteAddress ?? '', () => raw.destroy())
    handshakes.set(caller, leave)
    raw.once('close', () => {
      leave()
      if (handshakes.get(caller) === leave) handshakes.delete(caller)
    })
  })
  server.on('secureConnection', secure => {
    const caller = callerOf(secure)
    handshakes.get(caller)?.()
    handshakes.delete(caller)
  })
}

function callerOf({ remoteAddress, remotePort }: net.Socket): string {
  return `${remoteAddress} ${remotePort}`
}

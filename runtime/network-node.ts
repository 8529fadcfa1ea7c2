/** TCP and TLS of the machine behind `Network`. Every socket is without Nagle's delay. */
import net from 'node:net'
import tls from 'node:tls'
import { threadPool } from './buffer-pool.ts'
import { rememberedNames } from './name-lookup.ts'
import { boundHandshakes, credentialsOf, tlsLimits } from './network-node-tls.ts'
import type {
  Listener,
  ListenOptions,
  Network,
  SecureEvents,
  Socket,
  SocketHandlers,
  TlsFiles,
} from './host.ts'

export const systemNetwork: Network = {
  listen(options, onConnection, onListening, secure = {}) {
    return new SystemListener(options, onConnection, onListening, secure)
  },
  connect({ host, port, tls: files }) {
    const { lookup } = names
    const options = { host, port, lookup, noDelay: true, keepAlive: true }
    const stream = files === undefined ? net.connect(options) : connectSecurely(options, files)
    stream.once('error', () => names.forget(host))
    return new SystemSocket(stream, files === undefined ? 'connect' : 'secureConnect')
  },
}

const names = rememberedNames()

function connectSecurely(options: net.TcpNetConnectOpts, files: TlsFiles): tls.TLSSocket {
  const { context } = credentialsOf(files)
  const { name } = files
  // A server is named by SNI; an address is checked against the certificate as an address.
  return tls.connect({
    ...options,
    secureContext: context,
    ...(name === undefined ? {} : { servername: name }),
  })
}

class SystemListener implements Listener {
  readonly #server: net.Server
  #port: number

  constructor(
    options: ListenOptions,
    onConnection: (socket: Socket) => void,
    onListening: (error?: Error) => void,
    secure: SecureEvents,
  ) {
    this.#port = options.port
    const onSocket = (socket: net.Socket): void => onConnection(new SystemSocket(socket))
    this.#server = createServer(options.tls, onSocket, secure)
    let isListening = false
    this.#server.on('error', error => {
      // Later errors (no more file descriptors) concern one connection that never came to be.
      if (!isListening) onListening(error)
    })
    this.#server.listen(
      { host: options.host, port: options.port, exclusive: true, backlog: 1024 },
      () => {
        isListening = true
        this.#port = (this.#server.address() as net.AddressInfo).port
        onListening()
      },
    )
  }

  get port(): number {
    return this.#port
  }

  close(): void {
    this.#server.close()
  }
}

/** Some clients finish writing and wait for the answer (`echo srvr | nc`). */
const plain = { noDelay: true, keepAlive: true, allowHalfOpen: true }

function createServer(
  files: TlsFiles | undefined,
  onSocket: (socket: net.Socket) => void,
  events: SecureEvents,
): net.Server {
  if (files === undefined) return net.createServer(plain, onSocket)
  const credentials = credentialsOf(files)
  const isMutual = files.authority !== undefined
  const options: tls.TlsOptions = {
    ...credentials.options,
    ...plain,
    handshakeTimeout: tlsLimits.handshakeMillisMax,
    // Judged below, where the address of the caller is still known.
    ...(isMutual ? { requestCert: true, rejectUnauthorized: false } : {}),
  }
  if (files.protocols !== undefined) options.ALPNProtocols = [...files.protocols]
  const server = tls.createServer(options, socket => {
    if (!isMutual || socket.authorized) return onSocket(socket)
    const reason = String(socket.authorizationError)
    const error = Object.assign(new Error(`the certificate was not accepted: ${reason}`), {
      code: 'badCertificate',
    })
    events.onHandshakeFailed?.(socket.remoteAddress ?? '', error)
    socket.destroy()
  })
  server.on('tlsClientError', (error, socket) => {
    const address = socket.remoteAddress ?? ''
    socket.destroy()
    events.onHandshakeFailed?.(address, error)
  })
  boundHandshakes(server)
  credentials.follow(server, error => events.onCertificates?.(error))
  return server
}

const noBytes = Buffer.alloc(0)

class SystemSocket implements Socket {
  readonly #stream: net.Socket
  #handlers: SocketHandlers | undefined = undefined
  #peerEnded = false
  #error: Error | undefined = undefined
  #closed = false
  #watchingDrain = false
  /** Pooled copies that the stream holds, oldest first. */
  readonly #writing: Buffer[] = []
  readonly #onWritten = (): void => threadPool.give(this.#writing.shift()!)
  readonly #onDrain = (): void => this.#drained()
  readonly #connected: 'connect' | 'secureConnect'

  constructor(stream: net.Socket, connected: 'connect' | 'secureConnect' = 'connect') {
    this.#stream = stream
    this.#connected = connected
  }

  get remoteAddress(): string {
    return this.#stream.remoteAddress ?? ''
  }

  get remotePort(): number {
    return this.#stream.remotePort ?? 0
  }

  get protocol(): string {
    const { alpnProtocol } = this.#stream as tls.TLSSocket
    return typeof alpnProtocol === 'string' ? alpnProtocol : ''
  }

  certificateNames(host: string): boolean {
    const stream = this.#stream
    if (!(stream instanceof tls.TLSSocket) || !stream.authorized) return false
    return tls.checkServerIdentity(host, stream.getPeerCertificate()) === undefined
  }

  get bufferedBytes(): number {
    return this.#stream.writableLength
  }

  /** Taking it ends this socket: its handlers are called no more, the stream is paused. */
  get native(): net.Socket {
    if (this.#handlers !== undefined) {
      this.#stream.removeAllListeners()
      this.#stream.pause()
      this.#handlers = undefined
    }
    return this.#stream
  }

  open(handlers: SocketHandlers): void {
    this.#handlers = handlers
    const stream = this.#stream
    if (stream.connecting) stream.once(this.#connected, () => this.#handlers?.connected?.())
    stream.on('data', ({ buffer, byteOffset, length }: Buffer) =>
      this.#handlers?.data(new Uint8Array(buffer, byteOffset, length)),
    )
    stream.on('end', () => {
      this.#peerEnded = true
      if (this.#handlers?.ended === undefined) stream.end()
      else this.#handlers.ended()
    })
    stream.on('error', error => {
      this.#error = error
    })
    stream.on('close', () => this.#closedNow())
  }

  write(bytes: Uint8Array): void {
    const stream = this.#stream
    // What the system does not take at once is kept by reference: it has to be a copy.
    if (threadPool.fits(bytes.length)) {
      const copy = threadPool.take(bytes.length)
      copy.set(bytes)
      this.#writing.push(copy)
      stream.write(copy.subarray(0, bytes.length), this.#onWritten)
    } else stream.write(Buffer.from(bytes))
    if (stream.writableLength > 0 && !this.#watchingDrain) this.#watchDrain()
  }

  pause(): void {
    this.#stream.pause()
  }

  resume(): void {
    this.#stream.resume()
  }

  end(): void {
    this.#stream.end()
  }

  destroy(): void {
    this.#stream.destroy()
  }

  #watchDrain(): void {
    this.#watchingDrain = true
    // Called when everything before it is written; `drain` would come only above a threshold.
    this.#stream.write(noBytes, this.#onDrain)
  }

  #drained(): void {
    this.#watchingDrain = false
    if (this.#closed || this.#stream.destroyed) return
    if (this.#stream.writableLength > 0) this.#watchDrain()
    else this.#handlers?.drained?.()
  }

  #closedNow(): void {
    if (this.#closed) return
    this.#closed = true
    const error = this.#error
    const byPeer = this.#peerEnded || (error !== undefined && isReset(error))
    if (error === undefined) this.#handlers?.closed({ byPeer })
    else this.#handlers?.closed({ byPeer, error })
  }
}

/** A process that ends with unread input resets its connections: its system speaks for it. */
function isReset(error: Error): boolean {
  return 'code' in error && (error.code === 'ECONNRESET' || error.code === 'EPIPE')
}

/**
 * The seam between Quorate and the machine. Everything above it runs unchanged in the simulator:
 * clock, randomness, timers, network, disk and jobs are reached through a `Host` and nowhere else.
 * Callbacks are always called from the event loop, never from inside the call that asked.
 */
export interface Host {
  readonly clock: Clock
  readonly timers: Timers
  readonly random: Random
  readonly network: Network
  readonly disk: Disk
  readonly jobs: Jobs
  /** Runs `callback` once all input that is already there has been taken in (the dispatcher's turn). */
  defer(callback: () => void): void
}

export interface Clock {
  /** Milliseconds, with fractions, that never go back; zero is arbitrary, and the same for all threads of a process. */
  monotonicMillis(): number
  /** Milliseconds since 1970, an integer; may jump either way. */
  wallMillis(): number
}

export interface Timer {
  cancel(): void
}

export interface Timers {
  after(delayMillis: number, callback: () => void): Timer
}

export interface Random {
  /** Uniform in [0, 2^32). */
  uint32(): number
  /** Uniform in [0, 1). */
  fraction(): number
  /** `length` random bytes, fit for secrets on a real host. */
  bytes(length: number): Uint8Array
}

export interface TlsFiles {
  readonly certificate: string
  readonly key: string
  /** Application protocols to offer, for instance `['h2', 'http/1.1']`. */
  readonly protocols?: readonly string[]
  /** Certificates of authorities (PEM): the other side has to show a certificate of one of them. */
  readonly authority?: string
  /** What the certificate of a server that we connect to has to name; default: the host. */
  readonly name?: string
}

export interface ListenOptions {
  readonly host: string
  /** 0 lets the system choose; `Listener.port` tells. */
  readonly port: number
  readonly tls?: TlsFiles
}

/** Of a listener with TLS. */
export interface SecureEvents {
  /** Changed files are in use, or why they are not and the ones before still are. */
  onCertificates?(error?: Error): void
  /** A caller is hung up on before it became a connection. */
  onHandshakeFailed?(address: string, error: Error): void
}

export interface ConnectOptions {
  readonly host: string
  readonly port: number
  readonly tls?: TlsFiles
}

export interface Network {
  /** `onListening` gets an error (code EADDRINUSE and so on) or nothing; then `onConnection` per client. */
  listen(
    options: ListenOptions,
    onConnection: (socket: Socket) => void,
    onListening: (error?: Error) => void,
    secure?: SecureEvents,
  ): Listener
  connect(options: ConnectOptions): Socket
}

export interface Listener {
  readonly port: number
  /** Stops accepting; open sockets stay. */
  close(): void
}

/** A byte stream. Chunks given to `data` belong to the receiver only during the call. */
export interface Socket {
  readonly remoteAddress: string
  readonly remotePort: number
  /** Application protocol that TLS agreed on, '' without. */
  readonly protocol: string
  /** Whether the other side has shown a certificate, of an authority of ours, that names this host. */
  certificateNames?(host: string): boolean
  /** Must be called once, before the event loop goes on. */
  open(handlers: SocketHandlers): void
  /** The bytes may be reused by the caller after the call only if it returned; the socket copies what it keeps. */
  write(bytes: Uint8Array): void
  /** Bytes accepted by `write` that the system has not taken yet. */
  readonly bufferedBytes: number
  pause(): void
  resume(): void
  /** Flushes, then closes. */
  end(): void
  /** Closes at once. */
  destroy(): void
  /** The platform's own stream where there is one (to hand HTTP/1.1 over to node:http). */
  readonly native?: unknown
}

export interface SocketHandlers {
  connected?(): void
  /** The chunk belongs to the receiver: its memory is not used again. */
  data(chunk: Uint8Array): void
  /** `bufferedBytes` is back at 0. */
  drained?(): void
  /** The other side has finished writing and may still read; without this the socket ends at once. */
  ended?(): void
  /** Exactly once. `byPeer` tells an orderly close by the other process from an error or silence. */
  closed(cause: { readonly byPeer: boolean; readonly error?: Error }): void
}

/** Errors are thrown as `DiskError`s; `code` is the system's (ENOSPC, EIO, ENOENT and so on). */
export interface Disk {
  open(path: string, mode: 'read' | 'write' | 'create' | 'createNew'): DiskFile
  exists(path: string): boolean
  list(directory: string): string[]
  /** In a directory that exists. */
  makeDirectory(path: string): void
  rename(from: string, to: string): void
  remove(path: string): void
  /** Makes created, renamed and removed names of a directory durable. */
  syncDirectory(path: string): void
  freeBytes(path: string): number
}

export interface DiskFile {
  readonly path: string
  sizeBytes(): number
  /** Returns how many bytes were read, fewer only at the end of the file. */
  read(target: Uint8Array, position: number): number
  write(source: Uint8Array, position: number): void
  truncate(sizeBytes: number): void
  /** fdatasync, in place. */
  syncNow(): void
  /**
   * fdatasync for which this thread waits at most `millisMax`. True: it is done. False: it goes on off
   * this thread, or has failed, and `done` is called. A host may also throw the failure.
   */
  syncWithin(millisMax: number, done: (error?: Error) => void): boolean
  /** fdatasync off this thread. */
  sync(done: (error?: Error) => void): void
  close(): void
}

export interface Jobs {
  /**
   * Runs `run(input, disk)`, exported by a module, off this thread; `disk` is the host's. `input` and
   * the result are copied as structured clone does; shared buffers stay shared.
   */
  run<Result>(
    module: URL,
    input: unknown,
    done: (error: Error | undefined, result?: Result) => void,
  ): void
}

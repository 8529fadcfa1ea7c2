/**
 * A checkpoint on its way to another node, on a connection of its own, so that no heartbeat waits
 * behind it. The sender offers {position, epoch, bytes}, the receiver answers; then chunks, at most a
 * window ahead of what the receiver reports; then the end, and the receiver's answer when the files
 * are durable. Either side may break off; nothing is kept of a transfer that did not end.
 */
import type { Host, Timer } from '../../runtime/host.ts'
import type { Connection } from './connection.ts'
import { frameKind } from './frame.ts'
import { limits } from './limits.ts'

export interface CheckpointOffer {
  readonly position: number
  readonly epoch: number
  readonly bytes: number
}

/** Where a sender reads: the newest checkpoint, pinned until `close`. */
export interface CheckpointSource extends CheckpointOffer {
  /** Fills `target` from the front; returns how much, 0 at the end. */
  read(target: Uint8Array): number
  close(): void
}

/** Where a receiver puts it: a directory that counts only after `finish`. */
export interface CheckpointSink {
  write(chunk: Uint8Array): void
  /** Checks and syncs; the error says why the files are not a checkpoint. */
  finish(done: (error: Error | undefined, directory: string) => void): void
  abort(): void
}

/** Sends on a greeted connection; `done` once. Returns a function that breaks off. */
export function sendCheckpoint(
  host: Host,
  connection: Connection,
  source: CheckpointSource,
  done: (error: Error | undefined) => void,
): () => void {
  const chunk = new Uint8Array(limits.checkpointChunkBytes)
  let sent = 0
  let confirmed = 0
  let accepted = false
  let allSent = false
  let scheduled = false
  let ended = false
  const watchdog = createWatchdog(host, connection)

  connection.handlers = {
    frame(kind, body) {
      watchdog.reset()
      if (kind !== frameKind.answer || body.length !== answerBytes) {
        unexpected(connection, kind)
        return
      }
      const answer = decodeAnswer(body)
      confirmed = answer.received
      if (answer.finished) finish(undefined)
      else if (answer.received > sent) unexpected(connection, kind)
      else {
        accepted = true
        schedule()
      }
    },
    closed(end) {
      finish(new Error(`the transfer of a checkpoint ended: ${end.why}`))
    },
  }
  connection.send(frameKind.offer, encodeOffer(source))
  return () => connection.close('abandoned', 'the transfer was broken off')

  /** One chunk at a time: whatever else this thread has to do goes in between. */
  function schedule(): void {
    if (scheduled || ended || allSent || !accepted || sent - confirmed >= limits.windowBytes) return
    scheduled = true
    host.defer(sendNext)
  }

  function sendNext(): void {
    scheduled = false
    if (ended) return
    let bytes: number
    try {
      bytes = source.read(chunk)
    } catch (error) {
      connection.close('unreadable', `the checkpoint cannot be read: ${messageOf(error)}`)
      return
    }
    if (bytes === 0) {
      allSent = true
      connection.send(frameKind.end, nothing)
      return
    }
    sent += bytes
    connection.send(frameKind.chunk, chunk.subarray(0, bytes))
    schedule()
  }

  function finish(error: Error | undefined): void {
    if (ended) return
    ended = true
    watchdog.stop()
    source.close()
    if (error === undefined) connection.close('done', 'the checkpoint is in place')
    done(error)
  }
}

export type CheckpointArrival =
  | { readonly kind: 'arrived'; readonly offer: CheckpointOffer; readonly directory: string }
  | { readonly kind: 'failed'; readonly why: string }

/** Receives on a greeted connection. `accept` gives the sink for an offer, or says why there is none. */
export function receiveCheckpoint(
  host: Host,
  connection: Connection,
  accept: (offer: CheckpointOffer) => CheckpointSink | string,
  done: (arrival: CheckpointArrival) => void,
): void {
  let offer: CheckpointOffer | undefined
  let sink: CheckpointSink | undefined
  let received = 0
  let reported = 0
  let over = false
  const watchdog = createWatchdog(host, connection)

  connection.handlers = {
    frame(kind, body) {
      watchdog.reset()
      try {
        take(kind, body)
      } catch (error) {
        connection.close('unwritable', messageOf(error))
      }
    },
    closed(end) {
      finish({ kind: 'failed', why: end.why })
    },
  }

  function take(kind: number, body: Uint8Array): void {
    if (kind === frameKind.offer && offer === undefined && body.length === offerBytes)
      takeOffer(body)
    else if (kind === frameKind.chunk && sink !== undefined) takeChunk(sink, body)
    else if (kind === frameKind.end && sink !== undefined) takeEnd(sink)
    else unexpected(connection, kind)
  }

  function takeOffer(body: Uint8Array): void {
    offer = decodeOffer(body)
    const accepted = accept(offer)
    if (typeof accepted === 'string') {
      connection.close('notAccepted', accepted)
      return
    }
    sink = accepted
    connection.send(frameKind.answer, encodeAnswer(0, false))
  }

  function takeChunk(into: CheckpointSink, body: Uint8Array): void {
    received += body.length
    if (received > offer!.bytes)
      throw new Error(`more than the ${offer!.bytes} bytes that were offered`)
    into.write(body)
    if (received - reported < limits.reportBytes) return
    reported = received
    connection.send(frameKind.answer, encodeAnswer(received, false))
  }

  function takeEnd(into: CheckpointSink): void {
    if (received !== offer!.bytes) throw new Error(`${received} bytes of ${offer!.bytes} have come`)
    sink = undefined
    watchdog.stop()
    into.finish((error, directory) => {
      if (error !== undefined) {
        connection.close('notAccepted', error.message)
        return
      }
      connection.send(frameKind.answer, encodeAnswer(received, true))
      finish({ kind: 'arrived', offer: offer!, directory })
    })
  }

  function finish(arrival: CheckpointArrival): void {
    if (over) return
    over = true
    watchdog.stop()
    if (arrival.kind === 'failed') discard()
    done(arrival)
  }

  /** What is left of it is removed at the next start or by the next transfer. */
  function discard(): void {
    try {
      sink?.abort()
    } catch {
      // Its directory is gone already: the owner of the checkpoints has tidied up.
    }
  }
}

interface Watchdog {
  reset(): void
  stop(): void
}

function createWatchdog(host: Host, connection: Connection): Watchdog {
  let timer: Timer | undefined
  const watchdog = {
    reset() {
      timer?.cancel()
      timer = host.timers.after(limits.checkpointSilenceMillis, () => {
        connection.close('silent', `no progress for ${limits.checkpointSilenceMillis} ms`)
      })
    },
    stop() {
      timer?.cancel()
    },
  }
  watchdog.reset()
  return watchdog
}

const nothing = new Uint8Array(0)
const offerBytes = 24
const answerBytes = 9
const twoTo32 = 4294967296

function encodeOffer({ position, epoch, bytes }: CheckpointOffer): Uint8Array {
  const body = new Uint8Array(offerBytes)
  const view = new DataView(body.buffer)
  writeUint64(view, 0, position)
  writeUint64(view, 8, epoch)
  writeUint64(view, 16, bytes)
  return body
}

function decodeOffer(body: Uint8Array): CheckpointOffer {
  const view = new DataView(body.buffer, body.byteOffset, body.length)
  return { position: readUint64(view, 0), epoch: readUint64(view, 8), bytes: readUint64(view, 16) }
}

function encodeAnswer(received: number, finished: boolean): Uint8Array {
  const body = new Uint8Array(answerBytes)
  writeUint64(new DataView(body.buffer), 0, received)
  body[8] = finished ? 1 : 0
  return body
}

function decodeAnswer(body: Uint8Array): { readonly received: number; readonly finished: boolean } {
  const view = new DataView(body.buffer, body.byteOffset, body.length)
  return { received: readUint64(view, 0), finished: body[8] === 1 }
}

function readUint64(view: DataView, at: number): number {
  return view.getUint32(at, true) + view.getUint32(at + 4, true) * twoTo32
}

function writeUint64(view: DataView, at: number, value: number): void {
  view.setUint32(at, value >>> 0, true)
  view.setUint32(at + 4, Math.floor(value / twoTo32), true)
}

function unexpected(connection: Connection, kind: number): void {
  connection.close(
    'badKind',
    `frame kind ${kind} does not belong here in a transfer of a checkpoint`,
  )
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

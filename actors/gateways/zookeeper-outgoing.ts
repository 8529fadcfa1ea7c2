/**
 * Bytes on their way to one client: one write a round. What a client does not take at once waits in
 * memory of its own, so that what is counted is what is held: an answer of a few bytes would pin the
 * chunk that it was built in, and small pieces in a socket pin chunks of others. The socket gets a
 * piece at a time, which also shows whether the client takes anything.
 */
import type { Socket } from '../../runtime/host.ts'
import type { ConnectionRoom } from './answer-room.ts'

const chunkBytesMin = 4 * 1024
const chunkBytesMax = 64 * 1024
/** In the socket at a time, once the client is slower than we are. */
const pieceBytes = 256 * 1024
/** What a piece in a socket may pin beyond its bytes. */
const socketOverheadBytes = 8 * 1024

interface Waiting {
  /** Bytes from `start` to `end` wait; all of its memory is held. */
  readonly bytes: Uint8Array
  start: number
  end: number
}

export class Outgoing {
  readonly #socket: Socket
  readonly #room: ConnectionRoom
  #round: Uint8Array[] = []
  #roundBytes = 0
  readonly #waiting: Waiting[] = []
  /** Memory that `#waiting` holds. */
  #heldBytes = 0
  /** Given to the socket so far. */
  #givenBytes = 0
  /** As `untakenMillis` last saw it; -1: it has not looked since something waits. */
  #takenBytes = -1
  #tookMillis = 0
  /** As `isTaken` last saw it. */
  #takenBefore = 0
  #didWait = false

  constructor(socket: Socket, room: ConnectionRoom) {
    this.#socket = socket
    this.#room = room
  }

  get hasRound(): boolean {
    return this.#round.length > 0
  }

  /** The client has not taken what was sent in earlier rounds. */
  get isUntaken(): boolean {
    return this.#waiting.length > 0 || this.#socket.bufferedBytes > 0
  }

  add(bytes: Uint8Array): void {
    this.#round.push(bytes)
    this.#roundBytes += bytes.length
    this.#room.hold(bytes.length)
  }

  /** At the end of a round; returns how many packets have left or wait. `scratch` is for this call only. */
  flush(scratch: Uint8Array): number {
    const round = this.#round
    if (round.length === 0) return 0
    this.#round = []
    this.#roundBytes = 0
    if (this.isUntaken) {
      for (const bytes of round) this.#keep(bytes)
    } else if (round.length === 1) this.#send(round[0]!)
    else this.#sendAll(round, scratch)
    this.#recount()
    return round.length
  }

  /** The socket has taken what it had, or may take more. */
  pump(): void {
    while (this.#waiting.length > 0 && this.#socket.bufferedBytes < pieceBytes) {
      const first = this.#waiting[0]!
      const end = Math.min(first.end, first.start + pieceBytes)
      this.#write(first.bytes.subarray(first.start, end))
      first.start = end
      if (first.start < first.end) continue
      this.#waiting.shift()
      this.#heldBytes -= first.bytes.length
    }
    this.#recount()
  }

  /** All that there is goes to the socket, which is about to end; returns how many packets that was. */
  finish(): number {
    const count = this.#round.length
    for (const { bytes, start, end } of this.#waiting.splice(0)) {
      this.#socket.write(bytes.subarray(start, end))
    }
    for (const bytes of this.#round.splice(0)) this.#socket.write(bytes)
    this.#roundBytes = 0
    this.#heldBytes = 0
    this.#recount()
    return count
  }

  /** The client has taken some of what waited for it since the last call: it is there. */
  isTaken(): boolean {
    const taken = this.#givenBytes - this.#socket.bufferedBytes
    const isTaken = this.#didWait && taken > this.#takenBefore
    this.#takenBefore = taken
    this.#didWait = this.isUntaken
    return isTaken
  }

  /** How long the client has taken nothing of what waits for it. To be called now and then. */
  untakenMillis(nowMillis: number): number {
    const taken = this.#givenBytes - this.#socket.bufferedBytes
    if (taken !== this.#takenBytes) {
      this.#takenBytes = taken
      this.#tookMillis = nowMillis
    }
    return nowMillis - this.#tookMillis
  }

  #sendAll(round: readonly Uint8Array[], scratch: Uint8Array): void {
    let at = 0
    for (const bytes of round) {
      if (at + bytes.length > scratch.length) {
        if (at > 0) this.#send(scratch.subarray(0, at))
        at = 0
      }
      if (bytes.length > scratch.length) this.#send(bytes)
      else {
        scratch.set(bytes, at)
        at += bytes.length
      }
    }
    if (at > 0) this.#send(scratch.subarray(0, at))
  }

  /** As far as the system takes it, and a piece more. */
  #send(bytes: Uint8Array): void {
    let start = 0
    if (this.#waiting.length === 0) {
      while (start < bytes.length && this.#socket.bufferedBytes === 0) {
        const end = Math.min(bytes.length, start + pieceBytes)
        this.#write(bytes.subarray(start, end))
        start = end
      }
    }
    if (start < bytes.length) this.#keep(bytes.subarray(start))
  }

  #write(bytes: Uint8Array): void {
    this.#givenBytes += bytes.length
    this.#socket.write(bytes)
  }

  #keep(bytes: Uint8Array): void {
    const last = this.#waiting.at(-1)
    const tail = last === undefined ? 0 : Math.min(bytes.length, last.bytes.length - last.end)
    if (last !== undefined && tail > 0) {
      last.bytes.set(bytes.subarray(0, tail), last.end)
      last.end += tail
    }
    if (tail < bytes.length) this.#keepAnew(bytes.subarray(tail))
  }

  /** Little memory as long as little waits: there may be very many connections. */
  #keepAnew(bytes: Uint8Array): void {
    const chunkBytes = Math.min(Math.max(chunkBytesMin, this.#heldBytes), chunkBytesMax)
    const kept = new Uint8Array(Math.max(chunkBytes, bytes.length))
    kept.set(bytes)
    this.#waiting.push({ bytes: kept, start: 0, end: bytes.length })
    this.#heldBytes += kept.length
  }

  #recount(): void {
    const { bufferedBytes } = this.#socket
    const inSocket = bufferedBytes === 0 ? 0 : bufferedBytes + socketOverheadBytes
    const heldBytes = this.#heldBytes + inSocket
    if (heldBytes === 0) this.#takenBytes = -1
    this.#room.setHeld(heldBytes + this.#roundBytes)
  }
}

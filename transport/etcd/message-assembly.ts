/** Puts the messages of one gRPC call together from pieces of its body. */
import { messagePrefixBytes } from './grpc.ts'

/** What became of a piece. `message` is set for `complete` only. */
export type AssemblyStep = 'needMore' | 'complete' | 'notCompressible' | 'tooLarge'

/** Small messages share slabs, so that a message costs a copy and no allocation of its own. */
const slabBytes = 64 * 1024
const sharedBytesMax = 8 * 1024
const nothing: Uint8Array = new Uint8Array(0)
let slab = new Uint8Array(slabBytes)
let slabUsed = 0

export class MessageAssembly {
  /** The complete message, the receiver's own. */
  message = nothing
  /** Where the next message starts in the piece. */
  at = 0
  /** Length that the prefix announced. */
  announcedBytes = 0
  readonly #mayCompress: boolean
  #prefixBytes = 0
  #compressed = false
  #body: Uint8Array = nothing
  #bodyBytes = 0

  /** `mayCompress`: the call has named an encoding for its messages. */
  constructor(mayCompress = false) {
    this.#mayCompress = mayCompress
  }

  /** Whether the message is in that encoding. */
  get isCompressed(): boolean {
    return this.#compressed
  }

  /** Memory that an unfinished message holds. */
  get heldBytes(): number {
    return this.#body.length
  }

  /** Whether the body may end here. */
  get empty(): boolean {
    return this.#prefixBytes === 0
  }

  /** Takes from `bytes` up to the end of one message. */
  step(bytes: Uint8Array, start: number, end: number, messageBytesMax: number): AssemblyStep {
    this.at = start
    this.#takePrefix(bytes, end)
    if (this.#prefixBytes < messagePrefixBytes) return 'needMore'
    if (this.#compressed && !this.#mayCompress) return 'notCompressible'
    const length = this.announcedBytes
    if (length > messageBytesMax) return 'tooLarge'
    if (this.#bodyBytes === 0 && length <= end - this.at) {
      this.message = copy(bytes, this.at, length)
      this.at += length
      this.#prefixBytes = 0
      return 'complete'
    }
    this.#takeBody(bytes, end)
    if (this.#bodyBytes < length) return 'needMore'
    this.message = this.#body.subarray(0, length)
    this.#body = nothing
    this.#bodyBytes = 0
    this.#prefixBytes = 0
    return 'complete'
  }

  #takePrefix(bytes: Uint8Array, end: number): void {
    while (this.#prefixBytes < messagePrefixBytes && this.at < end) {
      const byte = bytes[this.at++]!
      if (this.#prefixBytes === 0) {
        this.#compressed = byte !== 0
        this.announcedBytes = 0
      } else this.announcedBytes = this.announcedBytes * 256 + byte
      this.#prefixBytes++
    }
  }

  /** Memory grows with what has come, not with what was announced. */
  #takeBody(bytes: Uint8Array, end: number): void {
    const taken = Math.min(end - this.at, this.announcedBytes - this.#bodyBytes)
    const needed = this.#bodyBytes + taken
    if (needed > this.#body.length) {
      const larger = new Uint8Array(Math.min(this.announcedBytes, Math.max(needed * 2, 1024)))
      larger.set(this.#body.subarray(0, this.#bodyBytes))
      this.#body = larger
    }
    this.#body.set(bytes.subarray(this.at, this.at + taken), this.#bodyBytes)
    this.#bodyBytes = needed
    this.at += taken
  }
}

function copy(bytes: Uint8Array, start: number, length: number): Uint8Array {
  if (length > sharedBytesMax) return new Uint8Array(bytes.subarray(start, start + length))
  if (slabUsed + length > slabBytes) {
    slab = new Uint8Array(slabBytes)
    slabUsed = 0
  }
  const message = slab.subarray(slabUsed, slabUsed + length)
  message.set(bytes.subarray(start, start + length))
  slabUsed += length
  return message
}

/** Puts a header block together from HEADERS and CONTINUATION, within limits. */
import type { EtcdServerLimits } from '../limits.ts'
import { ConnectionError, errorCode } from './protocol.ts'

export class HeaderAssembly {
  /** Stream whose block is open; 0: none. */
  stream = 0
  endStream = false
  /** The priority field named the stream itself: a fault of this stream alone. */
  dependsOnItself = false
  sinceMillis = 0
  bytes = new Uint8Array(0)
  length = 0
  #frames = 0

  begin(stream: number, endStream: boolean, dependsOnItself: boolean, nowMillis: number): void {
    this.stream = stream
    this.sinceMillis = nowMillis
    this.endStream = endStream
    this.dependsOnItself = dependsOnItself
    this.length = 0
    this.#frames = 0
  }

  add(source: Uint8Array, start: number, end: number, limits: EtcdServerLimits): void {
    if (this.#frames++ > limits.continuationFramesMax) throw tooMuch('continuationFramesMax')
    const needed = this.length + end - start
    if (needed > limits.headerBlockBytesMax) throw tooMuch('headerBlockBytesMax')
    if (needed > this.bytes.length) {
      const larger = new Uint8Array(needed * 2)
      larger.set(this.bytes.subarray(0, this.length))
      this.bytes = larger
    }
    this.bytes.set(source.subarray(start, end), this.length)
    this.length = needed
  }

  end(): void {
    this.stream = 0
    this.bytes = new Uint8Array(0)
  }
}

function tooMuch(limit: string): ConnectionError {
  return new ConnectionError(errorCode.enhanceYourCalm, 'header block too large', limit)
}

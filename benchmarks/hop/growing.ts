/** Bytes that are appended at the end, taken from the front, and kept in one buffer. */
export class Growing {
  bytes = Buffer.allocUnsafeSlow(64 * 1024)
  length = 0

  /** Makes room for `count` bytes and returns where they begin. */
  reserve(count: number): number {
    const at = this.length
    if (at + count > this.bytes.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(this.bytes.length * 2, at + count))
      this.bytes.copy(larger, 0, 0, at)
      this.bytes = larger
    }
    this.length = at + count
    return at
  }

  append(chunk: Uint8Array): void {
    const at = this.reserve(chunk.length)
    this.bytes.set(chunk, at)
  }

  view(): Buffer {
    return this.bytes.subarray(0, this.length)
  }

  /** A copy of all, which is then gone. */
  take(): Buffer {
    const copy = Buffer.from(this.view())
    this.length = 0
    return copy
  }

  drop(count: number): void {
    this.bytes.copyWithin(0, count, this.length)
    this.length -= count
  }

  clear(): void {
    this.length = 0
  }
}

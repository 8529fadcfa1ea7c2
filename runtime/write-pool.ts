/**
 * Memory for bytes that a socket has accepted and the system has not taken yet. It is used again and
 * again: large Buffers that are allocated for every write are external memory to V8, which answers
 * with a full collection for each 64 MiB (14 a second at full load, without this).
 */
const bytesMin = 4 * 1024
const bytesMax = 1024 * 1024
const keptBytesMax = 8 * 1024 * 1024

export class WritePool {
  /** Free buffers by size: 4 KiB, 8 KiB and so on. */
  readonly #free: Buffer[][] = []
  #keptBytes = 0

  /** Whether a copy of so many bytes is worth a buffer of the pool. */
  fits(bytes: number): boolean {
    return bytes >= bytesMin / 2 && bytes <= bytesMax
  }

  /** A buffer of at least so many bytes, which belongs to the caller until it is given back. */
  take(bytes: number): Buffer {
    const size = sizeClass(bytes)
    const buffer = this.#free[size]?.pop()
    if (buffer === undefined) return Buffer.allocUnsafeSlow(bytesMin << size)
    this.#keptBytes -= buffer.length
    return buffer
  }

  give(buffer: Buffer): void {
    if (this.#keptBytes + buffer.length > keptBytesMax) return
    this.#keptBytes += buffer.length
    const size = sizeClass(buffer.length)
    const list = this.#free[size]
    if (list === undefined) this.#free[size] = [buffer]
    else list.push(buffer)
  }
}

function sizeClass(bytes: number): number {
  return bytes <= bytesMin ? 0 : 32 - Math.clz32((bytes - 1) / bytesMin)
}

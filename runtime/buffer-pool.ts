/**
 * Large memory that is used again and again: copies that sockets hold until the system has taken
 * them, and slabs between threads. Large Buffers that are allocated for each use are external memory
 * to V8, which answers with a full collection for each 64 MiB: 14 a second at full load, a quarter of
 * all CPU, without this.
 */
const bytesMin = 4 * 1024
const bytesMax = 4 * 1024 * 1024
const keptBytesMax = 16 * 1024 * 1024

export class BufferPool {
  /** Free buffers by size: 4 KiB, 8 KiB and so on. */
  readonly #free: Buffer[][] = []
  #keptBytes = 0

  /** Whether so many bytes are worth a buffer of the pool. */
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

  /** Only a buffer as `take` gave it out, here or in another thread, and once. */
  give(buffer: Buffer): void {
    if (this.#keptBytes + buffer.length > keptBytesMax) return
    this.#keptBytes += buffer.length
    const size = sizeClass(buffer.length)
    const list = this.#free[size]
    if (list === undefined) this.#free[size] = [buffer]
    else list.push(buffer)
  }
}

/** One a thread. */
export const threadPool = new BufferPool()

/** Memory of received slabs, which whoever holds the message in it may recycle. */
const recyclable = new WeakSet<ArrayBufferLike>()

export function allowRecycling(slab: Buffer): void {
  const { byteLength } = slab.buffer
  if (threadPool.fits(byteLength) && bytesMin << sizeClass(byteLength) === byteLength) {
    recyclable.add(slab.buffer)
  }
}

/** True: the memory of `bytes` is in the pool now. Bytes of any other origin are left alone. */
export function recycle(bytes: Uint8Array, poison: boolean): boolean {
  if (!recyclable.delete(bytes.buffer)) return false
  const whole = Buffer.from(bytes.buffer)
  // In tests: whoever still reads it will notice.
  if (poison) whole.fill(0xdb)
  threadPool.give(whole)
  return true
}

function sizeClass(bytes: number): number {
  return bytes <= bytesMin ? 0 : 32 - Math.clz32((bytes - 1) / bytesMin)
}

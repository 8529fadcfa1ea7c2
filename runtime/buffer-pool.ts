/**
 * Large memory that is used again and again: copies that sockets hold until the system has taken
 * them, slabs between threads, bytes of messages. Large Buffers that are allocated for each use are
 * external memory to V8, which answers with a full collection for each 64 MiB: 14 a second at full
 * load, a quarter of all CPU, without this.
 */
const bytesMin = 4 * 1024
const bytesMax = 4 * 1024 * 1024
const keptBytesMax = 16 * 1024 * 1024

interface SizeClass {
  readonly free: Buffer[]
  takenAt: number
}

export class BufferPool {
  /** By size: 4 KiB, 8 KiB and so on. */
  readonly #classes: SizeClass[] = []
  #keptBytes = 0
  #takes = 0

  constructor() {
    for (let bytes = bytesMin; bytes <= bytesMax; bytes *= 2) {
      this.#classes.push({ free: [], takenAt: 0 })
    }
  }

  /** Whether so many bytes are worth a buffer of the pool. */
  fits(bytes: number): boolean {
    return bytes >= bytesMin / 2 && bytes <= bytesMax
  }

  /** A buffer of at least so many bytes, which belongs to the caller until it is given back. */
  take(bytes: number): Buffer {
    const size = sizeClass(bytes)
    const wanted = this.#classes[size]!
    wanted.takenAt = ++this.#takes
    const buffer = wanted.free.pop()
    if (buffer === undefined) return Buffer.allocUnsafeSlow(bytesMin << size)
    this.#keptBytes -= buffer.length
    return buffer
  }

  /** Only a buffer as `take` gave it out, here or in another thread, and once. */
  give(buffer: Buffer): void {
    this.#keptBytes += buffer.length
    this.#classes[sizeClass(buffer.length)]!.free.push(buffer)
    while (this.#keptBytes > keptBytesMax) this.#dropOne()
  }

  /** Of the size that nobody has asked for the longest: loads change, and sizes with them. */
  #dropOne(): void {
    let idle: SizeClass | undefined
    for (const one of this.#classes) {
      if (one.free.length > 0 && (idle === undefined || one.takenAt < idle.takenAt)) idle = one
    }
    this.#keptBytes -= idle?.free.pop()?.length ?? 0
  }
}

/** One a thread. */
export const threadPool = new BufferPool()

/** Memory of large bytes in messages, which whoever handles the message as the last may recycle. */
const recyclable = new WeakSet<ArrayBufferLike>()

export function allowRecycling(slab: Buffer): void {
  if (isOfPool(slab.buffer)) recyclable.add(slab.buffer)
}

/** So many bytes, with anything in them, for a message: its last handler may recycle them. */
export function takeRecyclable(bytes: number): Uint8Array {
  if (!threadPool.fits(bytes)) return new Uint8Array(bytes)
  const { buffer } = threadPool.take(bytes)
  recyclable.add(buffer)
  return new Uint8Array(buffer, 0, bytes)
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

/** Of a slab that has its memory to itself and that nobody reads any more. */
export function giveBack(slab: Uint8Array): void {
  if (isOfPool(slab.buffer)) threadPool.give(Buffer.from(slab.buffer))
}

function isOfPool({ byteLength }: ArrayBufferLike): boolean {
  return threadPool.fits(byteLength) && bytesMin << sizeClass(byteLength) === byteLength
}

function sizeClass(bytes: number): number {
  return bytes <= bytesMin ? 0 : 32 - Math.clz32((bytes - 1) / bytesMin)
}

/**
 * How paths become keys of the ordered index. A node's key is its path with a zero byte for the last
 * slash, so that the children of one node stand side by side (no path contains a zero byte); the
 * root's key is empty. What a node keeps about its children has the key that all theirs begin with.
 *
 *   /           ''          its family  \0              children  \0name
 *   /a/b        /a\0b       its family  /a/b\0          children  /a/b\0name     below them  /a/b/…
 */
const slash = 0x2f

export class TreeKey {
  bytes: Uint8Array = new Uint8Array(256)
  length = 0

  /** False when it is no path at all: nothing, or without a slash. */
  setPath(path: string | Uint8Array): boolean {
    if (typeof path === 'string') this.#encode(path)
    else this.#copy(path, 0, path.length)
    if (this.length === 0 || this.bytes[0] !== slash) return false
    if (this.length === 1) this.length = 0
    else this.bytes[this.#lastSlash()] = 0
    return true
  }

  /** The family of the node with this key. */
  setFamilyOf(key: Uint8Array, at: number, length: number): void {
    this.#copy(key, at, length)
    if (length > 0) this.bytes[this.bytes.lastIndexOf(0, length - 1)] = slash
    this.#append(0)
  }

  /** The parent of the node with this key, which is not the root's. */
  setParentOf(key: Uint8Array, at: number, length: number): void {
    const zero = key.lastIndexOf(0, at + length - 1) - at
    this.#copy(key, at, zero)
    if (zero > 0) this.bytes[this.#lastSlash()] = 0
  }

  /** The node whose family has this key. */
  setNodeOf(key: Uint8Array, at: number, length: number): void {
    this.#copy(key, at, length - 1)
    if (length > 1) this.bytes[this.#lastSlash()] = 0
  }

  /** Exchanges the last byte, to name the end of a range. */
  setLast(byte: number): void {
    this.bytes[this.length - 1] = byte
  }

  #lastSlash(): number {
    return this.bytes.lastIndexOf(slash, this.length - 1)
  }

  #copy(source: Uint8Array, at: number, length: number): void {
    this.#reserve(length + 1)
    for (let index = 0; index < length; index++) this.bytes[index] = source[at + index]!
    this.length = length
  }

  #append(byte: number): void {
    this.bytes[this.length++] = byte
  }

  #encode(path: string): void {
    this.#reserve(3 * path.length + 1)
    const { bytes } = this
    for (let index = 0; index < path.length; index++) {
      const code = path.charCodeAt(index)
      if (code >= 0x80) {
        this.length = encoder.encodeInto(path, bytes).written
        return
      }
      bytes[index] = code
    }
    this.length = path.length
  }

  #reserve(length: number): void {
    if (length > this.bytes.length) this.bytes = new Uint8Array(2 * length)
  }
}

/** The path that a node's key stands for. */
export function pathOfKey(key: Uint8Array, at: number, length: number): string {
  if (length === 0) return '/'
  const zero = key.lastIndexOf(0, at + length - 1)
  return `${textOf(key, at, zero)}/${textOf(key, zero + 1, at + length)}`
}

/** Where the last part of the path begins in a node's key. */
export function nameStart(key: Uint8Array, at: number, length: number): number {
  return length === 0 ? at : key.lastIndexOf(0, at + length - 1) + 1
}

/** UTF-8; decoders want memory that is not shared, so a copy where it is not plain ASCII. */
export function textOf(bytes: Uint8Array, from: number, to: number): string {
  let text = ''
  for (let index = from; index < to; index++) {
    const byte = bytes[index]!
    if (byte >= 0x80) return decoder.decode(bytes.slice(from, to))
    text += String.fromCharCode(byte)
  }
  return text
}

const encoder = new TextEncoder()
const decoder = new TextDecoder('utf-8', { ignoreBOM: true })

/**
 * HPACK encoding of answers. Fields that every answer repeats go into the table once and are one
 * byte from then on; all others are literals that leave the table alone, so that blocks
 * made of repeated fields stay valid as bytes until `generation` changes.
 */
import { HeaderTable } from './header-table.ts'
import { huffmanBytes, huffmanEncode } from './huffman.ts'
import { staticCount, staticIndexByName, staticNames, staticValues } from './static-table.ts'

/** We do not use more, whatever the client grants. */
const tableBytesMax = 4096

export class HpackEncoder {
  readonly #table = new HeaderTable(tableBytesMax)
  /** The client's changes of the size since the last block: the smallest, and the last; -1: none. */
  #smallestSize = -1
  #lastSize = -1
  #target = Buffer.alloc(256)
  #at = 0

  /** If an `encode` leaves it as it was, the bytes it gave may be used again until it changes. */
  get generation(): number {
    return this.#table.generation
  }

  /** SETTINGS_HEADER_TABLE_SIZE of the client; the next block announces what we make of it. */
  limitTable(bytes: number): void {
    const size = Math.min(bytes, tableBytesMax)
    if (size === this.#table.maxBytes && this.#lastSize < 0) return
    this.#smallestSize = this.#smallestSize < 0 ? size : Math.min(size, this.#smallestSize)
    this.#lastSize = size
    this.#table.resize(size)
  }

  /** `fields`: name, value, name, value. `repeated` fields may be kept in the table. */
  encode(fields: readonly string[], repeated: boolean): Uint8Array {
    this.#at = 0
    this.#announceSizes()
    for (let at = 0; at < fields.length; at += 2)
      this.#field(fields[at]!, fields[at + 1]!, repeated)
    return new Uint8Array(this.#target.subarray(0, this.#at))
  }

  #announceSizes(): void {
    if (this.#lastSize < 0) return
    this.#reserve(16)
    if (this.#smallestSize < this.#lastSize) this.#integer(0x20, 0x1f, this.#smallestSize)
    this.#integer(0x20, 0x1f, this.#lastSize)
    this.#smallestSize = -1
    this.#lastSize = -1
    this.#table.generation++
  }

  #field(name: string, value: string, repeated: boolean): void {
    this.#reserve(name.length + value.length + 24)
    const index = this.#find(name, value)
    if (index > 0) {
      this.#integer(0x80, 0x7f, index)
      return
    }
    if (repeated) this.#integer(0x40, 0x3f, staticIndexByName.get(name) ?? 0)
    else this.#integer(0x00, 0x0f, staticIndexByName.get(name) ?? 0)
    if (!staticIndexByName.has(name)) this.#text(name)
    this.#text(value)
    if (repeated) this.#table.insert(name, value)
  }

  #find(name: string, value: string): number {
    const first = staticIndexByName.get(name) ?? staticCount + 1
    for (let index = first; index <= staticCount && staticNames[index] === name; index++)
      if (staticValues[index] === value) return index
    for (let index = staticCount + 1; this.#table.has(index); index++)
      if (this.#table.name(index) === name && this.#table.value(index) === value) return index
    return 0
  }

  #text(text: string): void {
    const coded = huffmanBytes(text)
    if (coded < text.length) {
      this.#integer(0x80, 0x7f, coded)
      this.#at = huffmanEncode(text, this.#target, this.#at)
    } else {
      this.#integer(0, 0x7f, text.length)
      this.#at += this.#target.write(text, this.#at, 'latin1')
    }
  }

  #integer(pattern: number, mask: number, value: number): void {
    if (value < mask) {
      this.#target[this.#at++] = pattern | value
      return
    }
    this.#target[this.#at++] = pattern | mask
    let rest = value - mask
    for (; rest >= 0x80; rest >>>= 7) this.#target[this.#at++] = (rest & 0x7f) | 0x80
    this.#target[this.#at++] = rest
  }

  #reserve(bytes: number): void {
    if (this.#at + bytes <= this.#target.length) return
    const larger = Buffer.alloc((this.#at + bytes) * 2)
    this.#target.copy(larger, 0, 0, this.#at)
    this.#target = larger
  }
}

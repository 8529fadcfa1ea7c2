/**
 * HPACK decoding (RFC 7541), bounded: a block past `listBytesMax` is decoded to keep the table right,
 * but its fields are dropped. Clients repeat short blocks of indexed fields, so blocks that
 * left the table as it was are remembered by their bytes.
 */
import { entryOverheadBytes, HeaderTable } from './header-table.ts'
import { huffmanDecode } from './huffman.ts'
import { ConnectionError, errorCode } from './protocol.ts'
import { staticCount, staticNames, staticValues } from './static-table.ts'

/** Decoded fields; shared by all requests that sent the same bytes. */
export class HeaderBlock {
  /** Name, value, name, value. Empty if the block was too large. */
  readonly fields: readonly string[]
  readonly tooLarge: boolean
  /** What the owner of the connection made of the fields, so that it is made once. */
  meaning: unknown = undefined

  constructor(fields: readonly string[], tooLarge: boolean) {
    this.fields = fields
    this.tooLarge = tooLarge
  }
}

interface Remembered {
  readonly bytes: Uint8Array
  readonly generation: number
  readonly block: HeaderBlock
}

const nothing = new Uint8Array(0)
const rememberedBytesMax = 64
const rememberedCount = 16

export class HpackDecoder {
  readonly table: HeaderTable
  readonly #tableBytesMax: number
  readonly #listBytesMax: number
  readonly #remembered: (Remembered | undefined)[] = new Array(rememberedCount).fill(undefined)
  /** Where the decoder reads: a block, its end, and the next byte. */
  #bytes: Uint8Array = nothing
  #at = 0
  #end = 0

  constructor(tableBytesMax: number, listBytesMax: number) {
    this.table = new HeaderTable(tableBytesMax)
    this.#tableBytesMax = tableBytesMax
    this.#listBytesMax = listBytesMax
  }

  /** Throws ConnectionError for anything malformed: the table is then out of step for good. */
  decode(bytes: Uint8Array, start: number, end: number): HeaderBlock {
    const short = end - start <= rememberedBytesMax
    const place = short ? hash(bytes, start, end) % rememberedCount : 0
    if (short) {
      const remembered = this.#remembered[place]
      if (
        remembered !== undefined &&
        remembered.generation === this.table.generation &&
        sameBytes(remembered.bytes, bytes, start, end)
      )
        return remembered.block
    }
    const generation = this.table.generation
    const block = this.#decodeFields(bytes, start, end)
    if (short && generation === this.table.generation)
      this.#remembered[place] = {
        bytes: new Uint8Array(bytes.subarray(start, end)),
        generation,
        block,
      }
    return block
  }

  #decodeFields(bytes: Uint8Array, start: number, end: number): HeaderBlock {
    this.#bytes = bytes
    this.#at = start
    this.#end = end
    this.#sizeUpdates()
    const fields: string[] = []
    let listBytes = 0
    while (this.#at < end) {
      const first = bytes[this.#at]!
      let name: string
      let value: string
      if (first >= 0x80) {
        const index = this.#integer(0x7f)
        name = this.#nameAt(index)
        value = index <= staticCount ? staticValues[index]! : this.table.value(index)
      } else if (first >= 0x20 && first < 0x40) {
        throw malformed('a table size update after a field')
      } else {
        const indexed = first >= 0x40
        const index = this.#integer(indexed ? 0x3f : 0x0f)
        name = index === 0 ? this.#text() : this.#nameAt(index)
        value = this.#text()
        if (indexed) this.table.insert(name, value)
      }
      listBytes += name.length + value.length + entryOverheadBytes
      if (listBytes <= this.#listBytesMax) fields.push(name, value)
    }
    this.#bytes = nothing
    return listBytes > this.#listBytesMax
      ? new HeaderBlock([], true)
      : new HeaderBlock(fields, false)
  }

  /** At most two may open a block: the smallest size since the last block, and the last (4.2). */
  #sizeUpdates(): void {
    for (let count = 0; this.#at < this.#end; count++) {
      const first = this.#bytes[this.#at]!
      if (first < 0x20 || first >= 0x40) return
      if (count === 2) throw malformed('three table size updates in a row')
      const size = this.#integer(0x1f)
      if (size > this.#tableBytesMax) throw malformed('a table size update above the limit')
      this.table.resize(size)
    }
  }

  #nameAt(index: number): string {
    if (index > 0 && index <= staticCount) return staticNames[index]!
    if (!this.table.has(index)) throw malformed('an index outside the tables')
    return this.table.name(index)
  }

  #text(): string {
    if (this.#at >= this.#end) throw malformed('a block that ends inside a field')
    const coded = this.#bytes[this.#at]! >= 0x80
    const length = this.#integer(0x7f)
    const start = this.#at
    if (length > this.#end - start) throw malformed('a text beyond the end of its block')
    this.#at = start + length
    if (coded) return huffmanDecode(this.#bytes, start, this.#at)
    return latin1(this.#bytes, start, this.#at)
  }

  /** `mask` covers the bits of the prefix (5.1). Four more bytes are plenty for what can be valid. */
  #integer(mask: number): number {
    let value = this.#bytes[this.#at++]! & mask
    if (value < mask) return value
    for (let shift = 0; shift <= 21; shift += 7) {
      if (this.#at >= this.#end) throw malformed('a block that ends inside an integer')
      const byte = this.#bytes[this.#at++]!
      value += (byte & 0x7f) << shift
      if (byte < 0x80) return value
    }
    throw malformed('an integer too large')
  }
}

function latin1(bytes: Uint8Array, start: number, end: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString('latin1')
}

function hash(bytes: Uint8Array, start: number, end: number): number {
  let value = end - start
  for (let at = start; at < end; at++) value = (Math.imul(value, 31) + bytes[at]!) | 0
  return (value ^ (value >>> 15)) >>> 0
}

function sameBytes(known: Uint8Array, bytes: Uint8Array, start: number, end: number): boolean {
  if (known.length !== end - start) return false
  for (let at = 0; at < known.length; at++) if (known[at] !== bytes[start + at]) return false
  return true
}

function malformed(what: string): ConnectionError {
  return new ConnectionError(errorCode.compressionError, `header block: ${what}`)
}

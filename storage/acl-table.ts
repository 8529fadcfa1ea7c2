/**
 * Access control lists, each distinct one kept once and counted. A list is the protocol's own bytes
 * (jute `vector<ACL>`), compared as bytes; storage never looks into it. Znodes hold the id, which is
 * this node's own: the state hash counts a list by its content.
 */
import { invariant } from '../runtime/invariant.ts'

export type AclId = number

/** What a list takes beside its bytes, which are kept as text too: row, text and map entry, about. */
const rowBytes = 192

export class AclTable {
  /** Of the lists that znodes use, as they are kept. */
  heldBytes = 0
  #ids = new Map<string, AclId>()
  #rows: (Row | undefined)[] = [undefined]
  #free: AclId[] = []
  /** Rows that may be without uses. */
  #idle: AclId[] = []

  /** The id of this list, entered if it is new. The tree counts the uses. */
  intern(bytes: Uint8Array): AclId {
    const text = latin(bytes)
    const known = this.#ids.get(text)
    if (known !== undefined) return known
    const id = this.#free.pop() ?? this.#rows.length
    this.#enter(id, bytes.slice(), text, 0)
    this.#idle.push(id)
    return id
  }

  /** The list's bytes; not to be written to. */
  bytes(id: AclId): Uint8Array {
    return this.#row(id).bytes
  }

  /** 32 bits of the list's content. */
  hash(id: AclId): number {
    return this.#row(id).hash
  }

  /** How much larger the use of this list makes what is held. */
  growthBytes(id: AclId): number {
    const row = this.#row(id)
    return row.uses > 0 ? 0 : listBytes(row.bytes)
  }

  /** For the tree alone. */
  retain(id: AclId): void {
    const row = this.#row(id)
    if (row.uses++ === 0) this.heldBytes += listBytes(row.bytes)
  }

  /** For the tree alone. */
  release(id: AclId): void {
    const row = this.#row(id)
    if (--row.uses > 0) return
    this.#idle.push(id)
    this.heldBytes -= listBytes(row.bytes)
  }

  /** Lists that no znode uses go; to be called between commands. */
  sweep(): void {
    while (this.#idle.length > 0) {
      const id = this.#idle.pop()!
      const row = this.#rows[id]
      if (row === undefined || row.uses > 0) continue
      this.#ids.delete(row.text)
      this.#rows[id] = undefined
      this.#free.push(id)
    }
  }

  get size(): number {
    return this.#ids.size
  }

  /** For a checkpoint's head: u32 count, then id, uses and length as u32 each, and the list. */
  encode(): Uint8Array {
    const rows = [...this.#rows.entries()].filter(([, row]) => row !== undefined && row.uses > 0)
    const bytes = new Uint8Array(rows.reduce((sum, [, row]) => sum + 12 + row!.bytes.length, 4))
    const view = new DataView(bytes.buffer)
    view.setUint32(0, rows.length, true)
    let at = 4
    for (const [id, row] of rows) {
      view.setUint32(at, id, true)
      view.setUint32(at + 4, row!.uses, true)
      view.setUint32(at + 8, row!.bytes.length, true)
      bytes.set(row!.bytes, at + 12)
      at += 12 + row!.bytes.length
    }
    return bytes
  }

  /** Takes the place of all that is here. The uses of the entries loaded with it are counted in. */
  decode(bytes: Uint8Array): void {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.#ids.clear()
    this.#rows = [undefined]
    this.#idle = []
    this.heldBytes = 0
    let at = 4
    for (let left = view.getUint32(0, true); left > 0; left--) {
      const length = view.getUint32(at + 8, true)
      const list = bytes.slice(at + 12, at + 12 + length)
      this.#enter(view.getUint32(at, true), list, latin(list), view.getUint32(at + 4, true))
      at += 12 + length
    }
    this.#free = []
    for (let id = this.#rows.length - 1; id > 0; id--) {
      if (this.#rows[id] === undefined) this.#free.push(id)
    }
  }

  #enter(id: AclId, bytes: Uint8Array, text: string, uses: number): void {
    let hash = bytes.length
    for (const byte of bytes) hash = Math.imul(hash ^ byte, 0x01000193) ^ (hash >>> 15)
    while (this.#rows.length < id) this.#rows.push(undefined)
    this.#rows[id] = { bytes, text, hash: hash >>> 0, uses }
    if (uses > 0) this.heldBytes += listBytes(bytes)
    this.#ids.set(text, id)
  }

  #row(id: AclId): Row {
    const row = this.#rows[id]
    invariant(row !== undefined, 'an access list that is used is in the table')
    return row
  }
}

/** What a list takes in the table. */
function listBytes(list: Uint8Array): number {
  return rowBytes + 2 * list.length
}

interface Row {
  readonly bytes: Uint8Array
  readonly text: string
  readonly hash: number
  uses: number
}

/** `world:anyone` with all permissions, and with reading only, as jute writes them. */
export const openAcl = worldAcl(31)
export const readOnlyAcl = worldAcl(1)

function worldAcl(permissions: number): Uint8Array {
  const words = ['world', 'anyone']
  const bytes = new Uint8Array(8 + words.reduce((sum, word) => sum + 4 + word.length, 0))
  bytes[3] = 1
  bytes[7] = permissions
  let at = 8
  for (const word of words) {
    bytes[at + 3] = word.length
    for (let index = 0; index < word.length; index++) bytes[at + 4 + index] = word.charCodeAt(index)
    at += 4 + word.length
  }
  return bytes
}

function latin(bytes: Uint8Array): string {
  let text = ''
  for (const byte of bytes) text += String.fromCharCode(byte)
  return text
}

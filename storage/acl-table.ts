/**
 * Access control lists, each distinct one kept once and counted. A list is the protocol's own bytes
 * (jute `vector<ACL>`), compared as bytes; storage never looks into it. Znodes hold the id.
 */
export type AclId = number

export class AclTable {
  #ids = new Map<string, AclId>()
  #rows: (Row | undefined)[] = [undefined]
  #free: AclId[] = []

  /** The id of this list, entered if it is new. The tree counts the uses; unused rows go with `sweep`. */
  intern(bytes: Uint8Array): AclId {
    const text = latin(bytes)
    const known = this.#ids.get(text)
    if (known !== undefined) return known
    const id = this.#free.pop() ?? this.#rows.length
    this.#rows[id] = { bytes: bytes.slice(), text, uses: 0 }
    this.#ids.set(text, id)
    return id
  }

  /** The list's bytes; not to be written to. */
  bytes(id: AclId): Uint8Array {
    return this.#row(id).bytes
  }

  /** For the tree alone. */
  retain(id: AclId): void {
    this.#row(id).uses++
  }

  /** For the tree alone. A list without uses goes. */
  release(id: AclId): void {
    const row = this.#row(id)
    if (--row.uses > 0) return
    this.#ids.delete(row.text)
    this.#rows[id] = undefined
    this.#free.push(id)
  }

  get size(): number {
    return this.#ids.size
  }

  #row(id: AclId): Row {
    const row = this.#rows[id]
    if (row === undefined) throw new Error(`there is no access control list ${id}`)
    return row
  }
}

interface Row {
  readonly bytes: Uint8Array
  readonly text: string
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

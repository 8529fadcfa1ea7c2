/** The dynamic table of HPACK (RFC 7541, sections 2.3.2 and 4): newest entry first, bounded in bytes. */
import { staticCount } from './static-table.ts'

/** Each entry counts its name, its value and this. */
export const entryOverheadBytes = 32

export class HeaderTable {
  /** Grows with each change: who remembers something that depends on the table compares it. */
  generation = 0
  bytes = 0
  count = 0
  maxBytes: number
  #names: string[] = []
  #values: string[] = []
  /** Slot of the newest entry in the ring. */
  #newest = -1

  constructor(maxBytes: number) {
    this.maxBytes = maxBytes
  }

  /** `index` as on the wire, above those of the static table; '' has no entry. */
  name(index: number): string {
    return this.#names[this.#slot(index - staticCount - 1)]!
  }

  value(index: number): string {
    return this.#values[this.#slot(index - staticCount - 1)]!
  }

  has(index: number): boolean {
    return index > staticCount && index <= staticCount + this.count
  }

  /** Makes room first; an entry larger than the table empties it and is not added. */
  insert(name: string, value: string): void {
    const entryBytes = name.length + value.length + entryOverheadBytes
    this.generation++
    this.#evictTo(this.maxBytes - entryBytes)
    if (entryBytes > this.maxBytes) return
    if (this.count === this.#names.length) this.#grow()
    this.#newest = (this.#newest + 1) % this.#names.length
    this.#names[this.#newest] = name
    this.#values[this.#newest] = value
    this.count++
    this.bytes += entryBytes
  }

  resize(maxBytes: number): void {
    this.generation++
    this.maxBytes = maxBytes
    this.#evictTo(maxBytes)
  }

  #slot(age: number): number {
    const slot = this.#newest - age
    return slot < 0 ? slot + this.#names.length : slot
  }

  #evictTo(bytes: number): void {
    while (this.bytes > bytes && this.count > 0) {
      const slot = this.#slot(this.count - 1)
      this.bytes -= this.#names[slot]!.length + this.#values[slot]!.length + entryOverheadBytes
      this.#names[slot] = ''
      this.#values[slot] = ''
      this.count--
    }
  }

  #grow(): void {
    const names: string[] = []
    const values: string[] = []
    for (let age = this.count - 1; age >= 0; age--) {
      names.push(this.#names[this.#slot(age)]!)
      values.push(this.#values[this.#slot(age)]!)
    }
    this.#newest = this.count - 1
    const capacity = Math.max(16, this.count * 2)
    while (names.length < capacity) {
      names.push('')
      values.push('')
    }
    this.#names = names
    this.#values = values
  }
}

/** A set of ids, one bit each. */
export class IdSet {
  #words = new Uint32Array(1024)

  has(id: number): boolean {
    const word = id >>> 5
    return word < this.#words.length && ((this.#words[word]! >>> (id & 31)) & 1) === 1
  }

  add(id: number): void {
    const word = id >>> 5
    if (word >= this.#words.length) this.#grow(word + 1)
    this.#words[word]! |= 1 << (id & 31)
  }

  delete(id: number): void {
    const word = id >>> 5
    if (word < this.#words.length) this.#words[word]! &= ~(1 << (id & 31))
  }

  /** All ids below `end`, and no others. */
  fillBelow(end: number): void {
    if (end >>> 5 >= this.#words.length) this.#grow((end >>> 5) + 1)
    this.#words.fill(0)
    this.#words.fill(0xffffffff, 0, end >>> 5)
    for (let id = end & ~31; id < end; id++) this.add(id)
  }

  clear(): void {
    this.#words.fill(0)
  }

  #grow(words: number): void {
    const larger = new Uint32Array(Math.max(words, 2 * this.#words.length))
    larger.set(this.#words)
    this.#words = larger
  }
}

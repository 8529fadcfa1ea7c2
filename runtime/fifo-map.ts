/**
 * A map whose oldest entry is at hand. A map of V8's keeps the places of deleted entries until it is
 * laid out anew, and each new iterator passes them all again: taking the first of many, one after the
 * other, costs their square. The iterator here lives on and passes each place once.
 */
export class FifoMap<Key extends number | string, Value> {
  readonly #values = new Map<Key, Value>()
  readonly #keys: Iterator<Key> = this.#values.keys()
  /** Where the iterator stands; undefined: that entry has been deleted. */
  #oldest: Key | undefined

  get size(): number {
    return this.#values.size
  }

  has(key: Key): boolean {
    return this.#values.has(key)
  }

  get(key: Key): Value | undefined {
    return this.#values.get(key)
  }

  /** Behind all others, unless the key is there already. */
  set(key: Key, value: Value): void {
    this.#values.set(key, value)
  }

  delete(key: Key): boolean {
    if (this.#oldest === key) this.#oldest = undefined
    return this.#values.delete(key)
  }

  /** The key that was set before all others that are there. */
  oldestKey(): Key | undefined {
    if (this.#values.size === 0) return undefined
    // All that are there came behind those that the iterator has passed.
    this.#oldest ??= this.#keys.next().value as Key
    return this.#oldest
  }

  /** The value that was set before all others that are there. */
  oldest(): Value | undefined {
    const key = this.oldestKey()
    return key === undefined ? undefined : this.#values.get(key)
  }

  /** From the oldest on. */
  values(): Iterable<Value> {
    return this.#values.values()
  }
}

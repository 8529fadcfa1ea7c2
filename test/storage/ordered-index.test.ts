import fc from 'fast-check'
import { expect, test } from 'vitest'
import { byteOf, keyByte, keyLengthWord, slabOf, wordOf } from '../../storage/entry.ts'
import { EntryIndex } from '../../storage/entry-index.ts'

test('keys come out sorted, whatever the order of inserts and removals', () => {
  fc.assert(
    fc.property(
      fc.constantFrom('ascending', 'descending', 'random', 'mixed'),
      fc.integer(),
      fc.integer({ min: 1, max: 3000 }),
      (order, seed, count) => {
        const next = numbers(seed)
        const world = new World()
        for (let index = 0; index < count; index++) {
          if (order === 'ascending') world.insert(`/k/${String(index).padStart(9, '0')}`)
          else if (order === 'descending')
            world.insert(`/k/${String(count - index).padStart(9, '0')}`)
          else if (order === 'random') world.insert(`${next() % 1000}/${next() % 10}`)
          else world.insert('ab\0\u00ff'.repeat(next() % 4) + String.fromCharCode(next() % 256))
          if (order !== 'ascending' && next() % 4 === 0) world.removeOne(next())
        }
        world.compare(next)
        while (world.size > count / 10) world.removeOne(next())
        world.compare(next)
        while (world.size > 0) world.removeOne(0)
        world.compare(next)
        for (let index = 0; index < 200; index++) world.insert(`again ${next() % 500}`)
        world.compare(next)
      },
    ),
    { seed: 4, numRuns: 40 },
  )
})

test('whole stretches go and come back, again and again', () => {
  const world = new World()
  const next = numbers(12)
  const key = (index: number) => `/stretch/${String(index).padStart(6, '0')}`
  for (let index = 0; index < 14_000; index++) world.insert(key(index))
  for (let round = 0; round < 24; round++) {
    const gone = next() % 14_000
    for (let index = gone; index < gone + 5000; index++) world.remove(key(index))
    // Ids are used again: whatever still names one that went now names another key.
    const come = next() % 14_000
    for (let index = come + 4000; index > come; index--) world.insert(key(index))
    if (round % 6 === 5) world.compare(next)
    // Keys of another kind make upper nodes take their keys' shared bytes anew.
    if (round === 12) for (let index = 0; index < 5000; index++) world.insert(`/a/${next()}`)
  }
})

class World {
  readonly index = new EntryIndex(3)
  readonly #ids = new Map<string, number>()

  get size(): number {
    return this.#ids.size
  }

  insert(key: string): void {
    if (this.#ids.has(key)) return
    const pointer = this.index.slabs.allocate(keyByte + key.length)
    this.index.slabs.words[slabOf(pointer)]![wordOf(pointer) + keyLengthWord] = key.length
    this.index.slabs.bytes[slabOf(pointer)]!.set(bytesOf(key), byteOf(pointer) + keyByte)
    this.#ids.set(key, this.index.add(pointer))
  }

  removeOne(choice: number): void {
    const keys = [...this.#ids.keys()]
    const key = keys[choice % keys.length]
    if (key !== undefined) this.remove(key)
  }

  remove(key: string): void {
    const id = this.#ids.get(key)
    if (id === undefined) return
    this.index.remove(id)
    this.#ids.delete(key)
  }

  compare(next: () => number): void {
    const sorted = [...this.#ids.keys()].sort()
    expect(this.index.size).toBe(sorted.length)
    expect(this.index.order.size).toBe(sorted.length)
    expect(this.#walk(this.index.order.first())).toEqual(sorted)
    for (const key of sorted)
      expect(this.index.find(bytesOf(key), key.length)).toBe(this.#ids.get(key))
    for (let probe = 0; probe < 20; probe++) {
      const key = sorted[next() % Math.max(1, sorted.length)] ?? 'x'
      const from = probe % 2 === 0 ? key : key.slice(0, -1) + String.fromCharCode(next() % 256)
      const expected = sorted.findIndex(each => each >= from)
      const position = this.index.order.seek(bytesOf(from), 0, from.length)
      const rest = expected < 0 ? [] : sorted.slice(expected)
      expect(this.#walk(position)).toEqual(rest)
      const above = this.index.order.size - this.index.order.rank(bytesOf(from), 0, from.length)
      expect(above).toBe(rest.length)
      if (!this.#ids.has(from)) expect(this.index.find(bytesOf(from), from.length)).toBe(0)
    }
  }

  #walk(from: number): string[] {
    const found: string[] = []
    for (let position = from; position !== 0; position = this.index.order.next(position)) {
      const pointer = this.index.table.get(this.index.order.id(position))
      const at = byteOf(pointer) + keyByte
      const length = this.index.slabs.words[slabOf(pointer)]![wordOf(pointer) + keyLengthWord]!
      const bytes = this.index.slabs.bytes[slabOf(pointer)]!.subarray(at, at + length)
      found.push(Buffer.from(bytes).toString('latin1'))
    }
    return found
  }
}

function bytesOf(key: string): Uint8Array {
  return Uint8Array.from(key, each => each.charCodeAt(0))
}

/** A small seeded generator: the test must not depend on the machine. */
function numbers(seed: number): () => number {
  let state = seed | 1
  return () => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return state >>> 0
  }
}

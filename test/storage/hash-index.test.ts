import { expect, test } from 'vitest'
import { byteOf, keyByte, keyLengthWord, slabOf, wordOf } from '../../storage/entry.ts'
import { EntryTable } from '../../storage/entry-table.ts'
import { HashIndex } from '../../storage/hash-index.ts'
import { Slabs } from '../../storage/slabs.ts'

test('keys are found among many, before and after others go', () => {
  const world = new World()
  for (let key = 0; key < 20_000; key++) world.insert(key, world.hashOf(key))
  for (let key = 0; key < 20_000; key += 3) world.remove(key, world.hashOf(key))
  for (let key = 0; key < 20_000; key++) {
    expect(world.find(key, world.hashOf(key))).toBe(key % 3 === 0 ? 0 : world.ids.get(key))
  }
  expect(world.index.size).toBe(world.ids.size)
})

test('keys whose hashes were made to collide are kept all the same', () => {
  const world = new World()
  for (let key = 0; key < 2000; key++) world.insert(key, 0xfffffff0 + (key % 2))
  for (let key = 0; key < 2000; key += 2) world.remove(key, 0xfffffff0)
  for (let key = 0; key < 2000; key++) {
    expect(world.find(key, 0xfffffff0 + (key % 2))).toBe(key % 2 === 0 ? 0 : world.ids.get(key))
  }
})

class World {
  readonly slabs = new Slabs()
  readonly table = new EntryTable()
  readonly index = new HashIndex(this.slabs, this.table, 42)
  readonly ids = new Map<number, number>()

  insert(key: number, hash: number): void {
    const bytes = bytesOf(key)
    const pointer = this.slabs.allocate(keyByte + bytes.length)
    this.slabs.words[slabOf(pointer)]![wordOf(pointer) + keyLengthWord] = bytes.length
    this.slabs.bytes[slabOf(pointer)]!.set(bytes, byteOf(pointer) + keyByte)
    const id = this.table.take()
    this.table.set(id, pointer)
    this.index.insert(hash, id)
    this.ids.set(key, id)
  }

  remove(key: number, hash: number): void {
    this.index.remove(hash, this.ids.get(key)!)
    this.ids.delete(key)
  }

  find(key: number, hash: number): number {
    return this.index.find(bytesOf(key), bytesOf(key).length, hash)
  }

  hashOf(key: number): number {
    return this.index.hash(bytesOf(key), 0, bytesOf(key).length)
  }
}

function bytesOf(key: number): Uint8Array {
  return Buffer.from(`key ${key}`)
}

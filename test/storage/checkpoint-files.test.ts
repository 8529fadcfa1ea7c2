import { expect, test } from 'vitest'
import { readCheckpointFile } from '../../storage/checkpoint-file.ts'
import {
  checkpoint,
  directory,
  newNode,
  openFiles,
  put,
  remove,
  restart,
  sameState,
  textOf,
  type Node,
} from './checkpoint-kit.ts'

/** A base of 300 keys and a delta. */
function twoFiles(): Node {
  const node = newNode()
  for (let index = 0; index < 300; index++) put(node, `key-${index}`, `value ${index}`.repeat(20))
  expect(checkpoint(node, 'base')).toBe(undefined)
  put(node, 'key-7', 'changed')
  remove(node, 'key-8')
  put(node, 'new', 'n')
  expect(checkpoint(node, 'delta')).toBe(undefined)
  return node
}

const base = `${directory}/00000001-300.base`
const delta = `${directory}/00000002-303.delta`

test('a base and deltas come back after a crash', () => {
  const node = twoFiles()
  node.disk.crash()
  const { node: again, passedOver } = restart(node.disk)
  expect(passedOver).toEqual([])
  expect(again.position).toBe(303)
  expect(sameState(again, node)).toBe(true)
  expect([textOf(again, 'key-7'), textOf(again, 'key-8'), textOf(again, 'new')]).toEqual([
    'changed',
    undefined,
    'n',
  ])
  put(again, 'later', 'l')
  expect(checkpoint(again, 'delta')).toBe(undefined)
  again.disk.crash()
  const third = restart(again.disk).node
  expect(third.position).toBe(304)
  expect(sameState(third, again)).toBe(true)
})

test('without any: nothing is loaded', () => {
  const { node } = restart(newNode().disk)
  expect(node.position).toBe(0)
  expect(node.files.newest()).toBe(undefined)
  expect(node.files.nextKind()).toBe('base')
})

test('a crash at any operation of a checkpoint leaves the one before, or the new one', () => {
  for (let steps = 1; ; steps++) {
    const node = twoFiles()
    for (let index = 0; index < 10; index++) put(node, `more-${index}`, 'm')
    let left = steps
    node.disk.fault = operation => (operation !== 'read' && --left === 0 ? 'EIO' : undefined)
    const outcome = checkpoint(node, steps % 3 === 0 ? 'base' : 'delta')
    node.disk.fault = () => undefined
    node.disk.crash(() => steps % 2 === 0)
    const { node: again, passedOver } = restart(node.disk)
    expect(passedOver).toEqual([])
    expect([303, 313]).toContain(again.position)
    if (again.position === 313) expect(sameState(again, node)).toBe(true)
    if (outcome === undefined) {
      expect(again.position).toBe(313)
      expect(steps).toBeGreaterThan(10)
      return
    }
    expect(outcome.code).toBe('diskFailed')
  }
})

test('what was loaded stays, although the process that wrote it was killed at any operation', () => {
  for (let steps = 1; ; steps++) {
    const node = twoFiles()
    put(node, 'more', 'm')
    let left = steps
    node.disk.fault = operation => (operation !== 'read' && --left === 0 ? 'EIO' : undefined)
    const outcome = checkpoint(node, 'delta')
    node.disk.fault = () => undefined
    // Nothing is lost with a process; what it had not synced may go with the power later.
    node.disk.killProcess()
    const { position } = restart(node.disk).node
    node.disk.crash()
    expect(restart(node.disk).node.position, `killed at operation ${steps}`).toBe(position)
    if (outcome === undefined) return
  }
})

test('no space: nothing has changed, and it can be tried again', () => {
  const node = twoFiles()
  const names = node.disk.list(directory)
  const used = node.disk.usedBytes()
  node.disk.capacityBytes = used + 20_000
  expect(checkpoint(node, 'base')?.code).toBe('noSpace')
  expect(node.disk.list(directory)).toEqual(names)
  expect(node.disk.usedBytes()).toBe(used)
  node.disk.capacityBytes = Number.POSITIVE_INFINITY
  expect(checkpoint(node, 'base')).toBe(undefined)
  node.disk.crash()
  expect(sameState(restart(node.disk).node, node)).toBe(true)
})

test('what no chain names is removed; the chain before the newest stays', () => {
  const node = twoFiles()
  expect(node.disk.list(directory)).toEqual(['00000001-300.base', '00000002-303.delta', 'manifest'])
  checkpoint(node, 'base')
  expect(node.disk.list(directory)).toEqual([
    '00000001-300.base',
    '00000002-303.delta',
    '00000003-303.base',
    'manifest',
  ])
  put(node, 'x', 'y')
  checkpoint(node, 'delta')
  expect(node.disk.list(directory)).toEqual(['00000003-303.base', '00000004-304.delta', 'manifest'])
})

test('leftovers of a crash go at the next start', () => {
  const node = twoFiles()
  node.disk.put(`${directory}/00000009-9.base.tmp`, new Uint8Array(10))
  node.disk.makeDirectory(`${directory}/incoming`)
  node.disk.put(`${directory}/incoming/x`, new Uint8Array(10))
  restart(node.disk)
  expect(node.disk.list(directory)).toEqual(['00000001-300.base', '00000002-303.delta', 'manifest'])
})

test('deltas are merged by a new base when they are many', () => {
  const node = twoFiles()
  let deltas = 1
  while (node.files.nextKind() === 'delta') {
    put(node, 'x', 'y')
    checkpoint(node, 'delta')
    deltas++
  }
  expect(deltas).toBe(16)
})

test('a damaged delta is passed over, by name and offset, and the next delta follows the one before', () => {
  const node = twoFiles()
  node.disk.flip(delta, 200)
  const { node: again, passedOver } = restart(node.disk)
  expect(passedOver).toEqual([`${delta} is damaged at 96: wrong checksum`])
  expect(again.position).toBe(300)
  expect(textOf(again, 'key-8')).toBe('value 8'.repeat(20))
  put(again, 'new', 'again')
  expect(checkpoint(again, 'delta')).toBe(undefined)
  const third = restart(again.disk)
  expect(third.passedOver).toEqual([])
  expect(third.node.position).toBe(301)
  expect(textOf(third.node, 'new')).toBe('again')
})

test.each([
  [
    'a flipped bit in the header',
    (bytes: Uint8Array) => flip(bytes, 9),
    `${base} is damaged at 0: wrong checksum`,
  ],
  [
    'another file',
    (bytes: Uint8Array) => bytes.fill(0, 0, 4),
    `${base} is damaged at 0: not a checkpoint`,
  ],
  [
    'a flipped bit in a block',
    (bytes: Uint8Array) => flip(bytes, 5000),
    `${base} is damaged at 672: wrong checksum`,
  ],
  [
    'a length beyond the end',
    (bytes: Uint8Array) => flip(bytes, 675),
    `${base} is damaged at 672: the file ends within a block`,
  ],
  [
    'a file cut short',
    (bytes: Uint8Array) => bytes.slice(0, -40),
    `${base} is damaged at 672: the file ends within a block`,
  ],
  [
    'a file without its end',
    (bytes: Uint8Array) => bytes.slice(0, -32),
    `${base} is damaged at SIZE: the file ends too early`,
  ],
  [
    'more after the end',
    (bytes: Uint8Array) => Uint8Array.from([...bytes, 0]),
    `${base} is damaged at WHOLE: more after the end`,
  ],
  ['an empty file', () => new Uint8Array(0), `${base} is damaged at 0: the file ends too early`],
])('damage to the base, and so to both chains: %s', (_name, damage, message) => {
  const node = twoFiles()
  const bytes = node.disk.contents(base)
  node.disk.put(base, damage(bytes.slice()))
  const expected = message
    .replace('SIZE', `${bytes.length - 32}`)
    .replace('WHOLE', `${bytes.length}`)
  expect(() => restart(node.disk)).toThrow(`no checkpoint is whole: ${expected}; ${expected}`)
})

test('a missing file, a damaged manifest, a newer format', () => {
  const node = twoFiles()
  const bytes = node.disk.contents(base)
  node.disk.remove(base)
  expect(() => restart(node.disk)).toThrow(`no checkpoint is whole: ${base} is missing`)
  expect(() => restart(node.disk)).toThrow(/; begin with an empty data directory, and bind it/)
  node.disk.put(base, bytes)
  const manifest = node.disk.contents(`${directory}/manifest`)
  node.disk.flip(`${directory}/manifest`, 30)
  expect(() => openFiles(node.disk)).toThrow(`${directory}/manifest is damaged: wrong checksum`)
  node.disk.put(`${directory}/manifest`, manifest)
  expect(restart(node.disk).node.position).toBe(303)
})

test('every byte of a file counts', () => {
  const node = newNode()
  for (let index = 0; index < 3; index++) put(node, `key-${index}`, `value ${index}`)
  checkpoint(node, 'base')
  const path = `${directory}/00000001-3.base`
  const bytes = node.disk.contents(path)
  for (let at = 0; at < bytes.length; at++) {
    node.disk.put(path, flip(bytes.slice(), at))
    expect(() => readCheckpointFile(node.disk, path, {}), `byte ${at}`).toThrow(/damaged at/)
  }
})

function flip(bytes: Uint8Array, at: number): Uint8Array {
  bytes[at] = bytes[at]! ^ 16
  return bytes
}

test('no space for the manifest alone: the file that it would have named is gone', () => {
  const node = twoFiles()
  const names = node.disk.list(directory)
  node.disk.fault = (operation, path) =>
    operation === 'write' && path.includes('manifest') ? 'ENOSPC' : undefined
  expect(checkpoint(node, 'base')?.code).toBe('noSpace')
  node.disk.fault = () => undefined
  expect(node.disk.list(directory)).toEqual(names)
})

test('an old file that cannot be removed harms nobody, and goes with the next checkpoint', () => {
  const node = twoFiles()
  expect(checkpoint(node, 'base')).toBe(undefined)
  put(node, 'x', 'y')
  node.disk.fault = operation => (operation === 'remove' ? 'EBUSY' : undefined)
  expect(checkpoint(node, 'delta')).toBe(undefined)
  expect(node.disk.list(directory)).toContain('00000001-300.base')
  node.disk.fault = () => undefined
  put(node, 'x', 'z')
  expect(checkpoint(node, 'delta')).toBe(undefined)
  expect(node.disk.list(directory)).not.toContain('00000001-300.base')
})
